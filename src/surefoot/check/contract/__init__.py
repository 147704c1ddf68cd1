"""The contract: what every optimizer must keep, whatever its rule; one small probe for each clause."""

from __future__ import annotations

from surefoot.check.contract.clauses import CLAUSES
from surefoot.check.contract.examine import examine

__all__ = ["CLAUSES", "examine"]
