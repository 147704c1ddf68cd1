"""What an optimizer does instead: the known convention or mistake that reproduces, exactly, what came."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from surefoot.check.arithmetic.claim import Claim
from surefoot.check.known.bookkeeping import misread
from surefoot.check.known.mistakes import mistakes_in
from surefoot.check.known.rounding import ROUGHLY, by_ulps, in_float32
from surefoot.check.known.variants import conventions
from surefoot.check.naming.claimed import looks_ahead
from surefoot.check.protocol import Options
from surefoot.check.verdict import CHANGED
from surefoot.rules import Rule
from surefoot.trace import Script, Trace
from surefoot.trace.values import elements, shape

__all__ = ["Diagnosis", "diagnose", "hint", "why_it_raises"]


# who speaks of these speaks of momentum
NEEDS_MOMENTUM = ("momentum", "buffer", "dampening", "nesterov")
COUPLED = (
    "weight decay is added to the gradient, as L2; decoupled decay would shrink w by γλ, separately "
    "from the gradient"
)
NO_LOOK_AHEAD = "Nesterov's look-ahead is missing: this is plain momentum"


@dataclass(frozen=True)
class Diagnosis:
    """What reproduces the recordings.

    Args:
        says: what it is: a convention's title, or the mistake in words.
        claim: the convention or mistake, to hold more recordings against.
        convention: another known convention, and no mistake.
        complete: it reproduces every recording, and not just those that failed here.
        first: it reproduces only the first of those.
    """

    says: str
    claim: Claim
    convention: bool
    complete: bool
    first: bool = False

    def told(self, example: Trace, takes: Options) -> str:
        """The sentence for a failure, shown by an example that takes these options; "" if it is untrue there.

        If it does not explain every recording, the options are named under which it holds. If it explains the
        first failure alone, it must speak of every number option that the failure takes, or the match may be
        chance: "half as long" also fits dampening = ½.
        """
        unsaid = {o: v for o, v in takes.items() if v != CHANGED and not self._speaks_of(o)}
        chance = self.first and any(v is not True for v in unsaid.values())
        if chance or not self.claim.holds(example):
            return ""
        what = f"it follows another convention: {self.says}" if self.convention else self.says
        if unsaid and not self.complete:
            what = f"With {' and '.join(f'{o}={v!r}' for o, v in unsaid.items())}, {what}"
        scope = "all recorded runs" if self.complete else "the failure"
        return f"{_capital(what)}. This reproduces {scope} exactly."

    def _speaks_of(self, option: str) -> bool:
        hyper = self.claim.words.hyper.get(option, option)
        words = {"momentum": NEEDS_MOMENTUM, "weight_decay": ("decay",)}.get(hyper, (hyper,))
        return any(word in self.says.lower() for word in (*words, option.lower()))


def _capital(sentence: str) -> str:
    """With a capital, unless it begins with a formula's letter or an option's name: ε, weight_decay."""
    word = sentence.split()[0]
    return sentence[0].upper() + sentence[1:] if word.isascii() and "_" not in word else sentence


def diagnose(claim: Claim, failed: Sequence[Trace], others: Sequence[Trace]) -> Diagnosis | None:
    """Find what reproduces all of `failed`; among several what reproduces most of the other recordings too.

    A convention is named before a mistake, and a mistake in a formula before one of the bookkeeping.
    """
    best: Diagnosis | None = None
    most = -1
    for says, suspect, convention in _suspects(claim):
        if not all(suspect.holds(t) for t in failed):
            continue
        held = sum(suspect.holds(t) for t in others)
        if held > most:
            best, most = Diagnosis(says, suspect, convention, held == len(others)), held
        if held == len(others):
            break
    return best


def hint(clause: str, claim: Claim, failed: Sequence[Trace], others: Sequence[Trace]) -> str:
    """What can be said of a failure that nothing known reproduces."""
    if all(map(claim.roughly().holds, failed)):
        if in_float32(claim, failed):
            return f"I{ROUGHLY[1:]}."
        if all(by_ulps(claim, got) for got in failed):
            return (
                "It deviates by a few float64 roundings: it computes the rule, or nearly, in a form that "
                "loses more digits, such as a difference of two large numbers."
            )
        return (
            "It deviates by no more than float32 rounding: perhaps an intermediate value, such as a bias "
            "correction, is computed in float32, or a small number is added."
        )
    if clause == "rule":
        return _nearly(claim, failed, others) or _too_large(failed, others)
    hints = {"sizes": _left_out, "dimensions": _shaped}
    return hints[clause](claim, failed) if clause in hints else ""


def _nearly(claim: Claim, failed: Sequence[Trace], others: Sequence[Trace]) -> str:
    """Say so, if a known mistake reproduces all there is, but for the rounding of float32."""
    if not in_float32(claim, failed):
        return ""
    for rule in mistakes_in(claim.rule):
        suspect = dataclasses.replace(claim, rule=rule.with_defaults_of(claim.rule), slots={}).roughly()
        if all(map(suspect.holds, (*failed, *others))):
            said = _capital(str(rule.mistake))
            return f"{said}. This reproduces all recorded runs within float32 rounding."
    return ""


def _left_out(claim: Claim, failed: Sequence[Trace]) -> str:
    """Say so, if all that is wrong is that some elements are not updated: the seam of a fast path."""
    said: dict[str, str] = {}
    for got in failed:
        want, have = claim.expected(got.script).steps[0], got.steps[0]
        still: dict[str, dict[str, list[int]]] = {}
        moved: set[str] = set()
        for name in got.script.names:
            rows = list(zip(*map(elements, (have.before[name], want.w[name], have.w[name])), strict=True))
            dtype = got.dtypes.get(name, "float64")
            if any(after != before for before, _, after in rows):
                moved.add(dtype)
            left = [i for i, (before, right, after) in enumerate(rows) if after == before != right]
            if left and len(rows) > 1:
                still.setdefault(dtype, {})[f"of {len(rows)} in {dtype}"] = left
        for dtype in still.keys() & moved:  # where nothing moves at all, it is no matter of size
            where, left = next(iter(still[dtype].items()))
            said.setdefault(dtype, f"{_range(left)} {where}")
        if not said:
            return ""
    listed = ", ".join(said.values())
    return (
        f"Never updated: {listed}. Look at the code path for whole vectors, or at the one for the "
        "remaining elements."
    )


def _shaped(claim: Claim, failed: Sequence[Trace]) -> str:
    """Say so, if small vectors are stepped by the rule, and tensors of some other shape are not."""
    wrong: dict[str, str] = {}
    right: set[str] = set()
    for got in failed:
        want = claim.expected(got.script, in_floats=True)
        for name in got.script.names:
            size = shape(got.start[name])
            pairs = [
                (float(x), float(y))
                for m, e in zip(got.steps, want.steps, strict=True)
                for x, y in zip(elements(m.w[name]), elements(e.w[name]), strict=True)
            ]
            if all(math.isclose(x, y, rel_tol=1e-4, abs_tol=1e-6) for x, y in pairs):
                right.add(name)
            else:
                wrong[name] = " × ".join(map(str, size)) + (" elements" if len(size) == 1 else "")
    if not wrong or right & wrong.keys() or not right:
        return ""
    return f"Shapes that do not follow the rule: {', '.join(wrong.values())}. Other shapes do."


def _too_large(failed: Sequence[Trace], others: Sequence[Trace]) -> str:
    """Say so, if steps part from the rule where gradients are large, and nowhere else."""

    def largest(got: Trace) -> Any:
        return max(abs(x) for m in got.steps for g in m.gradients.values() for x in elements(g))

    small = max(map(largest, others), default=0)
    if not small or small >= min(map(largest, failed)):
        return ""
    return "Steps follow the rule for small gradients, but not for large ones: are they clipped?"


def _range(indices: list[int]) -> str:
    """Indices in short: 0–15, or one by one where there are gaps."""
    if len(indices) > 1 and indices[-1] - indices[0] == len(indices) - 1:
        return f"elements {indices[0]}–{indices[-1]}"
    return f"element{'s' if len(indices) > 1 else ''} {', '.join(map(str, indices))}"


def why_it_raises(smallest: Script) -> str:
    """What the smallest script that raises has, and one that does not raise lacks."""
    first: dict[str, int] = {}
    for t, step in enumerate(smallest.steps, 1):
        for name in step.given:
            first.setdefault(name, t)
    if len(set(first.values())) > 1:
        return "It raises if one parameter's first gradient comes later than another's."
    if set(first) < set(smallest.names) or any(set(s.given) < set(first) for s in smallest.steps):
        return "It raises if a gradient is missing."
    return ""


def _suspects(claim: Claim) -> Iterator[tuple[str, Claim, bool]]:
    def suspect(rule: Rule) -> Claim:
        has = {x.name for x in rule.slots}
        slots = {theirs: ours for theirs, ours in claim.slots.items() if ours in has}
        return dataclasses.replace(claim, rule=rule, slots=slots)

    ahead = claim.rule.defaults.get("nesterov") and claim.words.option("nesterov") is None
    if ahead:
        yield NO_LOOK_AHEAD, suspect(claim.rule.variant(nesterov=False)), False
    if claim.rule.defaults.get("decay") == "decoupled":
        yield COUPLED, suspect(claim.rule.variant(decay="l2")), False
    for rule in conventions(claim.words):
        if rule.name != claim.rule.name and not (ahead and looks_ahead(rule)):
            # what denies its name is no convention
            says = f"it has no look-ahead: this is {rule.title}" if ahead else rule.title
            yield says, suspect(rule), not ahead
    for rule in mistakes_in(claim.rule):
        # with what the claimed rule has fixed: numbers in the code, Nesterov
        yield str(rule.mistake), suspect(rule.with_defaults_of(claim.rule)), False
    for says, misreading in misread(claim):
        yield says, misreading, False
