"""What of a situation's runs parts from a rule, and which runs no float can follow."""

from __future__ import annotations

import dataclasses

from surefoot.check.claim import Claim
from surefoot.check.failure import Fault
from surefoot.check.protocol import Raised
from surefoot.check.recording import Recording
from surefoot.errors import InputError
from surefoot.trace import Trace
from surefoot.trace.values import elements

__all__ = ["Wrong", "runs_away"]

FAR = 1e30  # for a float32, too, its squares are near the end


@dataclasses.dataclass(frozen=True)
class Wrong:
    """The first fault of each run that parts from the rule; and all runs that were judged."""

    faults: list[tuple[Recording, Fault]]
    recordings: list[Recording]

    @property
    def runs(self) -> str:
        return f"{len(self.faults)} of {len(self.recordings)} runs"

    @property
    def traces(self) -> list[Trace]:
        return [t for r, _ in self.faults if (t := r.trace)]

    @property
    def raises(self) -> bool:
        """Whether a run ends in an exception, so that not all have a trace."""
        return len(self.traces) < len(self.faults)

    @property
    def exceptions(self) -> set[str]:
        return {f"{f.kind}: {f.said}\n{f.line}" for _, f in self.faults if isinstance(f, Raised)}


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
