"""Every number of every step worked out as one would by hand; see `explain`."""

from __future__ import annotations

from surefoot.explain.explain import explain
from surefoot.explain.explanation import Explanation
from surefoot.loading import called_as

__all__ = ["Explanation", "explain"]

called_as(__name__, explain)
