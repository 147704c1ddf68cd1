"""Two traces of one Script: where they first part, bit for bit or within what rounding allows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction

from surefoot.errors import InputError
from surefoot.rules import Rule
from surefoot.trace.events import brief
from surefoot.trace.trace import Moment, Trace
from surefoot.trace.values import Number, Value, elements, exact, exact_binary, indices, shape

__all__ = ["UNIT_ROUNDOFF", "Mismatch", "compare"]

# u: half the distance from 1 to the next number
UNIT_ROUNDOFF = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}

MOVE = "velocity"  # a rule's slot that is a move of w, and may be kept as a difference of two of them


@dataclass(frozen=True)
class Mismatch:
    """The first number in which two traces differ.

    Args:
        step: counted from 1.
        name: the tensor.
        index: the element; () in a 0-dimensional tensor.
        slot: the state slot, or "w" for the parameter itself.
        expected: the exact number.
        got: what came in its place.
        allowed: how much they may differ; 0 where it had to agree bit for bit.
    """

    step: int
    name: str
    index: tuple[int, ...]
    slot: str
    expected: Number
    got: Number
    allowed: float

    @property
    def place(self) -> str:
        """Where it is, e.g. "b[1]" or "momentum_buffer of b[1]"."""
        element = f"{self.name}[{', '.join(map(str, self.index))}]" if self.index else self.name
        return element if self.slot == "w" else f"{self.slot} of {element}"

    def __repr__(self) -> str:
        """Short: where, and both numbers."""
        return f"<Mismatch at step {self.step}, {self.place}: {brief(self.got)}, not {brief(self.expected)}>"

    def __str__(self) -> str:
        """Say it in one sentence."""
        got, expected = float(self.got), float(self.expected)
        return f"At step {self.step}, {self.place} is {got!r}, but should be {expected!r}."


def compare(
    expected: Trace,
    got: Trace,
    *,
    bounds: Trace | None = None,
    slots: Mapping[str, str] | None = None,
    local: bool = False,
    partial: bool = False,
    forms: Rule | None = None,
) -> Mismatch | None:
    """Find the first number in which a trace differs from what was expected: |got − expected| ≤ (4 + t)·u·Θ̄.

    Per step the state is looked at before the parameters, because what goes wrong there goes wrong first.

    Args:
        expected: usually `replay(script, rule)`.
        got: usually `record(script, optimizer)`.
        bounds: Θ̄, from `magnitudes(script, rule)`; without it every number must agree bit for bit. u is that
            of the dtype of each tensor in `got`.
        slots: which slot of `got` is compared with which of `expected` (got's name → expected's name); by
            default those of one name that both have, and that have the parameter's shape.
        local: each step began from `got`'s own values (`replay(..., follow=got)`), so t = 1 throughout.
        partial: one of them may have fewer steps than the other; those that both have are compared.
        forms: the rule, if its momentum may be computed in another form, as from the last two parameters: w
            and velocities in float64 may then differ by more, see `leeway`.

    Returns:
        The first Mismatch in the order step, tensor, slot, element; None if there is none.

    Raises:
        InputError: one of them is no Trace; they are of other tensors, or of another number of steps.

    Example:
        >>> from surefoot.trace import Script, record, replay
        >>> import torch
        >>> script = Script.of({"w": 1}, gradients=[{"w": 1}] * 2, lr=0.5, momentum=0.5)
        >>> compare(replay(script, "torch"), record(script, torch.optim.SGD)) is None
        True
        >>> def mine(parameters, **options):
        ...     return torch.optim.SGD(parameters, **{**options, "momentum": 0.25})
        >>> print(compare(replay(script, "torch"), record(script, mine)))
        At step 2, momentum_buffer of w is 1.25, but should be 1.5.
    """
    for what, trace in (("expected", expected), ("got", got), ("bounds", bounds)):
        if not isinstance(trace, Trace) and not (what == "bounds" and trace is None):
            maker = "magnitudes(script, rule)" if what == "bounds" else "replay or record"
            raise InputError(f"compare requires a Trace as {what}, from {maker}, not {trace!r}.")
    sizes = [{n: shape(v) for n, v in trace.script.start.items()} for trace in (expected, got)]
    if sizes[0] != sizes[1]:
        ours, theirs = (", ".join(f"{n} {s}" for n, s in size.items()) for size in sizes)
        raise InputError(f"The traces have different tensors: expected has {ours}, got has {theirs}.")
    if not partial and len(expected.steps) != len(got.steps):
        raise InputError(
            f"The traces have {len(expected.steps)} and {len(got.steps)} steps; give both the same number,"
            " or partial=True to compare those that both have."
        )
    wider = leeway(bounds, forms) if bounds and forms else None
    for t, (want, have) in enumerate(zip(expected.steps, got.steps, strict=False), 1):
        for name in expected.script.names:
            dtype = got.dtypes.get(name, "float64")
            factor = (4 + (1 if local else t)) * UNIT_ROUNDOFF[dtype]
            # in narrower dtypes it would leave no fault to see, and the runs in them are short
            more = wider[t - 1][expected.script.group_of(name)] if wider and dtype == "float64" else 1.0
            limiting = bounds.steps[t - 1] if bounds else None
            for slot, rules, ours, theirs, limits in _values(name, want, have, limiting, slots):
                wide = 1.0
                if slot == "w" or (more > 1 and rules == MOVE):
                    wide, limits = more, limiting.w[name] if limiting else limits
                places = indices(shape(ours))
                rows = zip(places, elements(ours), elements(theirs), elements(limits), strict=True)
                for index, x, y, limit in rows:
                    allowed = factor * wide * float(limit) if bounds else 0.0
                    if not _agree(x, y, allowed):
                        return Mismatch(t, name, index, slot, x, y, allowed)
    return None


def leeway(bounds: Trace, rule: Rule) -> list[list[float]]:
    """How many times Θ̄ another form of a rule's momentum may take: 2 (1 + 2μ) (1 + μ + μ² + … + μᵗ⁻¹).

    (1 + μ) y − μ y′, of w's own size, stands for a velocity that is far smaller: each of both products is
    rounded, and so is its factor. The next step takes what that leaves for velocity, and keeps μ of it.

    Args:
        bounds: Θ̄, with the options of each step.
        rule: the rule; of one that has no momentum, or is not linear, there are no other forms.

    Returns:
        A factor for each step and group.
    """
    usual = rule.defaults.get("momentum")
    if usual is None or not rule.exact:
        return [[1.0] * len(m.options) for m in bounds.steps]
    carried = [0.0] * len(bounds.script.groups)
    found = []
    for moment in bounds.steps:
        mus = [float(exact(options.get("momentum", usual))) for options in moment.options]
        carried = [1 + mu * before for mu, before in zip(mus, carried, strict=True)]
        found.append([2 * (1 + 2 * mu) * h for mu, h in zip(mus, carried, strict=True)])
    return found


def _values(
    name: str, want: Moment, have: Moment, bounds: Moment | None, slots: Mapping[str, str] | None
) -> Iterator[tuple[str, str, Value, Value, Value]]:
    """Yield what both moments say of a tensor: slot, the rule's, expected, got, Θ̄ (or got, if unbounded)."""
    size = shape(want.w[name])
    ours, theirs = want.state.get(name, {}), have.state.get(name, {})
    pairs = {s: s for s in theirs if s in ours} if slots is None else slots
    for there, here in pairs.items():
        if here in ours and there in theirs and shape(ours[here]) == shape(theirs[there]) == size:
            limits = bounds.state[name][here] if bounds else theirs[there]
            yield there, here, ours[here], theirs[there], limits
    yield "w", "w", want.w[name], have.w[name], bounds.w[name] if bounds else have.w[name]


def _agree(expected: Number, got: Number, allowed: float) -> bool:
    if allowed:  # mostly they are so near that floats tell, whatever they were rounded by
        with suppress(OverflowError):  # a fraction beyond all floats
            x, y = float(expected), float(got)
            if abs(x - y) + 2.0**-52 * max(abs(x), abs(y)) <= allowed:
                return True
    want, have = exact_binary(expected), exact_binary(got)
    if isinstance(want, float) or isinstance(have, float):  # NaN or infinite
        return bool(want == have) or (want != want and have != have)
    return bool(want == have) or not math.isfinite(allowed) or abs(have - want) <= Fraction(allowed)
