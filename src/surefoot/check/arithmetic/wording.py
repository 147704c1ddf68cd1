"""A failure in words: the rule's lines in numbers, what came, where, and the lines of torch that show it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from surefoot.check.arithmetic.claim import Claim
from surefoot.check.protocol import Signature
from surefoot.check.verdict import CHANGED
from surefoot.errors import InputError
from surefoot.rules.formula import known
from surefoot.rules.taken import step_formulas
from surefoot.trace import Group, Mismatch, Script, Set
from surefoot.trace.code import to_torch_code
from surefoot.trace.values import elements, exact, indices, shape

__all__ = ["apart", "in_numbers", "listed", "number", "options_that_matter", "reproduction", "where"]


def where(found: Mismatch, dtype: str) -> str:
    """The place of a mismatch: step, tensor, element; and the dtype, if it is not float64."""
    slot = "" if found.slot == "w" else f", its {found.slot}"
    element = f", element [{', '.join(map(str, found.index))}]" if found.index else ""
    kind = "" if dtype == "float64" else f" in {dtype}"
    return f"step {found.step}, tensor {found.name}{kind}{element}{slot}"


def listed(words: Iterable[str], last: str = "and") -> str:
    """Words as a list in a sentence: a, b and c."""
    *first, final = words
    return f"{', '.join(first)} {last} {final}" if first else final


def number(x: Any) -> str:
    """A number as one would write it: all digits where they are few, else nine."""
    return f"{float(x) + 0.0:.9g}".replace("-", "−")  # −0 is 0


def apart(a: Any, b: Any) -> tuple[str, str]:
    """Two numbers that differ, with as many digits as it takes to see it."""
    if number(a) != number(b):
        return number(a), number(b)
    return repr(float(a)).replace("-", "−"), repr(float(b)).replace("-", "−")


def in_numbers(claim: Claim, script: Script, found: Mismatch) -> str:
    """The rule's lines at the step and element of a mismatch: the formula, the numbers put in, the result."""
    try:
        ours = claim.script(script)
        trace = claim.expected(script)
        place = list(indices(shape(script.start[found.name]))).index(found.index)
        moment = trace.steps[found.step - 1]
        if found.name not in moment.gradients:
            return f"{found.name} has no gradient, so nothing changes."

        def pick(value: Any) -> Any:
            return list(elements(value))[place]

        h = claim.rule.hyper(**moment.options[ours.group_of(found.name)]).map(_exactly)
        w, g = pick(moment.before[found.name]), pick(moment.gradients[found.name])
        state = claim.rule.init(h, w)
        state |= {k: pick(v) for k, v in trace.state_before(found.step).get(found.name, {}).items()}
        values = known(claim.rule, h, w, g, state)
        lines = []
        for e in step_formulas(claim.rule, h, w, g, state):
            put_in, result = e.text(lambda letter: _inside(values[letter])), number(values[str(e.left)])
            line = f"{e.left} = {e.text()}"
            lines.append(
                f"{e.left} = {result}"
                if e.text() == str(e.left)  # Adam's t
                else line
                if put_in == e.text()
                else f"{line} = {put_in}" + ("" if put_in == result else f" = {result}")
            )
            if e.name == claim.slots.get(found.slot, found.slot):
                break
        return "\n".join(lines)
    except (InputError, KeyError, ValueError, NotImplementedError):
        return f"{found.place} = {number(found.expected)}"


def reproduction(
    script: Script,
    signature: Signature,
    given: Mapping[str, Any],
    dtype: str,
    found: Mismatch | None,
    before: Sequence[str] = (),
) -> str:
    """A few lines of plain torch that show it: their assert fails, or they raise; `before` comes first."""
    said = {o for g in script.groups for o in g.options}
    extra = {k: v for k, v in signature.call(given).items() if k not in said}
    worth = {o for g in script.groups for o in _worth_saying(g, signature)}  # the first group's are inherited
    return to_torch_code(
        script.with_options(lambda options: {k: v for k, v in options.items() if k in worth}),
        signature.name,
        imports=[*filter(None, [signature.imports]), *before],
        extra=extra,
        keys=signature.keys,
        dtype=dtype,
        mismatch=found,
    )


def options_that_matter(script: Script, off: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a shrunk script that are not off: without one of them it does not fail."""
    matter: dict[str, Any] = {}
    for group in script.groups:
        for option, value in group.options.items():
            if option in off and value != off[option]:
                matter[option] = float(value) if isinstance(value, Fraction) else value
    for step in script.steps:
        for e in step.events:
            if isinstance(e, Set) and e.option in off:
                matter[e.option] = CHANGED
    return matter


def _worth_saying(group: Group, signature: Signature) -> set[str]:
    """Options that are not the class's default anyhow; lr always."""
    usual = {k: v for k, v in signature.options.items() if k not in signature.filled}
    return {k for k, v in group.options.items() if k == "lr" or k not in usual or usual[k] != v}


def _exactly(x: Any) -> Any:
    return exact(x) if isinstance(x, (int, float, Fraction)) and not isinstance(x, bool) else x


def _inside(x: Any) -> str:
    """A number inside a formula: a negative one in brackets."""
    text = number(x)
    return f"({text})" if text.startswith("−") else text
