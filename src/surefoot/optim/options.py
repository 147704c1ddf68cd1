"""The options of SGD: what a group holds, as numbers and switches of the right types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Real
from operator import attrgetter, is_, itemgetter
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

__all__ = [
    "Convention", "Options", "as_dtype", "as_switch", "as_tensor", "fixed", "full", "keep_on_device", "read",
    "with_lr",
]  # fmt: skip

Convention = Literal["torch", "keras", "ema"]


class Options(NamedTuple):
    """The options of one group, as they stand now; numbers first, then what decides the kind of kernel."""

    lr: float | Tensor = 1e-3
    momentum: float = 0
    dampening: float = 0
    weight_decay: float | Tensor = 0
    nesterov: bool = False
    maximize: bool = False
    decoupled_weight_decay: bool = False
    convention: Convention = "torch"
    foreach: bool | None = None
    fused: bool | None = None
    capturable: bool = False
    differentiable: bool = False
    state_dtype: torch.dtype | None = None
    kahan: bool = False

    @classmethod
    def of(cls, group: dict[str, Any]) -> Options:
        """Read a group; a one-element tensor on the CPU becomes a number unless it must stay a tensor.

        Raises:
            TypeError, ValueError: for what cannot be a number, or a switch.
        """
        options = cls._make(read(group))
        if not all(map(_ready, options[:_NUMBERS])):
            keep = options.capturable or options.differentiable
            numbers = [as_number(*item, keep) for item in zip(cls._fields, options[:_NUMBERS], strict=False)]
            options = cls._make((*numbers, *options[_NUMBERS:]))
        bools, choices = map(type, _bools(options)), map(type, _choices(options))
        if not (_BOOL.issuperset(bools) and _CHOICE.issuperset(choices)):
            switches: dict[str, Any] = {
                name: as_switch(name, getattr(options, name)) for name in _BOOLS + _MAY_BE_NONE
            }
            options = options._replace(**switches)
        return options

    def on(self, device: torch.device) -> Options:
        """The same, with tensors on that device."""
        lr, decay = (x.to(device) if isinstance(x, Tensor) else x for x in (self.lr, self.weight_decay))
        return self._replace(lr=lr, weight_decay=decay)

    @property
    def coupled(self) -> bool:
        """True if decay goes into the gradient."""
        return not self.decoupled_weight_decay and self._decays

    @property
    def decoupled(self) -> bool:
        """True if decay shrinks the parameter before the step."""
        return self.decoupled_weight_decay and self._decays

    @property
    def own_state_dtype(self) -> bool:
        """True if the state may be of another dtype than the parameters."""
        return self.state_dtype is not None or self.kahan

    @property
    def one_by_one(self) -> bool:
        """True if a kernel for many tensors is ruled out and none asked for, `foreach` aside."""
        return not self.fused and (self.foreach is False or self.fused is False)

    @property
    def _decays(self) -> bool:
        return isinstance(self.weight_decay, Tensor) or self.weight_decay != 0

    @property
    def kind(self) -> tuple[Any, ...]:
        """Everything that decides which kernel runs on which state; a change of it needs a new plan."""
        tensors = [x.dtype if isinstance(x, Tensor) else None for x in (self.lr, self.weight_decay)]
        return (self.momentum != 0, self.dampening != 0, self._decays, *tensors, *self[_NUMBERS:])


_NUMBERS = 4  # lr, momentum, dampening and weight_decay come first
_read: Callable[[dict[str, Any]], tuple[Any, ...]] = itemgetter(*Options._fields)
_OURS = ("decoupled_weight_decay", "convention", "capturable", "state_dtype", "kahan")
_MAY_BE_NONE = ("foreach", "fused")
_NONE_IS_FALSE = ("nesterov", "maximize")
_BOOLS = tuple(name for name, default in Options._field_defaults.items() if default is False)
_bools: Callable[[Options], tuple[Any, ...]] = attrgetter(*_BOOLS)
_choices: Callable[[Options], tuple[Any, ...]] = attrgetter(*_MAY_BE_NONE)
_BOOL = {bool}
_CHOICE = {bool, type(None)}


def read(group: dict[str, Any]) -> tuple[Any, ...]:
    """The options of a group, in order; what only surefoot has may be missing, as in a group of torch's."""
    try:
        return _read(group)
    except KeyError:
        return _read({name: Options._field_defaults[name] for name in _OURS} | group)


def full(group: dict[str, Any]) -> bool:
    """True if a group has every option that torch's have."""
    return all(name in group for name in Options._fields if name not in _OURS)


