"""Which fault a failure shows, where several clauses may come upon the same: it is told once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from surefoot.check.contract.clause import Probed
from surefoot.check.contract.clauses import CLAUSES
from surefoot.check.contract.diagnose import unmoved
from surefoot.check.contract.judge import Finding
from surefoot.check.contract.questions import Questions
from surefoot.check.protocol import Options
from surefoot.check.verdict import FAILED

__all__ = ["COMPANY", "MIXED_UP", "UNSTEPPED", "fault_of"]

MIXED_UP = "groups are mixed up"
# what is the matter with all clauses that hold a parameter beside others against one alone
COMPANY = (
    "A parameter is stepped differently with others than alone: they share something, such as a buffer or a "
    "count that each of them advances."
)
UNSTEPPED = "This parameter is never stepped: it is where it started."
SAVED = ("w after", "the dtypes of", "the groups' options", "the parameters after")  # of a run that goes on
BESIDE = ("group-options", "two-groups", "gradient-pauses", "add-group", "takes-parameters", "order")
ALONE = ("gradient-pauses", "late-gradient", "company", "order", "split")


def fault_of(
    clause: Probed,
    case: Mapping[str, Any],
    options: Options,
    finding: Finding,
    questions: Questions,
    told: Collection[Any],
) -> Any:
    """What several clauses may come upon: an exception, an option that does nothing, what is shared.

    Args:
        clause: that failed.
        case: with which case.
        options: with which options.
        finding: in what way.
        questions: that can be asked to find out.
        told: the faults that have been told.
    """
    id, went_on = clause.id, finding.note.startswith(SAVED)
    groups = id in ("group-options", "two-groups") and not finding.died
    if id in BESIDE and unmoved(*finding.values):
        return UNSTEPPED
    # whether two groups of equal options are not two optimizers, either
    if groups and questions.ask(CLAUSES["two-groups"], {"other": {}}, options).outcome == FAILED:
        return MIXED_UP
    if finding.raised:
        return tuple(finding.raised.values())
    if finding.died:
        return None
    if went_on and id in ("resume", "goes-back", "checkpoint-file", "distributed-checkpoint"):
        return "not saved"  # what the file lacks is not its own fault
    if "lr" in told and (id == "distributed-checkpoint" or (went_on and id == "tensor-lr")):
        return "lr"  # what is not read from the group is neither if it is 0, or a tensor
    if id in ALONE:
        beside = {"shape": (2, 2)}
        if id == "company" or questions.ask(CLAUSES["company"], beside, options).outcome == FAILED:
            return COMPANY
    return case["option"] if id in ("option-effect", "live-options") else None
