"""Examine any torch optimizer: its arithmetic against an exact rule, and the contract that all must keep.

`surefoot.check` is both this package and its main function: `surefoot.check(MySGD)` examines.
"""

from __future__ import annotations

import sys
import types
from typing import Any

from surefoot.check.run import check
from surefoot.check.verdict import Clause, Report, Verdict

__all__ = ["Clause", "Report", "Verdict", "check"]


class _Check(types.ModuleType):
    """The module itself, which can be called: `surefoot.check(…)` is `surefoot.check.check(…)`."""

    __wrapped__ = staticmethod(check)  # its signature, for help() and editors

    def __call__(self, *args: Any, **options: Any) -> Report:
        return check(*args, **options)


sys.modules[__name__].__class__ = _Check
__doc__ = check.__doc__ or ""  # so that help(surefoot.check) and `surefoot.check?` say what to pass