def fixed(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """What `read` has found, to be known again by identity: what may change in place never is."""
    if _CONSTANT.issuperset(map(type, values)):
        return values
    # a number of numpy's cannot be written to, an array without dimensions can
    return tuple([x if type(x) in _CONSTANT or not hasattr(x, "__setitem__") else _CHANGES for x in values])


_CONSTANT = {float, int, bool, type(None), str, torch.dtype}
_CHANGES = object()


def with_lr(
    o: Options, given: tuple[Any, ...], values: tuple[Any, ...], read_out: dict[int, float]
) -> Options | None:
    """The options with another lr, if that is a number and all that differs; else None.

    A one-element tensor on the CPU is read out as a number, but not with `capturable` or `differentiable`:
    these need the tensor itself.

    Args:
        o: the options until now.
        given: what they were made of, as by `fixed`.
        values: what `read` has found.
        read_out: numbers of tensors that have been read, by their ids: one may be the lr of every group.
    """
    lr = values[0]
    if type(o.lr) is not float or not all(map(is_, values[1:], given[1:])):
        return None
    if isinstance(lr, Tensor):
        if o.capturable or o.differentiable:
            return None
        tensor, lr = lr, read_out.get(id(lr))
        if lr is None and tensor.numel() == 1 and tensor.device.type == "cpu":
            lr = read_out[id(tensor)] = tensor.item()
    return Options._make((lr, *o[1:])) if type(lr) is float else None


def as_dtype(saved: Any) -> torch.dtype | None:
    """The dtype of a checkpoint, which has its name: not all that carries checkpoints takes a torch.dtype."""
    if saved is None or isinstance(saved, torch.dtype):  # as it was saved before
        return saved
    dtype = getattr(torch, saved, None) if isinstance(saved, str) else None
    if not isinstance(dtype, torch.dtype):
        raise ValueError(
            f"this checkpoint's state_dtype is {saved!r}; it must be a dtype's name, such as 'float32'"
        )
    return dtype


def as_tensor(lr: float, params: Sequence[Tensor], device: torch.device) -> Tensor:
    """A learning rate as a tensor, in a dtype that does not round it for these parameters."""
    wide = any(p.dtype in (torch.float64, torch.complex128) for p in params)
    return torch.tensor(lr, dtype=torch.float64 if wide else torch.float32, device=device)


def _ready(x: Any) -> bool:
    return isinstance(x, float) or (type(x) is int and abs(x) < _LARGE)


_LARGE = 2**53  # from here on not every integer is a float


def as_number(name: str, x: Any, keep: bool) -> float | Tensor:
    """What was given as lr, momentum, dampening or weight_decay, as a number.

    Args:
        name: of the option.
        x: a number of any kind, or a tensor of one element.
        keep: whether lr and weight_decay stay tensors wherever these are.

    Raises:
        TypeError, ValueError: it is neither.
    """
    may_be_tensor = name in ("lr", "weight_decay")
    keep = keep and may_be_tensor
    right = f"it must be a number{' or a one-element tensor' * may_be_tensor}"
    if isinstance(x, Tensor):
        if x.numel() != 1:
            raise ValueError(f"Tensor {name} must be 1-element, not of shape {tuple(x.shape)}")
        if x.is_complex() or (x.device.type == "meta" and not keep):
            raise ValueError(f"Invalid {name}: a tensor of {x.dtype} on {x.device}; {right}")
        if keep or (may_be_tensor and x.device.type != "cpu"):  # reading it would wait for the device
            return x.squeeze()
        return x.item()
    number = _of_numpy(x)
    if not isinstance(number, Real):
        raise TypeError(f"Invalid {name}: {x!r}; {right}")
    try:
        return number if _ready(number) else float(number)  # type: ignore[return-value]
    except OverflowError:
        raise ValueError(f"Invalid {name}: a number that is too large for a float; {right}") from None


def as_switch(name: str, x: Any) -> bool | None:
    """What was given as a switch: True, False, what is one of them (1, numpy's True), or None if it may be.

    None for nesterov or maximize is False, as in torch.

    Raises:
        TypeError: it is none of these.
    """
    if x is None and name in _MAY_BE_NONE:
        return None
    if x is None and name in _NONE_IS_FALSE:
        return False
    one = _of_numpy(x)
    if isinstance(one, int) and one in (0, 1):
        return bool(one)
    right = "True, False or None" if name in _MAY_BE_NONE else "True or False"
    raise TypeError(f"Invalid {name}: {x!r}; it must be {right}")


def _of_numpy(x: Any) -> Any:
    """What was given; as Python's if it is a number or switch of numpy's, an array without dimensions too."""
    return x.item() if hasattr(x, "item") and not isinstance(x, Tensor) and not getattr(x, "ndim", 0) else x


def keep_on_device(group: dict[str, Any]) -> None:
    """For capturable: lr as a tensor, and it and a weight decay that is one beside the parameters."""
    if not (group["capturable"] and group["params"]):
        return
    device = group["params"][0].device
    if not isinstance(group["lr"], Tensor):
        group["lr"] = as_tensor(float(group["lr"]), group["params"], device)
    for name in ("lr", "weight_decay"):
        if isinstance(group[name], Tensor):
            group[name] = group[name].to(device)  # a captured graph could not fetch it from elsewhere
