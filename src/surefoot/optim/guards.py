"""Whether tensors are still what they were: one call for all of them, since every step asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor

__all__ = ["guard"]

Check: TypeAlias = Callable[..., bool]


def guard(*tensors: Tensor) -> Check:
    """A check of as many objects: each of the type, dtype, device, layout, shape and strides of its own."""
    # of sparse ones torch's own ask for strides, which they have not
    return (_by_guards if _TRUSTED and not any(t.is_sparse for t in tensors) else _by_python)(*tensors)


def _by_guards(*tensors: Tensor) -> Check:
    """By what torch.compile asks before it runs a program again: in C++, but private in torch."""
    sizes: list[Any] = [list(t.shape) for t in tensors]
    strides: list[Any] = [list(t.stride()) for t in tensors]
    guards = torch._C._dynamo.guards.TensorGuards(
        *tensors, dynamic_dims_sizes=sizes, dynamic_dims_strides=strides
    )
    return guards.check


def _by_python(*tensors: Tensor) -> Check:
    def facts(t: Any) -> Any:
        if not isinstance(t, Tensor) or not (t.is_sparse or t.layout == torch.strided):
            return None
        strides = None if t.is_sparse else t.stride()
        return type(t), t.dtype, t.device, t.shape, strides, t.is_neg()

    known = list(map(facts, tensors))
    return lambda *others: list(map(facts, others)) == known


def _tells_all_apart() -> bool:
    """Try the private check, for another torch may have another one, or none."""
    try:
        with torch.device("cpu"):  # whatever the default is where this is imported
            one = torch.ones(2, 2)
            others = (
                torch.ones(3, 2), torch.ones(2, 1), torch.ones(4), torch.ones(2, 2).t(),
                torch.ones(2, 4)[:, ::2], one.double(), one.to("meta"), one.to_sparse(), torch._neg_view(one),
                torch.nn.Parameter(one), None,
            )  # fmt: skip
            same = _by_guards(one, one)
            return same(torch.zeros(2, 2), one) and not any(same(one, other) for other in others)
    except Exception:
        return False


_TRUSTED = _tells_all_apart()
