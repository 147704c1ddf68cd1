"""SGD with momentum: options, groups, state and closure. The arithmetic is in kernels.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor

from surefoot.optim.base import LightOptimizer, not_compiled
from surefoot.optim.fastest import Known
from surefoot.optim.flat import Home, lay_out, refuse_useless
from surefoot.optim.kernel_group import BUFFER, LOST, SHORT, Call
from surefoot.optim.options import (
    Convention,
    Options,
    as_dtype,
    check_domain,
    keep_on_device,
    refuse_idle,
    refuse_idle_here,
    refuse_kernels,
)
from surefoot.optim.plan import Plan
from surefoot.optim.state import State, forget

__all__ = ["SGD"]

# What an older torch lacks in its checkpoints was off; what only surefoot has stays as this optimizer has it.
_OFF = {"nesterov": False, "maximize": False, "foreach": None, "fused": None, "differentiable": False}
_differentiable = itemgetter("differentiable")


class SGD(LightOptimizer):
    r"""Stochastic gradient descent with momentum; takes the place of `torch.optim.SGD`.

    With the gradient g (negated for `maximize`), d = g + λθ and the buffer b, at each step

        b ← d at a parameter's first gradient, then b ← μ b + (1 − τ) d
        θ ← θ − γ b, or with Nesterov θ ← θ − γ (d + μ b), or without momentum θ ← θ − γ d

    Args:
        params: parameters, (name, parameter) pairs, or dicts with "params" and options of their own.
        lr: the learning rate γ ≥ 0; a number or a one-element tensor.
        momentum: μ ≥ 0.
        dampening: τ; the first gradient is not dampened.
        weight_decay: λ ≥ 0; a number or a one-element tensor.
        nesterov: look one step ahead; needs momentum > 0 and dampening 0.
        maximize: go up instead of down; the decay still goes towards 0.
        decoupled_weight_decay: θ ← (1 − γλ) θ before the step, instead of λθ in the gradient.
        convention: what momentum means. "torch": as above. "keras": v ← μv − γd, θ ← θ + v (Nesterov:
            θ + μv − γd), so that a new learning rate leaves what is in the buffer at the old one. "ema":
            b ← μb + (1 − μ)d from 0 (Nesterov: u = (1 − μ)d + μb), so that momentum leaves the step's size.
        foreach: True for lists of tensors at once, False for one tensor after the other; None, here and for
            `fused`, for the fastest way that is right.
        fused: True for torch's fused kernel wherever it is right; False for one tensor after the other.
        capturable: keep lr as a tensor on the parameters' device and never read it back, so that a captured
            CUDA graph follows a schedule.
        differentiable: let autograd go through the step.
        state_dtype: dtype of the state, as torch.float32 for bfloat16 parameters; None for that of the
            parameter (float32 for 16 bits with `kahan`).
        kahan: keep what rounding takes from each step and add it to the next (Kahan's summation), so that
            steps too small for the parameters' dtype are not lost.
        flatten: call `flatten` at once.

    Raises:
        ValueError: for a value outside its domain, and for an option that does nothing or does not go beside
            the others.
        TypeError: for a value of another kind, such as lr="x".
        RuntimeError: as torch.optim.SGD, for `foreach` with `fused`, and `differentiable` with `fused`.

    Example:
        >>> import torch, surefoot
        >>> w = torch.nn.Parameter(torch.tensor([2.0, 3.0]))
        >>> optimizer = surefoot.SGD([w], lr=0.5, momentum=0.5)
        >>> for _ in range(2):
        ...     optimizer.zero_grad()
        ...     (w**2).sum().backward()
        ...     optimizer.step()
        >>> w.detach()
        tensor([-1.0000, -1.5000])

    Source: torch.optim.SGD; Sutskever, Martens, Dahl and Hinton (2013), On the importance of initialization
    and momentum in deep learning.
    """

    found_inf: Tensor | None = None  # set by GradScaler, together with grad_scale, for fused=True
    _plan: Plan | None = None
    _known: Sequence[Known] = ()  # of each group
    _wait = _pause = 0  # for so many steps no plan is kept, and so many it was when one had not held
    _homes: Sequence[Home] = ()
    _foreign: Set[int] = frozenset()
    _lengths: Sequence[int] = ()  # of groups, when last looked at
    _flat: Set[int] = frozenset()  # ids of the parameters that have a home

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float | Tensor = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
        convention: Convention = "torch",
        foreach: bool | None = None,
        fused: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        state_dtype: torch.dtype | None = None,
        kahan: bool = False,
        flatten: bool = False,
    ) -> None:
        options = Options(
            lr=lr,
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            nesterov=nesterov,
            maximize=maximize,
            decoupled_weight_decay=decoupled_weight_decay,
            convention=convention,
            foreach=foreach,
            fused=fused,
            capturable=capturable,
            differentiable=differentiable,
            state_dtype=state_dtype,
            kahan=kahan,
        )
        super().__init__(params, options._asdict())
        refuse_idle(self.param_groups)
        if flatten:
            self.flatten()

    def flatten(self) -> None:
        """Lay parameters, gradients and buffers end to end, so that one kernel call does for all of a group.

        Parameters stay the objects they were. Their gradients come to lie in one piece of memory at the next
        `zero_grad`, which then fills them with 0 instead of dropping them; dropped elsewhere, they are
        stepped one by one until the next `zero_grad`. Frozen parameters stay where they are; copies are not
        flat.

        Raises:
            ValueError: for parameters that are not contiguous, not plain tensors, or share memory, and where
                no group's options let one kernel call do for all.
        """
        refuse_useless(self.param_groups)
        self.unflatten()
        self._homes = lay_out(self.param_groups)
        self._let_go()

    def unflatten(self) -> None:
        """Give every parameter, gradient and buffer memory of its own again."""
        with torch.no_grad():
            for home in self._homes:
                home.leave()
                for p in home.params:
                    if p in self.state:
                        self.state[p] = {
                            key: value.clone() if isinstance(value, Tensor) else value
                            for key, value in self.state[p].items()
                        }
        self._homes, self._plan = [], None

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop all gradients, or fill them with 0: with `set_to_none=False`, and always after `flatten`.

        After `flatten` a frozen parameter's is dropped: one of 0 would still move it by its momentum.
        """
        if not self._homes:
            super().zero_grad(set_to_none)
            return
        if torch.compiler.is_compiling():
            not_compiled(SGD.zero_grad, self)
            return
        if [len(group["params"]) for group in self.param_groups] != self._lengths:
            self._let_go()
        came_home = [home.zero() for home in self._homes]
        if any(came_home):
            self._plan = None
        for group in self.param_groups:
            for p in group["params"]:
                if id(p) not in self._flat and p.grad is not None:
                    p.grad = None if set_to_none else p.grad.detach().zero_()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with options of their own, at any time; if refused, nothing has changed."""
        if isinstance(param_group, dict):
            given = {**self.defaults, **param_group}
            options = Options(**{name: given[name] for name in Options._fields})
            check_domain(options)
            refuse_kernels(options)
            refuse_idle_here(param_group, options, self.defaults)
        super().add_param_group(param_group)
        keep_on_device(self.param_groups[-1])
        self._plan = None

    def _step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        grad_scale = None
        if self.found_inf is not None:
            if self.found_inf.item() != 0:
                return loss  # before anything is made or changed, so that a first step stays first
            grad_scale = getattr(self, "grad_scale", None)
        enabled = torch.is_grad_enabled()
        # what torch.set_grad_enabled calls; also while options are read: lr may be what is differentiated by
        torch._C._set_grad_enabled(any(map(_differentiable, self.param_groups)))
        try:
            self._update(grad_scale)
        finally:
            torch._C._set_grad_enabled(enabled)
        return loss

    def _update(self, grad_scale: Tensor | None) -> None:
        groups, state = self.param_groups, self.state
        work = self._plan.work(groups, state) if self._plan is not None else None
        made = work is None
        if work is None:
            if self._homes:
                self._let_go()
            work = self._planned(groups, state)
        done = 0
        try:
            for call in work:
                torch._C._set_grad_enabled(call.o.differentiable)
                call.run.step(call, grad_scale)
                done += 1
        except BaseException as error:
            for call in work[done:]:
                forget(state, call.run.made)
            self._plan = None
            if isinstance(error, (TypeError, RuntimeError)):  # an option may be what it cannot be
                for call in work:
                    check_domain(call.o)
            raise
        finally:
            if made:
                for call in work:
                    call.run.made = []

    def _planned(self, groups: list[dict[str, Any]], state: State) -> list[Call]:
        """The work of a step by a new plan, which is kept where plans last."""
        if self._plan is not None:  # it has not held; where none does, to note what it hangs on takes longest
            self._pause = 0 if self._plan.uses >= 8 else min(2 * self._pause + 1, 63)
            self._plan, self._wait = None, self._pause
        once, self._wait = self._wait > 0, max(self._wait - 1, 0)
        options = [Options.of(group) for group in groups]
        known = [*self._known, *map(Known, options[len(self._known) :])]
        self._known = [k.under(o) for k, o in zip(known, options, strict=False)]
        plan = Plan(groups, state, options, self._known, flat=bool(self._homes), once=once)
        self._plan = plan if plan.lasting else None
        return plan.fresh_work()

    def _let_go(self) -> None:
        """Forget the flat memory of parameters that are no longer in a group, or have moved away."""
        self._lengths = [len(group["params"]) for group in self.param_groups]
        present = {id(p) for group in self.param_groups for p in group["params"]}
        self._homes = [home for home in self._homes if home.prune(present)]
        self._flat = {id(p) for home in self._homes for p in home.params}

    @property
    def _step_supports_amp_scaling(self) -> bool:
        """As in torch: with fused=True GradScaler leaves unscaling and skipping to step."""
        return any(group["fused"] for group in self.param_groups)

    def __setstate__(self, state: dict[str, Any]) -> None:
        # written by an optimizer that has no such option
        self._foreign = {id(group) for group in state["param_groups"] if "state_dtype" not in group}
        own_groups = self.__dict__.get("param_groups", [{}] * len(state["param_groups"]))
        for own, group in zip(own_groups, state["param_groups"], strict=True):
            if group["params"] and not {"momentum", "dampening"} <= group.keys():
                raise ValueError(
                    "this checkpoint is of another optimizer: a group of it holds"
                    f" {', '.join(sorted(group.keys() - {'params'})) or 'no options'}, and no momentum"
                )
            saved = group.get("convention", "torch")
            entries = (entry for entry in state["state"].values() if isinstance(entry, dict))
            buffers = any(getattr(b := entry.get(BUFFER), "value", b) is not None for entry in entries)
            if saved != own.get("convention", saved) and buffers:
                raise ValueError(
                    f"this checkpoint's momentum follows convention={saved!r}, this optimizer's "
                    f"{own['convention']!r}; build the optimizer with convention={saved!r}"
                )
            for name, default in Options._field_defaults.items():
                group.setdefault(name, _OFF.get(name, own.get(name, default)))
            group["state_dtype"] = as_dtype(group["state_dtype"])
            keep_on_device(group)
        self._plan = None
        try:
            super().__setstate__(state)
        finally:
            del self._foreign

    def _place(self, key: str, value: Tensor, p: Tensor, group: dict[str, Any]) -> Tensor:
        dtype, wish = value.dtype, group["state_dtype"]
        if key in (BUFFER, LOST):
            if wish is None and group["kahan"] and p.dtype in SHORT:
                dtype = torch.float32
            elif wish is not None and id(group) in self._foreign:
                dtype = wish.to_complex() if p.is_complex() else wish
            elif wish is None and not (p.dtype in SHORT and torch.promote_types(dtype, p.dtype) == dtype):
                dtype = p.dtype
        return value.to(device=p.device, dtype=dtype, copy=True)
