"""In which precision a loss is computed, whatever the dtype of the parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["unit_of"]


class _Followed(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows numbers from the parameters on, and notes the coarsest dtype on the way to each.

    Below autograd, so that it sees what the forward pass of an autograd.Function does, and by their storage,
    so that views and changes in place are followed too.
    """

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: list[Tensor] = []  # alive, so that no storage is used again
        self.eps: dict[int, float] = {}
        for p in parameters:
            self.note(p, 0.0)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if not (name.endswith("_like") or name.startswith("new_")):  # whose numbers are their own
            before = [self.eps[k] for k in map(_storage, _tensors((args, kwargs))) if k in self.eps]
            if before:
                for t in _tensors(out):
                    self.note(t, max(before))
        return out

    def note(self, t: Tensor, before: float) -> None:
        if t.is_floating_point() or t.is_complex():  # else a mask, an index: what it chooses has no digits
            key = _storage(t)
            self.eps[key] = max(self.eps.get(key, 0.0), before, torch.finfo(t.dtype).eps)
            self.kept.append(t)


def _tensors(tree: Any) -> list[Tensor]:
    return [t for t in tree_leaves(tree) if isinstance(t, Tensor)]


def _storage(t: Tensor) -> int:
    return id(t) if t.layout != torch.strided else t.untyped_storage()._cdata


def unit_of(evaluate: Callable[[], Tensor], parameters: Iterable[Tensor]) -> float:
    """The unit roundoff of a loss: 2⁻⁵³ of one in float64, 2⁻²⁴ if parameters are cast to float32 on the way.

    Args:
        evaluate: computes the loss.
        parameters: what it is computed from.
    """
    with torch.enable_grad(), _Followed(parameters) as followed:
        loss = evaluate()
    least = torch.finfo(torch.float64).eps
    return float(max(followed.eps.get(_storage(loss), 0.0), torch.finfo(loss.dtype).eps, least)) / 2
