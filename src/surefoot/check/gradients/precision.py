"""In which precision a loss is computed, whatever the dtype of the parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

__all__ = ["unit_of"]


class _Seen(TorchFunctionMode):
    """Notes the coarsest dtype of what is computed from the parameters."""

    eps = 0.0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        self.note(out)
        return out

    def note(self, out: Any) -> None:
        for t in out if isinstance(out, (tuple, list)) else [out]:
            if isinstance(t, Tensor) and t.requires_grad:  # else a constant: a mask, a target
                self.eps = max(self.eps, torch.finfo(t.dtype).eps)


def unit_of(evaluate: Callable[[], Tensor]) -> float:
    """The unit roundoff of a loss: 2⁻⁵³ of one in float64, 2⁻²⁴ if parameters are cast to float32 on the way.

    Args:
        evaluate: computes the loss.
    """
    with torch.enable_grad(), _Seen() as seen:
        seen.note(evaluate())
    return float(max(seen.eps, torch.finfo(torch.float64).eps)) / 2
