"""What of a situation's runs parts from a rule, and which runs no float can follow."""

from __future__ import annotations

import dataclasses
from typing import TypeAlias

from surefoot.check.arithmetic.claim import Claim
from surefoot.check.arithmetic.recording import Recording
from surefoot.check.protocol import MISFIT, Raised
from surefoot.errors import InputError
from surefoot.trace import Mismatch, Trace
from surefoot.trace.values import elements

__all__ = ["Fault", "Wrong", "fault_in", "runs_away"]

Fault: TypeAlias = Mismatch | Raised

FAR = 1e30  # for a float32, too, its squares are near the end


def fault_in(recording: Recording, claim: Claim) -> Fault | None:
    """Where a recording parts from a claim, or what the optimizer raised; None if neither."""
    if isinstance(recording.outcome, Trace):
        return claim.mismatch(recording.outcome)
    return recording.outcome if isinstance(recording.outcome, Raised) else None


@dataclasses.dataclass(frozen=True)
class Wrong:
    """What is wrong in one situation.

    Args:
        faults: the first fault of each run that parts from the rule.
        recordings: all runs that were judged.
        telling: the faults that it is told by, where not all are.
    """

    faults: list[tuple[Recording, Fault]]
    recordings: list[Recording]
    telling: list[tuple[Recording, Fault]] = dataclasses.field(default_factory=list)

    def by(self, faults: list[tuple[Recording, Fault]]) -> Wrong:
        """The same, told by these faults."""
        return dataclasses.replace(self, telling=faults)

    @property
    def told(self) -> list[tuple[Recording, Fault]]:
        return self.telling or self.faults

    @property
    def runs(self) -> str:
        """In how many runs, such as "2 of 3 runs"."""
        return f"{len(self.faults)} of {len(self.recordings)} runs"

    @property
    def traces(self) -> list[Trace]:
        return [t for r, _ in self.faults if (t := r.trace)]

    @property
    def raises(self) -> bool:
        """Whether a run ends in an exception, so that not all have a trace."""
        return len(self.traces) < len(self.faults)

    @property
    def raising(self) -> Wrong:
        """The same of the runs alone that end in an exception."""
        return Wrong([f for f in self.faults if isinstance(f[1], Raised)], self.recordings)

    @property
    def exceptions(self) -> list[str]:
        raised = (f for _, f in self.faults if isinstance(f, Raised))
        # where shapes do not fit, which they are goes by the script
        said = (f.kind if MISFIT.search(f.said) else f"{f.kind}: {f.said}\n{f.line}" for f in raised)
        return list(dict.fromkeys(said))


def runs_away(recording: Recording, claim: Claim) -> bool:
    """Whether the rule itself makes numbers in this run that a float cannot hold, or hardly."""
    if (trace := recording.trace) is None:
        return False
    numbers = [abs(x) for m in trace.steps for value in m.w.values() for x in elements(value)]
    if all(x < FAR for x in numbers):
        return False
    try:
        expected = claim.expected(trace.script)
    except InputError:  # so far that it is not gone on with
        return True
    return any(abs(x) > FAR for m in expected.steps for value in m.w.values() for x in elements(value))
