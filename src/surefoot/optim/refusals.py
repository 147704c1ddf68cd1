"""Which options are allowed, beside each other and at all; what would do nothing is refused, too."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import torch

from surefoot.optim.options import Options, full

__all__ = ["check_domain", "check_kind", "refuse_idle", "refuse_idle_here"]

CONVENTIONS = ("torch", "keras", "ema")
_STATE_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_MAY_BE_IDLE = ("nesterov", "dampening", "convention", "decoupled_weight_decay", "state_dtype")


def check_domain(o: Options) -> None:
    """Refuse values outside their domain, as torch does and in torch's words where torch has them.

    They are asked for when an optimizer is made, or a group added: torch steps with what is set later.
    """
    for what, value in (
        ("learning rate", o.lr),
        ("momentum value", o.momentum),
        ("weight_decay value", o.weight_decay),
    ):
        if not 0 <= value < inf:
            raise ValueError(f"Invalid {what}: {value}; it must be a finite number ≥ 0")
    if not -inf < o.dampening < inf:
        raise ValueError(f"Invalid dampening value: {o.dampening}; it must be a finite number")
    if o.nesterov and o.momentum != 0 and o.dampening != 0:
        raise ValueError(f"{_NESTEROV}; leave dampening 0")


_NESTEROV = "Nesterov momentum requires a momentum and zero dampening"


def check_kind(o: Options) -> None:
    """Refuse what the options decide together, or what no kernel knows; also when set later, or loaded.

    RuntimeError where torch raises one.
    """
    if o.convention not in CONVENTIONS:
        raise ValueError(f"Invalid convention: {o.convention!r}; it must be one of {', '.join(CONVENTIONS)}")
    if o.convention != "torch" and o.dampening != 0:
        raise ValueError(
            f"dampening={o.dampening} has no meaning with convention={o.convention!r}; leave it 0"
        )
    if o.state_dtype is not None and o.state_dtype not in _STATE_DTYPES:
        raise ValueError(
            f"Invalid state_dtype: {o.state_dtype!r}; it must be a floating-point dtype of 16 bits or"
            " more, such as torch.float32, or None"
        )
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
    """Refuse an option that a group has otherwise than all, and that does nothing beside its others.

    A group that has every option of torch's is another optimizer's, which has inherited some of them.
    """
    if full(own):
        return
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

    if idle(lambda o: o.nesterov, momentum):
        raise ValueError(f"{_NESTEROV}; give momentum > 0 or leave nesterov out")
    if idle(lambda o: o.dampening != 0, momentum):
        raise ValueError("dampening has no effect without momentum; give momentum > 0 or leave dampening 0")
    if idle(lambda o: o.convention != "torch", momentum):
        raise ValueError(
            "convention has no effect without momentum; give momentum > 0 or leave convention out"
        )
    if idle(lambda o: o.decoupled_weight_decay, lambda o: o.weight_decay != 0):
        raise ValueError("decoupled_weight_decay has no effect without weight_decay; give weight_decay > 0")
    if idle(lambda o: o.state_dtype is not None, lambda o: momentum(o) or o.kahan):
        raise ValueError("state_dtype has no effect without momentum or kahan: there is no state")
    if idle(lambda o: o.state_dtype is not None, lambda o: dtypes != {o.state_dtype}):
        raise ValueError(f"state_dtype has no effect: every parameter is {dtypes.pop()} already")
