"""What went wrong, read off the numbers of a failed claim: plain data in, a sentence or nothing out."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

from surefoot.check.contract.older import LATER
from surefoot.check.protocol import MISFIT, Options

__all__ = ["AFTER_WHICH", "CAST", "NOT_FINITE", "NOT_FINITE_AT_FIRST", "ZEROED", "diagnose", "unmoved"]

CAST = (
    "torch's load_state_dict casts state tensors to their parameter's dtype, and step() mixes one with a "
    "tensor of another dtype."
)

AFTER_WHICH = "the first of 9 steps"  # how the claim of `steps` on NaN begins
ZEROED = "p.grad is set to zero."
NOT_FINITE = "step() makes w NaN or infinite, though every gradient is finite."
NOT_FINITE_AT_FIRST = (
    "The first step already makes w NaN or infinite, though its gradient is finite, as 0/0 does: a bias "
    "correction 1 − βᵗ, for one, is 0 while t is."
)

# None that is taken for no tensor: an argument left out, in torch's list of all; what should be a number
_NO_TENSOR = re.compile(r"\w+=NoneType|must be (real n|N)umber, not NoneType")


def diagnose(id: str, what: str, expected: Any, got: Any, options: Options) -> str:
    """Say what reproduces the numbers that came, if something known does.

    Args:
        id: the clause that failed.
        what: what its claim was about, or the exception that was raised.
        expected: the value that was expected.
        got: the value that came.
        options: the options in force.

    Example:
        >>> diagnose("grad-kept", "p.grad after step()", [[0.5, -1.0]], [[-0.5, 1.0]], {"maximize": True})
        'p.grad is negated in place.'
    """
    found = _KNOWN[id](what, expected, got, options) if id in _KNOWN else ""
    if "positional argument" in what and id.startswith("closure"):
        return "step() does not accept a closure; write def step(self, closure=None)."
    if not found and "'NoneType' object is not callable" in what:
        return "step() calls something that is None, such as a closure that was not given."
    if id.startswith("closure") and "number, not 'function'" in what:
        return "step(closure) returns the closure itself; write loss = closure()."
    if not found and "NoneType" in _NO_TENSOR.sub("", what):
        return "None is used as a tensor, such as p.grad or a buffer before its first gradient."
    if not found and MISFIT.search(what):
        return "Tensors of different shapes are combined, as when all parameters share one buffer or average."
    return found


def _grad_kept(what: str, expected: Any, got: Any, options: Options) -> str:
    """The first step, in which the buffer is the gradient: what was added to it?"""
    if what != "p.grad after step()":
        return ""
    if got is None:
        return "step() sets p.grad to None; that is zero_grad()'s job."
    g, came = list(_flat(expected)), list(_flat(got))
    if len(came) != len(g):
        return "step() resizes p.grad, as with resize_(0), which frees its memory."
    w = _start(len(g))
    decay, mu = _number(options, "weight_decay"), _number(options, "momentum")
    known = {
        "p.grad is negated in place.": [-x for x in g],
        ZEROED: [0.0] * len(g),
        "weight_decay·w is added into p.grad.": [x + decay * y for x, y in zip(g, w, strict=True)],
        "Nesterov's momentum·buffer is added into p.grad.": [x + mu * x for x in g],
        "The momentum average is computed in place in p.grad.": [x + mu * ((1 - mu) * x - x) for x in g],
    }
    return next((said for said, numbers in known.items() if _near(numbers, came)), "") or _rescaled(g, came)


def _rescaled(g: list[float], came: list[float]) -> str:
    """What is left of a gradient: its elements within a bound, less their mean, or times a number."""
    top = max(map(abs, came))
    if _near([max(-top, min(top, x)) for x in g], came):
        return f"p.grad is clipped in place to ±{top:.3g}."
    mean = sum(g) / len(g)
    if _near([x - mean for x in g], came):
        return "The mean of p.grad is subtracted from it in place."
    if len(g) > 1 and g[0] and _near([x * came[0] / g[0] for x in g], came):
        return f"p.grad is scaled in place by {came[0] / g[0]:.3g}."
    return ""


def _not_updated(what: str, expected: Any, got: Any, options: Options) -> str:
    if what.startswith("p.grad"):
        return ""
    came, right = list(_flat(got)), list(_flat(expected))
    if "float64" in what and _near(right, came):
        return "In float64 they agree only to float32 precision: something is kept or computed in float32."
    start = [w + 0.0625 * ("against float32" in what) for w in _start(len(came))]  # as every-dtype has it
    still = [i for i, (x, y, w) in enumerate(zip(came, right, start, strict=True)) if x == w != y]
    if not still:
        return ""
    if len(still) == len(came):
        return f"None of the {len(came)} elements is updated."
    run = f"elements {still[0]} to {still[-1]}" if still == list(range(still[0], still[-1] + 1)) else "some"
    return (
        f"{len(still)} of {len(came)} elements {'is' if len(still) == 1 else 'are'} never updated ({run}): "
        "a kernel skips a block."
    )


def _steps(what: str, expected: Any, got: Any, options: Options) -> str:
    if not what.startswith(AFTER_WHICH):
        return ""
    return NOT_FINITE_AT_FIRST if got == 1 else NOT_FINITE


def _skipped_step(what: str, expected: Any, got: Any, options: Options) -> str:
    if what.startswith("w after a step"):
        return "The step is done although found_inf is set."
    if any(map(math.isnan, _flat(got))):
        return (
            "The skipped step created state with torch.empty_like and wrote nothing to it; the next step "
            "uses what the memory held, here NaN."
        )
    return "The skipped step left state behind; the next step uses it as if a step had been done."


def _deterministic(what: str, expected: Any, got: Any, options: Options) -> str:
    if what.startswith("which"):
        return "It reads memory from torch.empty or empty_like before writing to it."
    return ""


def _older_checkpoint(what: str, expected: Any, got: Any, options: Options) -> str:
    kind, _, option = what.partition(": ")
    if kind != "KeyError" or option.strip("'") not in LATER:
        return ""
    return f"It fills in other options that an older checkpoint lacks, but not {option.strip(chr(39))}."


def _loaded(what: str, expected: Any, got: Any, options: Options) -> str:
    """What a method of its own has made of what was saved."""
    if not what.startswith("the groups' options"):
        return ""
    places = (
        [f"state[p] of parameter {n}:" for n in range(len(expected) - 1)] if expected[2:] else ["state[p]:"]
    )
    places += [f"group {n}'s" for n in range(len(expected[0]))]
    for place, a, b in zip(places, [*expected[1:], *expected[0]], [*got[1:], *got[0]], strict=False):
        # initial_lr is a scheduler's: of all that is lost it says least
        for key in sorted({*a, *b}, key=lambda key: (key == "initial_lr", str(key))):
            if a.get(key) == b.get(key):
                continue
            what = f"{place} {key}"
            if key not in b:
                return f"{what} is lost: it was saved, but is missing after loading."
            if key not in a:
                return f"{what} is left over: it was not saved, but is there after loading."
            if any(len(str(v)) > 30 for v in (a[key], b[key])):
                return f"{what} has changed after loading."
            return f"{what} was saved as {a[key]}, but is {b[key]} after loading."
    return ""


def _checkpoint_file(what: str, *_: Any) -> str:
    found = re.search(r"Unsupported global: GLOBAL (\S+)", what)
    return f"The state_dict holds an object of type {found[1]}." if found else _load_dtype(what, *_)


def _load_dtype(what: str, *_: Any) -> str:
    return CAST if re.search("(expected|same) dtype", what) else ""


def _distributed_checkpoint(what: str, expected: Any, got: Any, options: Options) -> str:
    if found := re.search(r"Unexpected value type <class '([\w.]+)'>", what):
        return f"Its state_dict holds an object of type {found[1]}, which torch.distributed rejects."
    if found := re.search(r"KeyError: 'param_groups\.\d+\.(\w+)'", what):
        return f"group[{found[1]!r}] does not exist before the first step; set it in __init__."
    if found := re.fullmatch(r"KeyError: '(state|param_groups)'", what):
        return f"Its own state_dict() has no {found[1]!r}; torch's always has one."
    if found := re.fullmatch(r"KeyError: '(\w+)'", what):
        return (
            f"torch does not save {found[1]!r}: it saves only a parameter's or group's tensors, numbers and "
            "strings."
        )
    if found := re.fullmatch(r"KeyError: ([\d.]+)", what):
        return f"A numeric key becomes a string: {found[1]} comes back as {found[1]!r}."
    if what.endswith("Expected device to be set"):
        return (
            "After a step with lr 0 and zero gradients the state has no tensor with dimensions. Either "
            "state existed before the first step, so torch does not create it, or it never has such a tensor."
        )
    if what.startswith("w, when"):
        decay, lr = _number(options, "weight_decay"), _number(options, "lr")
        if decay and _near([x * (1 - lr * decay) for x in _flat(expected)], list(_flat(got)), 1e-5):
            return "With lr 0 in the group, weight decay still changes w, with the initial lr."
        share = next((y / x for x, y in zip(_flat(expected), _flat(got), strict=False) if x), 1.0)
        if decay and 0 < share < 1 and _near([x * share for x in _flat(expected)], list(_flat(got)), 1e-5):
            return "With lr 0 in the group, weight decay still changes w, with the optimizer's own step size."
        return "The step with lr 0 and zero gradients changes w."
    return ""


def _state_overwritten(what: str, expected: Any, got: Any, options: Options) -> str:
    if not what.startswith("the state") or not isinstance(got, dict) or not isinstance(expected, dict):
        return ""
    for name in got:
        ratios = [y / x for x, y in zip(_flat(expected.get(name)), _flat(got[name]), strict=False) if x]
        ratio = ratios[0] if ratios else 0.0  # 0: too small a number for the dtype
        if ratio and abs(ratio - 1) > 0.1 and _near(ratios, [ratio] * len(ratios), 0.02):
            return f"state[{name!r}] is {ratio:.3g} times what it should be: something scales it in place."
    return ""


def _complex_parts(what: str, expected: Any, got: Any, options: Options) -> str:
    right, came = list(_flat(expected)), list(_flat(got))
    if not _near(right[1::2], came[1::2], 0.01) and _near(right[::2], came[::2], 0.01):
        return "The real parts are right, but the imaginary ones are lost, as with .float()."
    return ""


def _layouts(what: str, expected: Any, got: Any, options: Options) -> str:
    if "written-to tensor" in what:
        return "It writes into p.grad, which fails for an expanded gradient."
    if not what.startswith("a transposed") or not isinstance(got, list):
        return ""
    start, right, came = _start(6), list(_flat(expected)), list(_flat(got))
    swapped = [2 * i + j for j in range(2) for i in range(3)]  # the places of [i][j] in transposed memory
    back = [swapped.index(k) for k in range(6)]
    taken = back if what.startswith("a transposed parameter") else swapped
    by_memory = [w + right[k] - start[k] for w, k in zip(start, taken, strict=True)]
    return "It works by memory order: elements get each other's gradients." if _near(by_memory, came) else ""


def _goes_on(what: str, expected: Any, got: Any, options: Options) -> str:
    decay, lr = _number(options, "weight_decay"), _number(options, "lr")
    w, came = list(_flat(expected)), list(_flat(got))
    for steps in (1, 2):
        if decay and w and len(w) == len(came) and _near([x * (1 - lr * decay) ** steps for x in w], came):
            return "Weight decay is applied although the gradient is None."
    return ""


_KNOWN: dict[str, Callable[[str, Any, Any, Options], str]] = {
    "steps": _steps,
    "grad-kept": _grad_kept,
    "complex-parts": _complex_parts,
    "layouts": _layouts,
    "paths-agree": _not_updated,
    "every-dtype": _not_updated,
    "skipped-step": _skipped_step,
    "deterministic": _deterministic,
    "resume": _loaded,
    "goes-back": _loaded,
    "older-checkpoint": _older_checkpoint,
    "checkpoint-file": _checkpoint_file,
    "load-dtype": _load_dtype,
    "distributed-checkpoint": _distributed_checkpoint,
    "dtype-state": _state_overwritten,
    "no-gradient": _goes_on,
    "frozen": _goes_on,
}


def _start(count: int) -> list[float]:
    """Return the values of tools.weight."""
    return [(i % 7 - 2.5) / 2 for i in range(count)]


def unmoved(expected: Any, got: Any) -> bool:
    """Whether what should have moved is where tools.weight has it at the start."""
    came = list(_flat(got))
    return bool(came) and came == _start(len(came)) != list(_flat(expected))


def _flat(value: Any) -> Iterator[float]:
    if isinstance(value, (list, tuple)):
        for v in value:
            yield from _flat(v)
    elif isinstance(value, (int, float)):
        yield float(value)


def _number(options: Options, name: str) -> float:
    """The value of an option; 0 if there is none, or if it is no number."""
    value = options.get(name)
    return float(value) if isinstance(value, (int, float)) else 0.0


def _near(a: list[float], b: list[float], within: float = 1e-6) -> bool:
    return len(a) == len(b) and all(abs(x - y) <= within * (1 + abs(x)) for x, y in zip(a, b, strict=True))
