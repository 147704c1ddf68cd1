"""What went wrong, read off the numbers of a failed claim: plain data in, a sentence or nothing out."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

from surefoot.check.contract.older import LATER
from surefoot.check.protocol import MISFIT, Options

__all__ = ["CAST", "diagnose"]

CAST = (
    "torch's load_state_dict casts state tensors to the dtype of their parameter, and step() mixes one with "
    "a tensor of another."
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
        return "step() takes no closure; write def step(self, closure=None)."
    if not found and "'NoneType' object is not callable" in what:
        return "Something that is None is called, such as a closure that was not given."
    if id.startswith("closure") and "number, not 'function'" in what:
        return "step(closure) returns the closure itself; write loss = closure()."
    if not found and "NoneType" in _NO_TENSOR.sub("", what):
        return "Something that is None, p.grad or a buffer before its first gradient, is taken for a tensor."
    if not found and MISFIT.search(what):
        return "Tensors of two shapes meet, as where one buffer, or one average, is kept for all parameters."
    return found


def _grad_kept(what: str, expected: Any, got: Any, options: Options) -> str:
    """The first step, in which the buffer is the gradient: what was added to it?"""
    if what != "p.grad after step()":
        return ""
    if got is None:
        return "step() sets p.grad to None, which is for zero_grad() to do."
    g, came = list(_flat(expected)), list(_flat(got))
    if len(came) != len(g):
        return "step() changes the size of p.grad, as resize_(0) does, which gives its memory back."
    w = _start(len(g))
    decay, mu = float(options.get("weight_decay") or 0), float(options.get("momentum") or 0)
    known = {
        "p.grad is negated in place.": [-x for x in g],
        "p.grad is set to zero.": [0.0] * len(g),
        "weight_decay·w is added into p.grad.": [x + decay * y for x, y in zip(g, w, strict=True)],
        "Nesterov's momentum·buffer is added into p.grad.": [x + mu * x for x in g],
        "The momentum average is formed inside p.grad.": [x + mu * ((1 - mu) * x - x) for x in g],
    }
    return next((said for said, numbers in known.items() if _near(numbers, came)), "") or _rescaled(g, came)


def _rescaled(g: list[float], came: list[float]) -> str:
    """What is left of a gradient: its elements within a bound, less their mean, or times a number."""
    top = max(map(abs, came))
    if _near([max(-top, min(top, x)) for x in g], came):
        return f"p.grad is clipped in place, to ±{top:.3g}."
    mean = sum(g) / len(g)
    if _near([x - mean for x in g], came):
        return "The mean of p.grad is taken off it in place."
    if len(g) > 1 and g[0] and _near([x * came[0] / g[0] for x in g], came):
        return f"p.grad is scaled in place, by {came[0] / g[0]:.3g}."
    return ""


def _not_updated(what: str, expected: Any, got: Any, options: Options) -> str:
    if what.startswith("p.grad"):
        return ""
    came, right = list(_flat(got)), list(_flat(expected))
    if "float64" in what and _near(right, came):
        return "In float64 they agree as far as float32 goes: something is kept, or computed, in float32."
    start = [w + 0.0625 * ("against float32" in what) for w in _start(len(came))]  # as every-dtype has it
    still = [i for i, (x, y, w) in enumerate(zip(came, right, start, strict=True)) if x == w != y]
    if not still:
        return ""
    if len(still) == len(came):
        return f"None of the {len(came)} elements is updated."
    run = f"elements {still[0]} to {still[-1]}" if still == list(range(still[0], still[-1] + 1)) else "some"
    return (
        f"Of {len(came)} elements {len(still)} are never updated ({run}): it leaves out a block of a kernel."
    )


def _skipped_step(what: str, expected: Any, got: Any, options: Options) -> str:
    if what.startswith("w after a step"):
        return "The step is made although found_inf is set."
    if any(map(math.isnan, _flat(got))):
        return (
            "The skipped step made state with torch.empty_like and wrote nothing into it; the next step "
            "uses what the memory held, here NaN."
        )
    return "The skipped step left state behind, which the next one uses as if a step had been made."


def _deterministic(what: str, expected: Any, got: Any, options: Options) -> str:
    if what.startswith("which"):
        return "It reads memory made by torch.empty or empty_like before anything was written into it."
    return ""


def _older_checkpoint(what: str, expected: Any, got: Any, options: Options) -> str:
    kind, _, option = what.partition(": ")
    if kind != "KeyError" or option.strip("'") not in LATER:
        return ""
    return f"It fills in other options that an older checkpoint lacks, and forgets {option.strip(chr(39))}."


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
                return f"{what} is lost: it is in what was saved, and not there when that has been loaded."
            if key not in a:
                return f"{what} is left over: it is not in what was saved, and there when that is loaded."
            if any(len(str(v)) > 30 for v in (a[key], b[key])):
                return f"{what} comes back as another."
            return f"{what} is saved as {a[key]}, and comes back as {b[key]}."
    return ""


def _checkpoint_file(what: str, *_: Any) -> str:
    found = re.search(r"Unsupported global: GLOBAL (\S+)", what)
    return f"The state_dict holds an object of {found[1]}." if found else _load_dtype(what, *_)


def _load_dtype(what: str, *_: Any) -> str:
    return CAST if re.search("(expected|same) dtype", what) else ""


def _distributed_checkpoint(what: str, expected: Any, got: Any, options: Options) -> str:
    if found := re.search(r"Unexpected value type <class '([\w.]+)'>", what):
        return f"Its state_dict holds an object of {found[1]}, which torch.distributed refuses."
    if found := re.search(r"KeyError: 'param_groups\.\d+\.(\w+)'", what):
        return f"group[{found[1]!r}] is not there before the first steps; put it there in __init__."
    if found := re.fullmatch(r"KeyError: '(state|param_groups)'", what):
        return f"Its own state_dict() has no {found[1]!r}, which torch's always has."
    if found := re.fullmatch(r"KeyError: '(\w+)'", what):
        return (
            f"torch leaves {found[1]!r} behind: it takes tensors, numbers, strings of a parameter or a group."
        )
    if found := re.fullmatch(r"KeyError: ([\d.]+)", what):
        return f"A key that is a number comes back as a name: {found[1]} as {found[1]!r}."
    if what.endswith("Expected device to be set"):
        return (
            "After a step with lr 0 and gradients of 0 the state has no tensor of a dimension: it was not "
            "empty before the first step, so that torch takes it as made, or it never has one."
        )
    if what.startswith("w, when"):
        decay, lr = float(options.get("weight_decay") or 0), float(options.get("lr") or 0)
        if decay and _near([x * (1 - lr * decay) for x in _flat(expected)], list(_flat(got)), 1e-5):
            return "With lr 0 in the group w is decayed all the same, by the lr that was given first."
        share = next((y / x for x, y in zip(_flat(expected), _flat(got), strict=False) if x), 1.0)
        if decay and 0 < share < 1 and _near([x * share for x in _flat(expected)], list(_flat(got)), 1e-5):
            return "With lr 0 in the group w is decayed all the same, by a step size of the optimizer's own."
        return "The step with lr 0 and gradients of 0 moves w."
    return ""


def _state_overwritten(what: str, expected: Any, got: Any, options: Options) -> str:
    if not what.startswith("the state") or not isinstance(got, dict) or not isinstance(expected, dict):
        return ""
    for name in got:
        ratios = [y / x for x, y in zip(_flat(expected.get(name)), _flat(got[name]), strict=False) if x]
        ratio = ratios[0] if ratios else 0.0  # 0: too small a number for the dtype
        if ratio and abs(ratio - 1) > 0.1 and _near(ratios, [ratio] * len(ratios), 0.02):
            return f"state[{name!r}] is {ratio:.3g} times what it should be: it is then scaled in place."
    return ""


def _complex_parts(what: str, expected: Any, got: Any, options: Options) -> str:
    right, came = list(_flat(expected)), list(_flat(got))
    if not _near(right[1::2], came[1::2], 0.01) and _near(right[::2], came[::2], 0.01):
        return "The real parts are right, but the imaginary parts are lost, as .float() drops them."
    return ""


def _layouts(what: str, expected: Any, got: Any, options: Options) -> str:
    if "written-to tensor" in what:
        return "It writes into p.grad, which cannot be written into when it is expanded."
    if not what.startswith("a transposed") or not isinstance(got, list):
        return ""
    start, right, came = _start(6), list(_flat(expected)), list(_flat(got))
    swapped = [2 * i + j for j in range(2) for i in range(3)]  # the places of [i][j] in transposed memory
    back = [swapped.index(k) for k in range(6)]
    taken = back if what.startswith("a transposed parameter") else swapped
    by_memory = [w + right[k] - start[k] for w, k in zip(start, taken, strict=True)]
    return (
        "It follows the order in memory: elements take the gradients of others."
        if _near(by_memory, came)
        else ""
    )


def _goes_on(what: str, expected: Any, got: Any, options: Options) -> str:
    decay, lr = float(options.get("weight_decay") or 0), float(options.get("lr") or 0)
    w, came = list(_flat(expected)), list(_flat(got))
    for steps in (1, 2):
        if decay and w and len(w) == len(came) and _near([x * (1 - lr * decay) ** steps for x in w], came):
            return "Weight decay is applied although there is no gradient."
    return ""


_KNOWN: dict[str, Callable[[str, Any, Any, Options], str]] = {
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


def _flat(value: Any) -> Iterator[float]:
    if isinstance(value, (list, tuple)):
        for v in value:
            yield from _flat(v)
    elif isinstance(value, (int, float)):
        yield float(value)


def _near(a: list[float], b: list[float], within: float = 1e-6) -> bool:
    return len(a) == len(b) and all(abs(x - y) <= within * (1 + abs(x)) for x, y in zip(a, b, strict=True))
