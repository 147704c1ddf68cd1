"""The options of SGD: what a group holds, what is allowed, and what would do nothing and is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from numbers import Real
from operator import itemgetter
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

__all__ = [
    "Convention", "Options", "as_dtype", "as_tensor", "check_convention", "check_domain", "keep_on_device",
    "read", "refuse_idle", "refuse_idle_here", "refuse_kernels",
]  # fmt: skip

Convention = Literal["torch", "keras", "ema"]
CONVENTIONS = ("torch", "keras", "ema")


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
        """Read a group; a one-element tensor on the CPU becomes a number unless it must stay a tensor."""
        options = cls._make(read(group))
        if not all(isinstance(x, (int, float)) for x in options[:_NUMBERS]):
            options = options._replace(
                lr=_float(options.lr),
                momentum=_float(options.momentum, tensors=True),
                dampening=_float(options.dampening, tensors=True),
                weight_decay=_float(options.weight_decay),
            )
        flags = options.nesterov, options.maximize, options.decoupled_weight_decay
        if any(type(x) is not bool for x in flags):  # 1 or numpy's True, as a sweep leaves them
            nesterov, maximize, decoupled = map(bool, flags)
            options = options._replace(nesterov=nesterov, maximize=maximize, decoupled_weight_decay=decoupled)
        if isinstance(options.lr, Tensor) or isinstance(options.weight_decay, Tensor):
            keep = options.capturable or options.differentiable
            lr = _number("lr", options.lr, keep)
            decay = _number("weight_decay", options.weight_decay, keep)
            options = options._replace(lr=lr, weight_decay=decay)
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
        return (self.momentum != 0, self.dampening != 0, *tensors, *self[_NUMBERS:])


_NUMBERS = 4  # lr, momentum, dampening and weight_decay come first
_read: Callable[[dict[str, Any]], tuple[Any, ...]] = itemgetter(*Options._fields)
_MAY_BE_IDLE = ("dampening", "convention", "decoupled_weight_decay", "state_dtype")
_OURS = ("decoupled_weight_decay", "convention", "capturable", "state_dtype", "kahan")


def read(group: dict[str, Any]) -> tuple[Any, ...]:
    """The options of a group, in order; what only surefoot has may be missing, as in a group of torch's."""
    try:
        return _read(group)
    except KeyError:
        return _read({name: Options._field_defaults[name] for name in _OURS} | group)


def as_dtype(saved: Any) -> torch.dtype | None:
    """The dtype of a checkpoint, which has its name: not all that carries checkpoints takes a torch.dtype."""
    if saved is None or isinstance(saved, torch.dtype):  # as it was saved before
        return saved
    dtype = getattr(torch, saved, None) if isinstance(saved, str) else None
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"this checkpoint's state_dtype is {saved!r}; it is a dtype's name, as 'float32'")
    return dtype


def as_tensor(lr: float, params: Sequence[Tensor], device: torch.device) -> Tensor:
    """A learning rate as a tensor, in a dtype that does not round it for these parameters."""
    wide = any(p.dtype in (torch.float64, torch.complex128) for p in params)
    return torch.tensor(lr, dtype=torch.float64 if wide else torch.float32, device=device)


def _float(x: Any, tensors: bool = False) -> Any:
    """A number of another kind, as a Fraction or a tensor of one element, as a float."""
    if isinstance(x, (int, float)) or not isinstance(x, (Real, *[Tensor] * tensors)):
        return x
    return float(x)  # type: ignore[arg-type]


def _number(name: str, x: float | Tensor, keep: bool) -> float | Tensor:
    if not isinstance(x, Tensor):
        return x
    if x.numel() != 1:
        raise ValueError(f"Tensor {name} must be 1-element")
    if keep or x.device.type != "cpu":  # reading it would wait for the device
        return x.squeeze()
    return x.item()


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


