"""What a model is called with: one tensor, or several, in their order or by their names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from surefoot.errors import InputError, a_kind
from surefoot.train.data.scale import Scaling

__all__ = [
    "TARGETS",
    "Inputs",
    "Several",
    "called",
    "check_taken",
    "of_several",
    "pair_of",
    "scaling_of_several",
    "tensors",
]

_ARRAYS = (Tensor, np.ndarray)
TARGETS = ("labels", "label", "targets", "target", "y")  # what the targets may be called in a dict

Inputs: TypeAlias = "Tensor | Several"


class Several:
    """Inputs of a model that takes several: `model(a, b)`, or by their names, `model(a=a, b=b)`.

    Like one tensor they can be picked from, split and moved; each row has its part in every one.

    Args:
        parts: one or more tensors, of as many rows each.
        names: of each, where the model is called by them.

    Raises:
        InputError: there is none, or they have different numbers of rows.
    """

    def __init__(self, parts: Sequence[Tensor], names: Sequence[str] = ()) -> None:
        self.parts, self.names = tuple(parts), tuple(names)
        counts = [len(part) if part.ndim else 0 for part in self.parts]
        if not counts or len({*counts}) > 1:
            told = ", ".join(f"{n} {c:,}" for n, c in zip(self.told, counts, strict=True)) or "none"
            raise InputError(f"Several inputs must each have one row per target, but there are: {told}.")

    @classmethod
    def of(cls, given: Any, each: Callable[[Any], Tensor] = torch.as_tensor) -> Several:
        """From a tuple, a list or a dict of what `each` makes tensors of."""
        if isinstance(given, Mapping):
            if wrong := [name for name in given if not isinstance(name, str)]:
                raise InputError(
                    f"A model is called with its inputs by name, but {wrong[0]!r} is not a valid name."
                )
            return cls([each(part) for part in given.values()], [*given])
        return cls([each(part) for part in given])

    @property
    def told(self) -> list[str]:
        """What each is called in a message."""
        return [*self.names] or [f"input {i}" for i in range(1, len(self.parts) + 1)]

    @property
    def given(self) -> tuple[Tensor, ...] | dict[str, Tensor]:
        """As the user has them: a tuple, or a dict."""
        return dict(zip(self.names, self.parts, strict=True)) if self.names else self.parts

    def into(self, model: nn.Module) -> Any:
        """The model's output."""
        return model(**dict(zip(self.names, self.parts, strict=True))) if self.names else model(*self.parts)

    def map(self, change: Callable[[Tensor], Tensor]) -> Several:
        """The same of each changed."""
        return Several([change(part) for part in self.parts], self.names)

    @property
    def device(self) -> torch.device:
        """Where they are."""
        return self.parts[0].device

    def __len__(self) -> int:
        return len(self.parts[0])

    def __getitem__(self, rows: slice) -> Several:
        return self.map(lambda part: part[rows])

    def numel(self) -> int:
        """Numbers in all of them."""
        return sum(part.numel() for part in self.parts)

    def clone(self) -> Several:
        """Copies."""
        return self.map(Tensor.clone)

    def to(self, device: torch.device) -> Several:
        """The same on a device."""
        return self.map(lambda part: part.to(device))

    def index_select(self, dim: int, rows: Tensor) -> Several:
        """Some rows."""
        return self.map(lambda part: part.index_select(dim, rows))

    def split(self, size: int) -> list[Several]:
        """So many rows at a time."""
        return self._zipped(part.split(size) for part in self.parts)  # type: ignore[no-untyped-call]

    def tensor_split(self, count: int) -> list[Several]:
        """In so many parts as equal as can be."""
        return self._zipped(part.tensor_split(count) for part in self.parts)

    def _zipped(self, splits: Any) -> list[Several]:
        return [Several(parts, self.names) for parts in zip(*splits, strict=True)]


def called(model: nn.Module, x: Inputs) -> Any:
    """The model's output."""
    return x.into(model) if isinstance(x, Several) else model(x)


def tensors(x: Inputs) -> tuple[Tensor, ...]:
    """All tensors of the inputs."""
    return x.parts if isinstance(x, Several) else (x,)


def of_several(given: Any, rows: int | None = None) -> bool:
    """Whether these are inputs of a model that takes several: a dict, or a sequence of tensors or arrays.

    Args:
        given: the inputs.
        rows: how many targets there are, where a sequence of as many tensors is one for each row.
    """
    if isinstance(given, Mapping):
        return True
    arrays = isinstance(given, (tuple, list)) and bool(given) and all(isinstance(t, _ARRAYS) for t in given)
    return arrays and len(given) != rows and all(t.ndim for t in given)


def scaling_of_several(scaling: Callable[..., Any] | None) -> Callable[[Several], Several] | None:
    """A scaling that is given the tuple or dict of inputs, and gives one again.

    Raises:
        InputError: it is one that `Data` has, of one tensor.
    """
    if isinstance(scaling, Scaling):
        raise InputError("That scaling is for one tensor of inputs; give a function of all of them.")
    return None if scaling is None else partial(_scaled, scaling)


def _scaled(scaling: Callable[[Any], Any], x: Several) -> Several:
    found = scaling(x.given)
    if not (of_several(found) and all(isinstance(t, Tensor) for t in Several.of(found).parts)):
        raise InputError(
            f"The scaling returns {a_kind(found)}; for several inputs it must return a tuple or a"
            " dict of tensors."
        )
    return Several.of(found)


def check_taken(model: nn.Module, x: Inputs) -> None:
    """Raise an InputError where the model's forward does not take so many inputs, or none of these names."""
    if not isinstance(x, Several) or model._forward_pre_hooks:  # which may change what it is called with
        return
    try:
        wanted = inspect.signature(model.forward)
    except (TypeError, ValueError):
        return  # as of a scripted one: it will show in training
    try:
        wanted.bind(**dict.fromkeys(x.names)) if x.names else wanted.bind(*x.parts)
    except TypeError as error:
        names = f", {', '.join(x.names)}," if x.names else ","
        advice = (
            " A row's numbers belong in one tensor or array." if all(t.ndim == 1 for t in x.parts) else ""
        )
        raise InputError(
            f"The rows have {len(x.parts)} inputs{names} which the model's forward{wanted} does not accept:"
            f" {error}.{advice}"
        ) from None


def pair_of(row: Mapping[Any, Any]) -> tuple[dict[Any, Any], Any]:
    """A dict's inputs and its target, which is known by its name.

    Example:
        >>> pair_of({"a": 1, "b": 2, "labels": 3})
        ({'a': 1, 'b': 2}, 3)
    """
    found = [name for name in TARGETS if name in row]
    if len(found) != 1 or len(row) < 2:
        names = ", ".join(map(str, row)) or "none"
        raise InputError(
            f"One key of a dict must be the target, {', '.join(TARGETS[:-1])} or {TARGETS[-1]}, and the"
            f" others the inputs; the keys here are {names}."
        )
    return {name: value for name, value in row.items() if name != found[0]}, row[found[0]]
