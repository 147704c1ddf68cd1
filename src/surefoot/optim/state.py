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
    "refuse_unfit",
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


def refuse_unfit(p: Tensor, g: Tensor, b: Tensor | None, e: Tensor | None, o: Options) -> None:
    """Refuse a gradient, buffer or compensation that p cannot be stepped by, before anything is changed."""
    if without_strides(p):
        return
    alike = (p.dtype, p.shape, p.device)
    if p.is_contiguous() and all(t is None or (t.dtype, t.shape, t.device) == alike for t in (g, b, e)):
        return
    if _expanded(p):
        raise RuntimeError(
            "more than one element of the written-to tensor refers to a single memory location: the parameter"
            f" of shape {tuple(p.shape)} is expanded; give it its own memory with p.data = p.data.clone()"
        )
    d = torch.promote_types(g.dtype, p.dtype) if o.coupled else g.dtype
    for what, t in (("gradient", g), ("momentum buffer", b), ("compensation", e)):
        if t is None:
            continue
        if t.device != p.device and (t.dim() or t.device.type != "cpu"):
            raise RuntimeError(f"the {what} is on {t.device}, but its parameter is on {p.device}")
        why = _cannot_add(t.dtype, p.dtype)
        if t is not g:
            why = why or _cannot_add(d, t.dtype)
            if not why and t.dtype not in _DTYPES:
                why = f"torch has no arithmetic for {t.dtype}"
        if why:
            raise RuntimeError(
                f"the {what} has dtype {t.dtype}, which does not fit its parameter's {p.dtype}: {why}"
            )
        if without_strides(t):
            continue
        # the decay, of p's shape, goes into the buffer
        narrow = t is b and not o.coupled and not without_strides(g)
        if not (_goes_into(t, p) and (t is g or _goes_into(g if narrow else p, t))):
            raise RuntimeError(
                f"the {what} has shape {tuple(t.shape)}, but its parameter has shape {tuple(p.shape)}"
            )


_DTYPES = (
    *SHORT, torch.float32, torch.float64, torch.complex32, torch.complex64, torch.complex128,
    torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
)  # fmt: skip


def _cannot_add(dtype: torch.dtype, into: torch.dtype) -> str:
    """Why torch cannot add the one to the other in place, in its words; empty if it can."""
    if not torch.can_cast(dtype, into):
        try:
            torch.empty(0, dtype=into, device="cpu").add_(torch.empty(0, dtype=dtype, device="cpu"))
        except RuntimeError as error:
            return str(error)
    return ""


def _goes_into(t: Tensor, other: Tensor) -> bool:
    """Whether t can be added to the other in place."""
    if t.shape == other.shape:
        return True
    try:
        return torch.broadcast_shapes(t.shape, other.shape) == other.shape  # type: ignore[no-untyped-call,no-any-return]
    except RuntimeError:
        return False


def _expanded(t: Tensor) -> bool:
    return any(stride == 0 and size > 1 for stride, size in zip(t.stride(), t.shape, strict=True))


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
        elif not isinstance(t, Tensor):
            what = "momentum buffer" if key == BUFFER else key
            raise TypeError(
                f"the {what} of the parameter of shape {tuple(p.shape)} is a {type(t).__name__}, not a tensor"
            )
        elif hasattr(t, "placements") and hasattr(p, "placements") and t.placements != p.placements:
            # torch's buffer lies as the gradient did when it came first
            entry[key] = t.redistribute(p.device_mesh, p.placements)  # type: ignore[attr-defined]
        elif t.is_conj() or t.is_neg():  # lazily: its memory says something else
            entry[key] = t.resolve_conj().resolve_neg()
        elif t.is_sparse and not g.is_sparse:
            entry[key] = t.to_dense()
        elif not without_strides(t) and (
            _expanded(t) or (t.is_inference() and not torch.is_inference_mode_enabled())
        ):
            entry[key] = t.clone()
