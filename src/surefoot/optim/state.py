"""The state of parameters: made where it is missing, put into a form that can be written to, forgotten."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, TypeAlias

import torch
from torch import Tensor

from surefoot.optim.flat import zeros_end_to_end
from surefoot.optim.kernels import SHORT
from surefoot.optim.options import Options
from surefoot.optim.views import without_strides

__all__ = [
    "BUFFER",
    "LOST",
    "Entry",
    "Made",
    "State",
    "flat_buffers",
    "forget",
    "prepare",
    "refuse_sizes",
    "version",
]

BUFFER, LOST = "momentum_buffer", "compensation"
Entry: TypeAlias = dict[str, Any]  # a parameter's state
Made: TypeAlias = tuple[Entry, str, int]  # new state: where it is, its key and its version
State: TypeAlias = MutableMapping[Any, Entry]


def version(t: Tensor) -> int:
    """How often the tensor has been written to; 0 where that is not counted."""
    return 0 if t.is_inference() else t._version


def _dtype(key: str, p: Tensor, g: Tensor, o: Options) -> torch.dtype:
    """The dtype of p's state: as wished, else the gradient's; with kahan, 8 or 11 bits would lose it all."""
    own = p.dtype
    if key == BUFFER:  # torch's is g, or g + λθ
        own = torch.promote_types(g.dtype, p.dtype) if o.coupled else g.dtype
    if o.state_dtype is None and o.kahan and own in SHORT:
        return torch.float32
    dtype = o.state_dtype or own
    return dtype.to_complex() if p.is_complex() and not dtype.is_complex else dtype


def forget(state: State, made: list[Made]) -> None:
    """After a step that failed: drop state that is new and unwritten, so that a first step stays first."""
    for entry, key, before in made:
        new = entry.get(key)
        if new is None:
            continue
        unwritten = not new.is_inference() and new._version == before
        if unwritten or not (new._nnz() if new.is_sparse else new.any()):  # μ·0 may have been taken
            del entry[key]
    emptied = {id(entry) for entry, _, _ in made if not entry}
    for p in [p for p, entry in state.items() if id(entry) in emptied]:
        del state[p]


def refuse_sizes(p: Tensor, g: Tensor, b: Tensor | None) -> None:
    """Refuse a gradient or buffer that does not fit, before anything is changed."""
    if without_strides(p):
        return
    for what, t in (("gradient", g), ("momentum buffer", b)):
        if t is None or without_strides(t) or t.shape == p.shape:
            continue
        try:
            if torch.broadcast_shapes(t.shape, p.shape) == p.shape:  # type: ignore[no-untyped-call]
                continue
        except RuntimeError:
            pass
        shape, wanted = tuple(t.shape), tuple(p.shape)
        raise RuntimeError(
            f"the {what} has shape {shape}, which does not fit its parameter of shape {wanted}"
        )


def flat_buffers(params: list[Tensor], state: State, o: Options) -> dict[int, Tensor]:
    """New buffers that lie end to end as their parameters do, by the ids of these; none if one has one."""
    for p in params:
        g, kept = p.grad, state.get(p, {}).get(BUFFER)
        if kept is not None or g is None or g.is_sparse or _dtype(BUFFER, p, g, o) != p.dtype:
            return {}
    return {id(p): b for p, b in zip(params, zeros_end_to_end(params), strict=True)}


def prepare(
    entry: Entry, p: Tensor, g: Tensor, o: Options, made: list[Made], buffer: Tensor | None = None
) -> None:
    """Make the state that p lacks, and put what is there into a form that can be written to.

    `buffer`, if there is one, becomes p's.
    """
    for key, needed in ((BUFFER, o.momentum != 0), (LOST, o.kahan)):
        if not needed:
            continue
        t = entry.get(key)
        if t is None:  # or old torch's, which kept None without momentum
            if p.is_cuda and torch.cuda.is_current_stream_capturing():
                raise RuntimeError(
                    "the first step of a parameter cannot be captured; take one step before the capture"
                )
            t = buffer if key == BUFFER else None
            if t is None:
                dtype = _dtype(key, p, g, o)
                if key == BUFFER and not (g.is_sparse or without_strides(p)):
                    t = torch.full_like(p, -0.0, dtype=dtype)  # −0 + d is d to the bit, also where d is −0
                else:
                    t = torch.zeros_like(g if key == BUFFER and g.is_sparse else p, dtype=dtype)
            entry[key] = t
            made.append((entry, key, version(t)))
        elif hasattr(t, "placements") and hasattr(p, "placements") and t.placements != p.placements:
            # torch's buffer lies as the gradient did when it came first
            entry[key] = t.redistribute(p.device_mesh, p.placements)  # type: ignore[attr-defined]
        elif t.is_conj() or t.is_neg():  # lazily: its memory says something else
            entry[key] = t.resolve_conj().resolve_neg()
        elif t.is_sparse and not g.is_sparse:
            entry[key] = t.to_dense()
