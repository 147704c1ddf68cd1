"""Every number of every step worked out as one would by hand; see `explain`."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from surefoot.explain.explain import explain
from surefoot.explain.explanation import Explanation

__all__ = ["Explanation", "explain"]


class _Explain(ModuleType):
    """The module itself, which can be called: `surefoot.explain(…)` is `surefoot.explain.explain(…)`."""

    __wrapped__ = staticmethod(explain)  # its signature, for help() and editors

    def __call__(self, *args: Any, **options: Any) -> Explanation:
        return explain(*args, **options)


sys.modules[__name__].__class__ = _Explain
__doc__ = explain.__doc__ or ""  # so that help(surefoot.explain) and `surefoot.explain?` say what to pass
