"""What happens to an optimizer (Script), and what it makes of it (Trace): replayed on a rule, or recorded."""

from __future__ import annotations

from surefoot.trace.code import to_torch_code
from surefoot.trace.compare import Mismatch, compare
from surefoot.trace.events import Group, Move, Reload, Set, Step
from surefoot.trace.record import OptimizerRaised, record
from surefoot.trace.replay import magnitudes, replay
from surefoot.trace.script import Function, Script
from surefoot.trace.trace import Moment, Trace

__all__ = [
    "Function",
    "Group",
    "Mismatch",
    "Moment",
    "Move",
    "OptimizerRaised",
    "Reload",
    "Script",
    "Set",
    "Step",
    "Trace",
    "compare",
    "magnitudes",
    "record",
    "replay",
    "to_torch_code",
]
