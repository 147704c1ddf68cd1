"""What the probes share. A reproduction copies those that it uses, so they are plain torch and short."""

from __future__ import annotations

import collections
import itertools
import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from surefoot.check.contract.clause import Make

# what a torch.optim.Optimizer has, and a class of its own may not have
OF_AN_OPTIMIZER = (
    "param_groups",
    "state",
    "defaults",
    "state_dict",
    "load_state_dict",
    "add_param_group",
    "register_step_pre_hook",
    "register_step_post_hook",
    "zero_grad",
    "step",
)
NEEDS = "needs a torch.optim.Optimizer"  # a note's beginning


def weight(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    n = torch.Size(shape).numel()
    return ((torch.arange(n) % 7 - 2.5) / 2).to(dtype).reshape(shape).requires_grad_()


def gradient(w: Tensor, t: int) -> Tensor:
    return ((torch.arange(w.numel()) * 3 + t * 2) % 5 - 1.75).div(2).to(w.dtype).reshape(w.shape)


def run(opt: Any, weights: list[Tensor], steps: Iterable[int]) -> None:
    for t in steps:
        for w in weights:
            w.grad = gradient(w, t)
        opt.step()


def state(opt: Any, w: Tensor) -> dict[str, Any]:
    def plain(v: Any) -> Any:
        if isinstance(v, dict):
            return {k: plain(x) for k, x in v.items()}
        if isinstance(v, (list, tuple, collections.deque)):
            return [plain(x) for x in v]
        if v is None or isinstance(v, (bool, int, float, str)):
            return v
        return v.tolist() if hasattr(v, "tolist") else type(v).__name__  # of two objects only the kind is one

    kept = getattr(opt, "state", {})
    return {k: plain(v) for p in kept if p is w for k, v in kept[p].items()}


def options(opt: Any) -> list[dict[str, str]]:
    held = [{k: v for k, v in group.items() if k != "params"} for group in opt.param_groups]
    kinds = (bool, int, float, str, list, tuple, torch.Tensor)
    return [{k: str(v) for k, v in group.items() if isinstance(v, kinds)} for group in held]


def buffer_dtypes(states: Any) -> list[str]:
    held = [s for s in states.values() if isinstance(s, dict)] if isinstance(states, dict) else []
    return [str(v.dtype) for s in held for v in s.values() if torch.is_tensor(v) and v.dim()]


def state_dtypes(opt: Any, w: Tensor) -> dict[str, Any]:
    def kind(v: Any) -> Any:
        if isinstance(v, dict):
            return {k: kind(x) for k, x in v.items()}
        if isinstance(v, (list, tuple)):
            return [kind(x) for x in v]
        return str(v.dtype) if torch.is_tensor(v) else "no tensor"

    return {k: kind(v) for k, v in opt.state.get(w, {}).items()}


def waited(make: Make, shape: tuple[int, ...], wait: int, steps: Iterable[int]) -> Any:
    """What becomes of a parameter that is there from the start, and has no gradient in the first steps."""
    w = weight(*shape)
    opt = make([w])
    try:
        for _ in range(wait):
            opt.step()
    except Exception:
        return None  # it does not wait
    run(opt, [w], steps)
    return w.tolist()


def is_one(opt: Any) -> bool:
    """Whether it is an Optimizer, and was made one: a subclass may forget super().__init__()."""
    return isinstance(opt, torch.optim.Optimizer) and hasattr(opt, "param_groups") and hasattr(opt, "state")


def lacks(opt: Any, *names: str) -> str | None:
    """What a class of its own does not have of these; from an Optimizer they are expected."""
    if is_one(opt):
        return None
    return next((f"{NEEDS}: it has no {name}" for name in names if not hasattr(opt, name)), None)


def shared_count(
    make: Make, shape: tuple[int, ...], wait: int, steps: Iterable[int], came: Any, group: bool = False
) -> bool:
    """Whether a late parameter goes by how many steps there were before it, and by nothing else of others.

    Unlike a count for each parameter, that is alike beside one and two others; a flag is, for every wait.
    """
    alike, longer = (_beside(make, shape, n, steps, group) for n in (wait, wait + 1))

    def near(end: Any) -> bool:  # not by torch.allclose, which the optimizer's module may have replaced
        pairs = zip(itertools.chain(*came), itertools.chain(*end), strict=True)
        return all(math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-6) for a, b in pairs)

    return alike is not None and longer is not None and near(alike) and not near(longer)


def _beside(make: Make, shape: tuple[int, ...], wait: int, steps: Iterable[int], group: bool) -> Any:
    """What becomes of a parameter if two others are stepped first; `group`: it is added after the wait."""
    w, others = weight(*shape), [weight(3, 2), weight(3, 3)]
    try:
        opt = make(others if group else [w, *others])
        for t in range(wait):
            for p in others:
                p.grad = gradient(p, t) * 3
            opt.step()
        if not w.equal(weight(*shape)):
            return None  # it did not rest meanwhile
        if group:
            opt.add_param_group({"params": [w]})
        for t in steps:
            w.grad = gradient(w, t)
            for p in others:
                p.grad = gradient(p, t) * 3
            opt.step()
    except Exception:
        return None  # that is for others to tell
    return w.tolist()
