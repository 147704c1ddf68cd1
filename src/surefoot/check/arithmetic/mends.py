"""How to mend what the arithmetic found, where that can be said better than by the clause's own advice."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from surefoot.check.known.bookkeeping import BY_COUNT, CUT_OFF, GOES_ON, KEPT, OR_DEFAULT, SKIPS, STILL
from surefoot.check.known.ends import AT_MISSING, ONLY_FIRST, mend_first, mend_missing
from surefoot.check.known.rounding import ROUGHLY
from surefoot.check.verdict import Clause
from surefoot.rules import RULES, Rule
from surefoot.trace import Move, Script
from surefoot.trace.values import elements

__all__ = ["NARROW", "NO_GRAD", "keeps_lr", "low_precision", "mended"]

FEW = 12  # tensors: with more, there may be another path
NARROW = ("float16", "bfloat16")
# torch's words → the diagnosis, and how to mend it
NO_GRAD = (
    "a leaf Variable that requires grad",
    "Autograd records the operations of step().",
    "Decorate step() with @torch.no_grad(), and call a closure under torch.enable_grad().",
)
MEND_KEEPS_LR = "Multiply the new gradient by the current group['lr'], and do not rescale the velocity."
# words of a diagnosis → what to do
MENDS = {
    STILL: "p = p − … creates a new tensor and leaves the parameter unchanged: write p.sub_(…) or p -= …, "
    "with p from group['params'], not a copy made in __init__.",
    OR_DEFAULT: "Treat 0 as a value; use the default only for None.",
    KEPT: "Start each group with empty lists, or step all lists once, after the last group.",
    BY_COUNT: "Do not divide: the loss averages over examples; step() must not average over parameters.",
    CUT_OFF: "Use group['lr'] unchanged: int() and round() turn a small lr into 0.",
    GOES_ON: "Go on to the next group: use `continue` instead of `return`.",
    "weight decay has the wrong sign": (
        "Add it: grad = grad.add(p, alpha=weight_decay), so that the step, which is subtracted, shrinks p."
    ),
    "the step count": (
        "Count in each parameter's own state, as with state['step'] += 1, or once per call of step(), "
        "before the loop over the parameters."
    ),
    "momentum multiplies the gradient": (
        "Multiply the buffer by momentum, and add the gradient: buf.mul_(momentum).add_(grad)."
    ),
    "with t = 0 the bias correction": (
        "Increment the count first: put state['t'] += 1 before the bias corrections."
    ),
    "stored bias-corrected": "Correct a copy: m_hat = m / (1 - beta1**t), not m.div_(...) or m /= ....",
    "both means are one tensor": "Create two: `m = v = torch.zeros_like(p)` gives one tensor two names.",
    "weight decay is added to the gradient": (
        "Do not add weight decay to the gradient; shrink w separately: p.mul_(1 - lr * weight_decay)."
    ),
    "it has no look-ahead": (
        "Step by g + momentum·buffer. If you keep the old velocity, copy it with v.clone(): v itself "
        "changes in place."
    ),
    f"{ROUGHLY[1:]}.": "Keep state and compute in the parameter's dtype, as torch.zeros_like(p) does.",
}
MEND_SKIPS = "Do the step even when lr is 0: the state it accumulates is used when lr is no longer 0."


def mended(clause: Clause, rule: Rule, said: str, smallest: Script, leaves: Mapping[str, bool]) -> str:
    """How to mend what parts from a rule; "" where the clause's own advice is all that can be said."""
    if ONLY_FIRST in said.lower():
        return mend_first(leaves)
    if AT_MISSING in said.lower():
        return mend_missing(leaves)
    for words, mend in MENDS.items():
        if words in said.lower():
            return mend
    if clause.id == "changed-lr" and SKIPS in said.lower():
        return MEND_SKIPS
    if keeps_lr(clause, rule):
        return MEND_KEEPS_LR
    if clause.id == "sizes" and len(smallest.names) > FEW:
        count = len(smallest.names)
        return f"It only shows with {count} tensors in a group: look for code that depends on their number."
    if clause.id == "rule" and (command := _shown(rule)):
        return f"{clause.mend.rstrip('.')}; {command} shows its lines."
    return ""


def keeps_lr(clause: Clause, rule: Rule) -> bool:
    """Whether this is about a changed lr, and each gradient keeps that of its own step in the velocity."""
    return clause.id == "changed-lr" and any(slot.name == "velocity" for slot in rule.slots)


def _shown(rule: Rule) -> str:
    """The command that shows a rule's lines, worked out; none for one of the user's own."""
    name = rule.name if rule.name in RULES else rule.family
    if name not in RULES:
        return ""
    here, usual = (r.defaults.get("decay") for r in (rule, RULES[name]))
    place = f" --decay {here}" if here != usual else ""
    return f"`surefoot explain {name} --at w=1 --gradient w=0.5{place}`"


def low_precision(script: Script, dtype: str, follows: Callable[[Script], bool]) -> tuple[str, str]:
    """What is to be said of plain steps of one number, and to be done, if they are wrong in few bits alone.

    `follows` tells whether a script, played in float64, follows the rule.
    """
    moves = any(isinstance(e, Move) for s in script.steps for e in s.events)
    sizes = [len(list(elements(v))) for v in script.start.values()]
    plain = dtype in NARROW and not moves and sizes == [1]
    if not plain or not follows(dataclasses.replace(script, dtypes={})):
        return "", ""
    return (
        f"Plain steps deviate from the rule in {dtype}, but follow it in float64.",
        "Compare the code path of step() for this dtype with the one for float32.",
    )