def check_domain(o: Options) -> None:
    """Refuse values outside their domain, as torch does and in torch's words where torch has them."""
    for name in ("lr", "momentum", "dampening", "weight_decay"):
        value = getattr(o, name)
        if not isinstance(value, (Real, Tensor)):
            tensor = " or a one-element tensor" if name in ("lr", "weight_decay") else ""
            raise TypeError(f"Invalid {name}: {value!r}; it is a number{tensor}")
    for name, what in (("lr", "learning rate"), ("weight_decay", "weight_decay value")):
        value = getattr(o, name)
        if isinstance(value, Tensor) and value.numel() != 1:
            raise ValueError(f"Tensor {name} must be 1-element")
        if not 0 <= value < inf:
            raise ValueError(f"Invalid {what}: {value}")
    if not 0 <= o.momentum < inf:
        raise ValueError(f"Invalid momentum value: {o.momentum}")
    if not -inf < o.dampening < inf:
        raise ValueError(f"Invalid dampening value: {o.dampening}")
    if o.nesterov and (o.momentum <= 0 or o.dampening != 0):
        raise ValueError("Nesterov momentum requires a momentum and zero dampening")
    check_convention(o)
    if o.state_dtype is not None and not getattr(o.state_dtype, "is_floating_point", False):
        raise ValueError(
            f"Invalid state_dtype: {o.state_dtype!r}; it is a floating-point dtype, as torch.float32, or None"
        )


def check_convention(o: Options) -> None:
    """Refuse an unknown convention, and dampening where it has none; also when set later, in the group."""
    if o.convention not in CONVENTIONS:
        raise ValueError(f"Invalid convention: {o.convention!r}; it is one of {', '.join(CONVENTIONS)}")
    if o.convention != "torch" and o.dampening != 0:
        raise ValueError(
            f"dampening={o.dampening} has no meaning under convention={o.convention!r}; leave it 0"
        )


def refuse_kernels(o: Options) -> None:
    """Refuse kernels that exclude each other (RuntimeError where torch raises one)."""
    if o.foreach and o.fused:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
    if o.differentiable and o.fused:
        raise RuntimeError("`fused` does not support `differentiable`")
    if o.differentiable and o.foreach:
        raise RuntimeError("`foreach` does not support `differentiable`")
    for name in ("kahan", "state_dtype", "capturable"):
        if o.differentiable and getattr(o, name):
            raise ValueError(f"{name} cannot be combined with differentiable=True; leave one of them out")
    if o.kahan and o.fused:
        raise ValueError("kahan=True has no fused kernel; leave fused out")


def refuse_idle_here(own: dict[str, Any], o: Options, defaults: dict[str, Any]) -> None:
    """Refuse an option that a group has otherwise than all, and that does nothing beside its others."""
    usual = Options._field_defaults
    left = {n: usual[n] for n in _MAY_BE_IDLE if n not in own or own[n] == defaults[n]}
    refuse_idle([{**o._replace(**left)._asdict(), "params": []}])


def refuse_idle(groups: list[dict[str, Any]]) -> None:
    """Refuse an option that does nothing in every group: it is a mistake, not a choice.

    One group in which it does something is enough, so that groups may differ from the defaults.
    """
    options = [Options.of(group) for group in groups]
    dtypes = {p.dtype for group in groups for p in group["params"]}

    def idle(given: Callable[[Options], Any], works: Callable[[Options], Any]) -> bool:
        return any(map(given, options)) and not any(given(o) and works(o) for o in options)

    def momentum(o: Options) -> bool:
        return o.momentum != 0

    if idle(lambda o: o.dampening != 0, momentum):
        raise ValueError("dampening does nothing without momentum; give momentum > 0 or leave dampening 0")
    if idle(lambda o: o.convention != "torch", momentum):
        raise ValueError(
            "convention does nothing without momentum; give momentum > 0 or leave convention out"
        )
    if idle(lambda o: o.decoupled_weight_decay, lambda o: o.weight_decay != 0):
        raise ValueError("decoupled_weight_decay does nothing without weight_decay; give weight_decay > 0")
    if idle(lambda o: o.state_dtype is not None, lambda o: momentum(o) or o.kahan):
        raise ValueError("state_dtype does nothing without momentum or kahan: there is no state")
    if idle(lambda o: o.state_dtype is not None, lambda o: dtypes != {o.state_dtype}):
        raise ValueError(f"state_dtype does nothing: every parameter is {dtypes.pop()} already")
