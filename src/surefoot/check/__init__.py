"""Examine any torch optimizer: its arithmetic against an exact rule, and the contract that all must keep.

`surefoot.check` is both this package and its main function: `surefoot.check(MySGD)` examines.
"""

from __future__ import annotations

from surefoot.check.run import check
from surefoot.check.verdict import Clause, Report, Verdict
from surefoot.loading import called_as

__all__ = ["Clause", "Report", "Verdict", "check"]

called_as(__name__, check)
