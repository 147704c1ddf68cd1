"""torch.optim.Optimizer without its overhead: no import of torch._dynamo, no profiler range nobody reads.

torch wraps four methods of Optimizer so that torch.compile does not look inside. The wrapper imports
torch._dynamo, which takes longer than importing torch, although nobody compiles. Here the wrapped function is
called directly until somebody has imported torch._dynamo; from then on its wrapper.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

__all__ = ["LightOptimizer", "not_compiled"]


def _light(name: str) -> Callable[..., Any]:
    with_wrapper: Callable[..., Any] = getattr(Optimizer, name)
    plain: Callable[..., Any] = getattr(with_wrapper, "__wrapped__", with_wrapper)

    @functools.wraps(plain)
    def method(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        return (with_wrapper if "torch._dynamo" in sys.modules else plain)(self, *args, **kwargs)

    return method


def _hooked(step: Callable[..., Any]) -> Callable[..., Any]:
    """As Optimizer.profile_hook_step, but that the profiler's range is made where somebody waits for it."""
    with_hooks = Optimizer.profile_hook_step(step)

    def by_torch(outer: Any) -> bool:
        """Whether torch runs the hooks around what somebody has put in the place of this step."""
        while outer is not None and outer is not method:
            if getattr(outer, "__code__", None) is with_hooks.__code__:
                return True
            outer = getattr(outer, "__wrapped__", None)
        return False

    @functools.wraps(step)
    def method(self: LightOptimizer, *args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling():
            return not_compiled(method, self, *args, **kwargs)
        if self._watched() and not by_torch(type(self).step):
            return with_hooks(self, *args, **kwargs)
        return self._step(*args, **kwargs)  # what step does

    method.hooked = True  # type: ignore[attr-defined]  # or torch would wrap it too
    return method


class LightOptimizer(Optimizer):
    """A torch.optim.Optimizer whose subclass says in `_step` what a step is."""

    add_param_group = _light("add_param_group")
    _state_dict = _light("state_dict")
    _load_state_dict = _light("load_state_dict")
    _zero_grad = _light("zero_grad")

    def _step(self, closure: Callable[[], Any] | None = None) -> Any:
        raise NotImplementedError

    def _watched(self) -> bool:
        """True if a hook or a profiler waits for this step."""
        return bool(
            self._optimizer_step_pre_hooks
            or self._optimizer_step_post_hooks
            or _global_optimizer_pre_hooks
            or _global_optimizer_post_hooks
            or torch.autograd._profiler_enabled()  # type: ignore[attr-defined]
        )

    @_hooked
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Perform one step.

        Args:
            closure: evaluates the model anew and returns the loss; called once, with gradients enabled.

        Returns:
            What the closure returned, or None.
        """
        return self._step(closure)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or with `set_to_none=False` fill them with 0."""
        watched = not torch.compiler.is_compiling() and torch.autograd._profiler_enabled()  # type: ignore[attr-defined]
        if watched or not set_to_none:
            self._zero_grad(set_to_none)
            return
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None

    def state_dict(self) -> dict[str, Any]:
        """State by parameter and options by group, for a checkpoint; the tensors are the optimizer's own."""
        saved: dict[str, Any] = self._state_dict()
        for group in saved["param_groups"]:
            for name, value in group.items():
                # as a sweep or a schedule with numpy leaves it, and torch.load(weights_only=True) refuses it
                if hasattr(value, "item") and not isinstance(value, Tensor) and not getattr(value, "ndim", 0):
                    group[name] = value.item()
                if isinstance(value, torch.dtype):  # torch.distributed.checkpoint refuses it
                    group[name] = str(value).removeprefix("torch.")
        return saved

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load what `state_dict` of this class, or of the torch optimizer it stands for, returned.

        Tensors are copied, so that two optimizers never share a buffer.

        Raises:
            ValueError: for what is no state dict, or another optimizer's.
        """
        hold = self.register_load_state_dict_pre_hook(_hold)  # the last to run
        try:
            self._load_state_dict(state_dict)
        finally:
            hold.remove()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over unpickled or loaded state."""
        groups = {p: group for group in state["param_groups"] for p in group["params"]}
        for p, held in state["state"].items():
            for key, value in held.items() if isinstance(held, dict) else ():
                if isinstance(value, _Held):
                    held[key] = self._placed(key, value.value, p, groups.get(p))
        super().__setstate__(state)

    def _placed(self, key: str, value: Any, p: Any, group: dict[str, Any] | None) -> Any:
        """The same for a value that is or holds tensors, as a subclass's history may."""
        if group is None:  # the state of no parameter
            return deepcopy(value)
        if isinstance(value, Tensor):
            return self._place(key, value, p, group)
        if isinstance(value, dict):
            return {k: self._placed(key, v, p, group) for k, v in value.items()}
        if type(value) in (list, tuple):
            return type(value)(self._placed(key, v, p, group) for v in value)
        return deepcopy(value)

    def _place(self, key: str, value: Tensor, p: Tensor, group: dict[str, Any]) -> Tensor:
        """A loaded tensor of p's state, on p's device and in its own memory."""
        raise NotImplementedError


not_compiled = torch._disable_dynamo(lambda f, *a, **k: f(*a, **k))  # type: ignore[attr-defined]


class _Held:
    """Carries a value past torch's load_state_dict, which would cast it or share its memory."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _hold(_: Optimizer, state_dict: dict[str, Any]) -> dict[str, Any]:
    if missing := {"state", "param_groups"} - state_dict.keys():
        raise ValueError(
            f"this is not an optimizer's state dict: it has no {' and no '.join(sorted(missing))}; its"
            f" keys are {', '.join(map(repr, state_dict)) or 'none'}"
        )

    def held(entry: Any) -> Any:
        return {k: _Held(v) for k, v in entry.items()} if isinstance(entry, dict) else entry

    return {**state_dict, "state": {k: held(v) for k, v in state_dict["state"].items()}}
