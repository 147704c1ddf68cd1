"""Which functions an optimizer replaced: in torch, where it would change others, or in surefoot itself."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from surefoot.check.protocol import DEFAULT_DTYPE

__all__ = ["Watch"]


class Watch:
    """What torch and surefoot were when it was made."""

    def __init__(self) -> None:
        self.before = {name: dict(vars(place)) for name, place in _places().items()}
        self.dtype = sys.modules["torch"].get_default_dtype()

    def patched(self) -> list[str]:
        """Return the names in torch and surefoot that are no longer what they were."""
        found = [] if sys.modules["torch"].get_default_dtype() is self.dtype else [DEFAULT_DTYPE]
        for name, place in _places().items():
            now = vars(place)
            if name not in self.before:
                continue
            for key, value in self.before[name].items():
                changed = now.get(key) is not value and not _torchs_own(now.get(key))
                if changed and not key.startswith("__") and callable(value):
                    found.append(f"{name}.{key}")
            bases = place.__mro__[1:-1] if isinstance(place, type) else ()
            new = [k for k in now if k not in self.before[name] and any(k in vars(b) for b in bases)]
            found += [f"{name}.{k}" for k in new if not _torchs_own(now[k])]
        return sorted(found)


def _torchs_own(function: Any) -> bool:
    """Whether torch put it there: it imports parts later, and torch.Storage goes by the default dtype."""
    if isinstance(function, type):
        return function.__module__ == "torch"
    code = getattr(function, "__code__", None)
    return code is not None and code.co_filename.startswith(
        os.path.dirname(sys.modules["torch"].__file__ or "?")
    )


def _places() -> dict[str, Any]:
    """Return where a patch would change what is observed."""
    import torch

    places: dict[str, Any] = {
        "torch": torch,
        "torch.Tensor": torch.Tensor,
        "torch.optim.Optimizer": torch.optim.Optimizer,
        "torch.nn.functional": torch.nn.functional,
        "json": json,
    }
    ours = (
        "surefoot.check.subject.patient",
        "surefoot.check.subject.prepared",
        "surefoot.check.contract",
        "surefoot.trace.record",
        "surefoot.trace.tensors",
        "surefoot.check.sandbox.child",
        "surefoot.check.sandbox.patched",
    )
    return {**places, **{n: m for n, m in list(sys.modules.items()) if n.startswith(ours)}}
