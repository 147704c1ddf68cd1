"""Buffers that no state_dict has: a resumed run begins with them as they are made."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Unsaved", "place", "saved"]


class Unsaved:
    """The buffers that modules register with persistent=False, as they are before the first step.

    Args:
        modules: the model, and the loss where it is one.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self._modules = modules
        self._before = {name: b.clone() for name, b in self._found().items()}

    def warn(self) -> None:
        """Warn, once, of one that training has changed; one of another shape now is taken for a cache."""
        if not self._before:
            return
        now = self._found()
        changed = [name for name, b in self._before.items() if name in now and _changed(now[name], b)]
        if changed:
            self._before = {}
            name = changed[0]
            others = f" (and {len(changed) - 1:,} more)" if len(changed) > 1 else ""
            warnings.warn(
                f"Training changes the buffer '{name}'{others}, which is registered with persistent=False: no"
                " checkpoint holds it, so a resumed run starts with its initial value, and may end"
                " differently. Register it without persistent=False if it matters.",
                stacklevel=2,
            )

    def _found(self) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for whole in self._modules:
            buffers = dict(_unsaved(whole))
            kept = saved(whole) if buffers else {}
            held = {place(value) for value in kept.values()}
            found |= {n: b for n, b in buffers.items() if n not in kept and place(b) not in held}
        return found


def _unsaved(whole: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The buffers with persistent=False, but for those of a module that says itself what to save of it."""
    for path, module in whole.named_modules():
        names = getattr(module, "_non_persistent_buffers_set", ())  # a scripted one may have none
        if not names or type(module).get_extra_state is not nn.Module.get_extra_state:
            continue
        for name, buffer in module.named_buffers(path, recurse=False):
            if name.rpartition(".")[2] in names and buffer.numel():
                yield name, buffer


def saved(whole: nn.Module) -> dict[str, Any]:
    """What checkpoints hold of the module, whose state_dict may be a method of its own without options."""
    found = whole.state_dict()
    return dict(found) if isinstance(found, Mapping) else {}


def place(value: Any) -> int:
    """What a tensor and its alias in a state_dict have in common."""
    try:
        return value.data_ptr() or id(value)
    except Exception:
        return id(value)  # no tensor, or one without a storage of its own, as what is sparse


def _changed(now: Tensor, before: Tensor) -> bool:
    """Whether other bits are in the same shape; False where that cannot be told."""
    try:
        if now.layout != before.layout or now.is_nested != before.is_nested or now.dtype != before.dtype:
            return False
        if not now.is_nested and (now.shape != before.shape or now.device != before.device):
            return False
        ones, others = _parts(now), _parts(before)
        if now.is_nested and [one.shape for one in ones] != [other.shape for other in others]:
            return False
        return not all(torch.equal(_bytes(a), _bytes(b)) for a, b in zip(ones, others, strict=True))
    except Exception:
        return False  # a quantized one, say, or a subclass of Tensor: no reason to end a run


def _parts(t: Tensor) -> list[Tensor]:
    """The strided tensors that it consists of.

    Raises:
        TypeError: of a kind of which torch gives none, or ends the process when it is asked for bytes.
    """
    if t.is_quantized or t.is_meta:
        raise TypeError("no bits to compare")
    if t.is_nested:
        return [*t.unbind()]
    if t.layout == torch.sparse_coo:
        t = t.coalesce()
        return [t.indices(), t.values()]
    if t.layout in (torch.sparse_csr, torch.sparse_bsr):
        return [t.crow_indices(), t.col_indices(), t.values()]
    if t.layout in (torch.sparse_csc, torch.sparse_bsc):
        return [t.ccol_indices(), t.row_indices(), t.values()]
    if t.layout != torch.strided:
        raise TypeError(f"no parts of {t.layout}")
    return [t]


def _bytes(t: Tensor) -> Tensor:
    """Its bits, where it is: NaN equals itself."""
    whole = t.detach().resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format)
    return whole.reshape(-1).view(torch.uint8)
