"""What kind of optimizer it is, found by trying: clauses that do not suit its kind then do not apply.

Each fact is a probe like a clause's; it returns None if the fact holds, or the sentence why it does not.
"""

from __future__ import annotations

import inspect
import random
import sys
from collections.abc import Callable
from typing import Any

import torch

from surefoot.check.contract.clause import Make
from surefoot.check.contract.tools import NEEDS, gradient, is_one, lacks, run, weight
from surefoot.check.protocol import MATRICES_ONLY

__all__ = ["FACTS", "NO_OPTIMIZER", "UNREADY"]

NO_OPTIMIZER = "it is not a torch.optim.Optimizer"
UNREADY = "its __init__ does not call super().__init__(params, defaults)"


def an_optimizer(make: Make) -> str | None:
    opt = make([weight(2, 2)])
    if not isinstance(opt, torch.optim.Optimizer):
        return NO_OPTIMIZER
    return None if is_one(opt) else UNREADY


def a_closure(make: Make) -> str | None:
    """Whether a closure can be asked for: whoever derives from Optimizer has a step(closure) to override."""
    opt = make([weight(2, 2)])
    if is_one(opt) or "closure" in inspect.signature(opt.step).parameters:
        return None
    return f"{NEEDS}: its step() does not accept a closure"


def groups(make: Make) -> str | None:
    if why := lacks(make([weight(2, 2)]), "param_groups", "add_param_group"):
        return why
    try:
        make([{"params": [weight(2, 2)]}, {"params": [weight(2, 2)]}])
    except MemoryError:
        raise
    except Exception as error:
        return f"it rejects several groups: {error}"
    return None


def any_shape(make: Make) -> str | None:
    w = weight(3)
    said = ""
    try:
        opt = make([w])
    except MemoryError:
        raise
    except Exception as error:
        said = str(error) or type(error).__name__
    else:
        try:
            run(opt, [w], range(1))
        except (ValueError, NotImplementedError, RuntimeError, AssertionError) as error:
            said = str(error) if MATRICES_ONLY.search(str(error)) else ""
    return f"it rejects a 1-dimensional parameter: {said}" if said else None


def an_lr(make: Make) -> str | None:
    opt = make([weight(2, 2)])
    if why := lacks(opt, "param_groups"):
        return why
    return None if "lr" in opt.param_groups[0] else "it has no lr in its groups"


def repeatable(make: Make) -> str | None:
    """Whether a run can be held against another of the same; a few short ones may draw alike by chance."""
    before = _generators()
    ends = [_end(make, [(2, 2)], 3) for _ in range(2)]
    drawn = _generators() != before
    if drawn and ends[0] == ends[1]:
        ends = [_end(make, [(2, 2), (2, 3), (3, 3)], 10) for _ in range(8)]
    if ends[1:] == ends[:-1]:
        return None
    if drawn:
        return "it draws random numbers, so two runs differ"
    return "two identical runs of it give different results"


def _end(make: Make, shapes: list[tuple[int, ...]], steps: int) -> str:
    weights = [weight(*shape) for shape in shapes]
    run(make(weights), weights, range(steps))
    return str([w.tolist() for w in weights])


def _generators() -> list[Any]:
    """Where the generators of random numbers stand."""
    numpy = sys.modules.get("numpy")
    return [torch.get_rng_state().tolist(), random.getstate(), str(numpy and numpy.random.get_state())]


def visible(make: Make) -> str | None:
    """Whether its steps are larger than rounding: some feel their way to a step size from next to nothing."""
    w = weight(2, 2)
    before = w.detach().clone()
    run(make([w]), [w], range(10))
    moved = ((w.detach() - before) / before).abs().max().item()
    return "its first steps are too small to show anything here" if moved < 1e-4 else None


def uncoupled(make: Make) -> str | None:
    """Whether one parameter's step is its own affair: it must not go by the size of another's gradient.

    Where gradients are normalised first, only that which is zero has another size.
    """
    ends = []
    for scale in (1.0, 3.0, 0.0):
        w, other = weight(2, 2), weight(2, 3)
        opt = make([w, other])
        for t in range(3):
            w.grad, other.grad = gradient(w, t), gradient(other, t) * scale
            opt.step()
        ends.append(w.tolist())
    if ends[1:] != ends[:-1]:
        return "it couples parameters: one's step depends on the size of another's gradient"
    return None


def elementwise(make: Make) -> str | None:
    """Whether an element's step is its own affair; the longer gradient is nearly at right angles to w."""
    for shape, start in (((4, 2), 3), ((37, 1), 20)):
        ends = []
        for scale in (1.0, 3.0, -1.0):
            w = weight(*shape)
            opt = make([w])
            for t in range(3):
                ramp = torch.linspace(-1, 1, w.numel()).reshape(shape) * (0.5 - t)
                w.grad = gradient(w, t) if start == 3 else ramp
                w.grad[start:] *= scale
                opt.step()
            ends.append(w.tolist()[:start])
        if ends[1:] != ends[:-1]:
            return "it couples the elements of a tensor: one's step depends on the others' gradients"
    return None


def importable(make: Make) -> str | None:
    cls = type(make([weight(2, 2)]))
    if getattr(sys.modules.get(cls.__module__), cls.__qualname__, None) is not cls:
        return f"pickle cannot find {cls.__qualname__} by name in {cls.__module__}"
    return None


def constructs(make: Make) -> str | None:
    make([weight(2, 2)])
    return None


def moves_anyway(make: Make) -> str | None:
    """Whether a step that raises has moved its parameter before."""
    w = weight(2, 2)
    opt = make([w])
    before = w.tolist()
    try:
        run(opt, [w], range(1))
    except Exception:
        return "step() raises before it moves the parameter" if w.tolist() == before else None
    return None


def unread(make: Make, option: str) -> str | None:
    """Whether an option that changed nothing is used nowhere: the code may read it for what is not tried."""
    opt = make([weight(2, 2)])
    if lacks(opt, "param_groups") or not _reads(type(opt), option):
        return None
    words = [f"{o}={v!r}" for o, v in opt.param_groups[0].items() if isinstance(v, str) and not _dtype(v)]
    fed = [f"{m}() is called" for m in dir(opt) if "hess" in m.lower() and callable(getattr(opt, m, None))]
    why = [*(f"with {word}" for word in words), *(f"before {called}" for called in fed)]
    return f"{option} has no effect {why[0]}, but the code reads it" if why else None


def _dtype(word: str) -> bool:
    return isinstance(getattr(torch, word, None), torch.dtype)


def _reads(cls: type, option: str) -> bool:
    """Whether a method other than the constructor has the option's name in its code."""
    own = (c for c in cls.__mro__ if c is not object and not c.__module__.startswith("torch."))
    methods = (inspect.unwrap(f) for c in own for n, f in vars(c).items() if callable(f) and n != "__init__")
    return any(option in getattr(getattr(f, "__code__", None), "co_consts", ()) for f in methods)


FACTS: dict[str, Callable[..., Any]] = {
    "unread": unread,
    "an optimizer": an_optimizer,
    "a closure": a_closure,
    "groups": groups,
    "any shape": any_shape,
    "an lr": an_lr,
    "repeatable": repeatable,
    "visible": visible,
    "uncoupled": uncoupled,
    "elementwise": elementwise,
    "importable": importable,
    "constructs": constructs,
    "moves anyway": moves_anyway,
}
