"""SGD with momentum: options, groups, state and closure. The arithmetic is in kernels.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor

from surefoot.optim.base import LightOptimizer, not_compiled
from surefoot.optim.homes import Homes, refuse_flat
from surefoot.optim.options import Convention, Options, as_switch, keep_on_device
from surefoot.optim.plans import Plans
from surefoot.optim.refusals import check_domain, check_kind, refuse_idle, refuse_idle_here
from surefoot.optim.saved import adopt, dtype_of_loaded
from surefoot.optim.state import forget

__all__ = ["SGD"]

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
            gradient (float32 for 16 bits with `kahan`).
        kahan: keep what rounding takes from each step and add it to the next (Kahan's summation), so that
            steps too small for the parameters' dtype are not lost.
        flatten: call `flatten` at once.

    Raises:
        ValueError: for a value outside its domain, and for an option that does nothing or does not go beside
            the others.
        TypeError: for a value of another kind, such as lr="x".
        RuntimeError: as torch.optim.SGD, for `foreach` with `fused`, and `differentiable` with either.

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
    _homes = Homes()  # none, as of copies too
    _foreign: Set[int] = frozenset()

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
        check_domain(Options.of(options._asdict()))
        flatten = bool(as_switch("flatten", flatten))
        self._plans = Plans()
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
        refuse_flat(self.param_groups, self._homes)
        self.unflatten()
        self._homes = Homes(self.param_groups)

    def unflatten(self) -> None:
        """Give every parameter, gradient and buffer memory of its own again."""
        self._homes.leave(self.state)
        self._homes = Homes()
        self._plans.drop()

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
        if self._homes.zero(self.param_groups, set_to_none):
            self._plans.drop()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with options of their own, at any time; if refused, nothing has changed.

        Raises:
            ValueError, TypeError, RuntimeError: as the optimizer itself, for these options; for a parameter
                that is in a group already, or is no leaf.
        """
        if isinstance(param_group, dict):
            given = {**self.defaults, **param_group}
            if "flatten" in param_group:
                raise ValueError("flatten has no effect in a group; give it to the optimizer, for all groups")
            options = Options.of(given)
            check_domain(options)
            check_kind(options)
            refuse_idle_here(param_group, options, self.defaults)
        super().add_param_group(param_group)
        keep_on_device(self.param_groups[-1])
        self._plans.drop()

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
        work = self._plans.work(groups, state)
        made = work is None
        if work is None:
            if self._homes:
                self._homes.let_go(groups)
            work = self._plans.new_work(groups, state, flat=bool(self._homes))
        done = 0
        try:
            for call in work:
                torch._C._set_grad_enabled(call.o.differentiable)
                call.run.step(call, grad_scale)
                done += 1
        except BaseException:
            for call in work[done:]:
                forget(state, call.run.made)
            self._plans.drop()
            raise
        finally:
            if made:
                for call in work:
                    call.run.made = []

    @property
    def _step_supports_amp_scaling(self) -> bool:
        """As in torch: with fused=True GradScaler leaves unscaling and skipping to step."""
        return any(group["fused"] for group in self.param_groups)

    def __setstate__(self, state: dict[str, Any]) -> None:
        # written by an optimizer that has no such option
        self._foreign = {id(group) for group in state["param_groups"] if "state_dtype" not in group}
        try:
            adopt(state, self.__dict__.get("param_groups", [{}] * len(state["param_groups"])))
            self._plans = Plans()
            super().__setstate__(state)
        finally:
            del self._foreign

    def _place(self, key: str, value: Tensor, p: Tensor, group: dict[str, Any]) -> Tensor:
        dtype = dtype_of_loaded(key, value, p, group, id(group) in self._foreign)
        return value.to(device=p.device, dtype=dtype, copy=True)
