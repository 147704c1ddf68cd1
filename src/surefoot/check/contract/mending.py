"""Why a failure matters and how it is mended, where what came says more than the clause itself can."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from surefoot.check.contract.clause import Probed
from surefoot.check.contract.clauses import CLAUSES
from surefoot.check.contract.diagnose import CAST, NOT_FINITE, NOT_FINITE_AT_FIRST, ZEROED, diagnose
from surefoot.check.contract.facts import UNREADY
from surefoot.check.contract.faults import COMPANY, MIXED_UP, UNSTEPPED
from surefoot.check.contract.judge import Finding
from surefoot.check.contract.questions import Questions
from surefoot.check.contract.tools import OF_AN_OPTIMIZER
from surefoot.check.known.ends import mend_first
from surefoot.check.known.unset import MEND_UNSET, UNSET, read_unset
from surefoot.check.protocol import Options
from surefoot.check.verdict import ENDS, FAILED, MEND_END

__all__ = ["MEND_CLOSURE", "advice", "instead", "of_constructor"]

MEND_CLOSURE = "Call it only if one is given: if closure is not None: loss = closure()."
UNMADE = "If an optimizer cannot be constructed, nothing else can be checked."
NOT_MADE = "It cannot be constructed."
MEND_UNMADE = "Run the lines below: the traceback ends at the line of __init__ that raises."
MEND_UNREADY = (
    "Begin __init__ with super().__init__(params, dict(lr=lr)), with every option in the dict; it creates "
    "self.param_groups and self.state."
)
LOST = (
    "self.{} is lost: torch's Optimizer.__getstate__ keeps only defaults, state and param_groups. Keep "
    "options in the group and changing values in self.state[p]; or define __getstate__."
)
LEFT_TO_TORCH = "Leave state_dict() and load_state_dict() to torch: they cover all state and all groups."
MEND_LATER = (
    "Keep in the group what __init__ computes for it: a list in self does not cover a group that is added "
    "later, and zip(self.param_groups, self.base_lrs) ends before it."
)
UNMARKED = re.compile(r"group\[['\"](\w+)['\"]\]")
MEND_UNMARKED = (
    "The added group has no {!r}: put a default into the dict given to super().__init__(), from which "
    "add_param_group() completes a group; or override add_param_group(), and reject the group there."
)
BY_PLACE = (
    "Groups with equal options are mixed up, too, so the options are not the cause: keep what belongs to a "
    "parameter in self.state[p], not in a list by position."
)
NO_GRAD = "Decorate step() with @torch.no_grad(), and call a closure under torch.enable_grad()."
RECORDED = "Autograd records what step() does."
MEND_ZEROED = "Take p.grad.zero_() out of step(): the training loop calls optimizer.zero_grad()."
MEND_NOT_FINITE = "Look for a division whose divisor can be 0, and for the root of a negative number."
MEND_COUNT = (
    "Look for a divisor that is 0 at the first step; a count must be 1 there: raise it before it is used."
)
OUT_OF_PLACE = (
    "Update p in place, with p.sub_(lr * d) or p -= lr * d: `p = p - lr * d` creates a new tensor and "
    "leaves the parameter unchanged."
)
NEVER = "An optimizer whose plain step fails cannot train anything."
# what is asked of the list of parameters by a constructor that takes something else
WANTED = re.compile(r"'list' object has no attribute '(\w+)'")


def advice(
    clause: Probed,
    case: Mapping[str, Any],
    finding: Finding,
    options: Options,
    questions: Questions,
    fault: Any,
) -> dict[str, str]:
    """Say what reproduces a failure, why it matters and how to mend it, as far as the clause does not.

    Args:
        clause: the clause that failed.
        case: with which case.
        finding: in what way.
        options: with which options.
        questions: that can be asked to find out.
        fault: what it shows, by `fault_of`.

    Returns:
        Parts of the Verdict: diagnosis, why and mend.
    """
    id, note = clause.id, finding.note
    given = questions.given
    signature = questions.patient.signature
    used = {**signature.options, **signature.call(given), **options}
    why, diagnosis = "", diagnose(id, note, *finding.values, used)
    line = finding.raised["line"] if finding.raised else ""
    mend = _of_failure(id, note, line, str(case.get("kind", "")), fault == MIXED_UP)
    if fault == UNSTEPPED:
        both = questions.ask(CLAUSES["two-groups"], {"other": {}}, options)
        # are those stepped that are there from the start?
        later = id == "add-group" and both.outcome != FAILED
        diagnosis, mend = diagnosis or UNSTEPPED, MEND_LATER if later else mend_first(signature.leaves)
    if diagnosis == ZEROED:
        mend = MEND_ZEROED
    if fault == COMPANY:
        diagnosis, mend = diagnosis or COMPANY, CLAUSES["company"].mend
    if id == "checkpoint-file" and (not finding.raised or diagnosis == CAST):  # it is read, but not gone on
        why = CLAUSES["resume"].why
    if id == "steps" and finding.raised and finding.raised["action"] == "construction":
        why, diagnosis, mend = UNMADE, NOT_MADE, of_constructor(note) or MEND_UNMADE
    elif id == "steps" and not finding.died:
        # an option that was given may need what is not here, as capturable a GPU
        asked = bool(options or set(given) - {"lr"})
        mend = _of_step(note, finding.where if finding.raised else "", not asked)
        if mend == NO_GRAD:
            diagnosis = RECORDED
        elif diagnosis in (NOT_FINITE, NOT_FINITE_AT_FIRST):
            mend = MEND_COUNT if diagnosis == NOT_FINITE_AT_FIRST else MEND_NOT_FINITE
        elif slot := read_unset(note, line):
            diagnosis, mend = UNSET.format(slot), MEND_UNSET.format(slot)
        why = "" if asked else NEVER
    of_groups = id == "steps" and "has no attribute 'param_groups'" in note
    if (of_groups or id == "is-optimizer") and questions.fact("an optimizer") == UNREADY:
        diagnosis, mend = f"{UNREADY.capitalize()}.", MEND_UNREADY
    if finding.died:
        why, mend = ENDS, MEND_END
    return {"diagnosis": diagnosis, "why": why, "mend": mend}


def instead(name: str, said: str) -> str:
    """Say what a constructor that raised this takes instead of parameters, and what to examine then."""
    if "named_parameters" in said:
        pairs = '[(f"p{i}", p) for i, p in enumerate(params)]'
        return (
            f"{name} takes named parameters: {said}. Write a function that builds it from parameters, such "
            f"as def make(params): return {name}({pairs}), and check that function instead."
        )
    wanted = WANTED.search(said)
    if not wanted:
        return ""
    what, made = "a model", f"{name}(types.SimpleNamespace(parameters=lambda: params))"
    if wanted[1] in OF_AN_OPTIMIZER:
        what, made = "an optimizer", f"{name}(torch.optim.SGD(params))"
    return (
        f"{name} takes {what}, not parameters: it reads .{wanted[1]}. Write a function that builds it from "
        f"parameters, such as def make(params): return {made}, and check that function instead."
    )


def of_constructor(said: str) -> str:
    """Say how the constructor of torch's Optimizer is called, if that is what raised.

    Example:
        >>> of_constructor("Optimizer.__init__() got an unexpected keyword argument 'lr'")
        "torch's Optimizer.__init__ takes (params, defaults): super().__init__(params, dict(lr=lr))."
    """
    if "Optimizer.__init__() " in said or "'float' object has no attribute 'items'" in said:
        return "torch's Optimizer.__init__ takes (params, defaults): super().__init__(params, dict(lr=lr))."
    return ""


def _of_step(what: str, where: str, plain: bool) -> str:
    """Say how a step is mended that raises, or moves nothing; "" if some options do not go together.

    Args:
        what: the exception that was raised, or what the claim was about.
        where: the line that raised, if it is the author's.
        plain: whether it takes no option beside those that were given.

    Example:
        >>> _of_step("NameError: name 'lr' is not defined", "line 12: p.sub_(lr * g)", True)
        'step() itself raises: fix line 12: p.sub_(lr * g)'
    """
    if "a leaf Variable that requires grad" in what:
        return NO_GRAD
    if what.startswith("w moves"):
        return OUT_OF_PLACE
    return f"step() itself raises: fix {where}" if plain and where else ""


def _of_failure(id: str, what: str, line: str, kind: str, mixed_up: bool) -> str:
    """Say how to mend it, or nothing where the clause says it best.

    Args:
        id: the clause that failed.
        what: what its claim was about, or the exception that was raised.
        line: the line that raised it, if one did.
        kind: what was given, where that is what the clause varies.
        mixed_up: whether two groups of equal options are no two optimizers, either.
    """
    lost = re.search(r"AttributeError: .* object has no attribute '(\w+)'", what)
    if id in ("pickles", "deep-copies") and lost:
        return LOST.format(lost[1])
    if id == "add-group" and (lacking := UNMARKED.search(line)) and what == f"KeyError: '{lacking[1]}'":
        return MEND_UNMARKED.format(lacking[1])
    if id in ("group-options", "two-groups") and mixed_up:
        return BY_PLACE
    if id == "checkpoint-file" and what.startswith("w after"):  # it was read, but says too little
        return CLAUSES["resume"].mend
    if id == "distributed-checkpoint" and what in ("KeyError: 'state'", "KeyError: 'param_groups'"):
        return LEFT_TO_TORCH
    if id == "distributed-checkpoint" and "unexpected keyword argument 'state_dict'" in what:
        return "torch's distributed code passes it by keyword: def load_state_dict(self, state_dict)."
    if id == "layouts" and "refers to a single memory location" in what:  # an expanded p.grad is written into
        return CLAUSES["grad-kept"].mend
    return next((mend for words, mend in CLAUSES[id].mends.items() if words in f"{what} {kind}"), "")
