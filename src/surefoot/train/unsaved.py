"""Buffers that no state_dict has: a resumed run begins with them as they are made."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from torch import Tensor, nn

__all__ = ["Unsaved"]


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
        changed = [
            name
            for name, before in self._before.items()
            if name in now and _like(now[name], before) and not _same(now[name], before)
        ]
        if changed:
            self._before = {}
            name = changed[0]
            others = f" (and {len(changed) - 1:,} more)" if len(changed) > 1 else ""
            warnings.warn(
                f"Training changes the buffer '{name}'{others}, which is registered with persistent=False: no"
                " checkpoint holds it, so a resumed run goes on with what the model is made with, and ends"
                " otherwise. Register it without persistent=False, if it matters.",
                stacklevel=2,
            )

    def _found(self) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for whole in self._modules:
            saved = whole.state_dict(keep_vars=True)
            held = {id(value) for value in saved.values()}
            for path, module in whole.named_modules():
                if type(module).get_extra_state is not nn.Module.get_extra_state:
                    continue  # what it saves there is its own
                for name, buffer in module.named_buffers(path, recurse=False):
                    if name not in saved and id(buffer) not in held and buffer.numel():
                        found[name] = buffer
        return found


def _like(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype and one.device == other.device


def _same(one: Tensor, other: Tensor) -> bool:
    return bool(((one == other) | ((one != one) & (other != other))).all())  # NaN was there before, too
