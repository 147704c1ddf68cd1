"""Which values an option is tried with, and which options are tried together."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from surefoot.check.protocol import Options, Signature

__all__ = [
    "MATRICES",
    "PATHS",
    "VECTOR",
    "alternatives",
    "contexts",
    "everything",
    "invalid",
    "paths",
    "settings",
]

# option -> a value that shows in short runs that it does something: exact in binary, far from the default
SHOWS: dict[str, Any] = {
    "lr": 0.125,
    "momentum": 0.75,
    "dampening": 0.5,
    "weight_decay": 0.125,
    "nesterov": True,
    "maximize": True,
    "betas": (0.5, 0.75),
    "eps": 0.125,
    "amsgrad": True,
    "alpha": 0.5,
    "centered": True,
    "rho": 0.5,
    "lambd": 0.5,
    "lr_decay": 0.5,
    "initial_accumulator_value": 0.5,
    "momentum_decay": 0.5,
    "decoupled_weight_decay": True,
    "etas": (0.25, 2.0),
    "step_sizes": (0.0625, 0.5),
}
AGAIN: dict[str, Any] = {
    "lr": 0.0625,
    "momentum": 0.5,
    "weight_decay": 0.25,
    "dampening": 0.25,
    "betas": (0.75, 0.5),
    "eps": 0.25,
    "alpha": 0.25,
    "rho": 0.25,
}
MORE: dict[str, tuple[Any, ...]] = {"eps": (4.0,)}  # where it is a lower bound, a small one never binds
FLAGS = ("nesterov", "maximize", "amsgrad", "centered", "decoupled_weight_decay")
WRONG: dict[str, tuple[Any, ...]] = {
    "lr": (-1.0,),
    "momentum": (-0.5,),
    "weight_decay": (-0.5,),
    "betas": ((1.5, 0.75), (0.5, -0.25)),
    "eps": (-1.0,),
}
PATHS = ("foreach", "fused", "capturable")  # other implementations of the same rule
BASE = ("lr",)  # given in every run, so no setting of its own
# small matrices may be treated apart from larger ones, and vectors from both
MATRICES, VECTOR = [[2, 2], [4, 4]], [[3]]
SWITCHES = 3  # of unknown meaning, that are turned to see what another option does


def alternatives(signature: Signature, again: bool = False) -> list[tuple[str, Any]]:
    """Return the options whose meaning is known, each with a value that shows it; `again`: another."""
    known = {**SHOWS, **(AGAIN if again else {})}
    found = []
    for option, value in known.items():
        default = signature.options.get(option, value)
        if isinstance(default, str) != isinstance(value, str):
            continue  # its value is a word: who takes "no" for no need not know what True means
        if isinstance(default, bool):
            found.append((option, not default))
        elif isinstance(value, tuple) == isinstance(default, (tuple, list)) and (
            default != value or option in signature.required
        ):
            found.append((option, _as_long(value, default)))
    return [(o, v) for o, v in found if o in signature.options or o in signature.required]


def _as_long(value: Any, default: Any) -> Any:
    """The value, filled up from a default that is longer: some have three betas."""
    return (*value, *default[len(value) :])[: len(default)] if isinstance(value, tuple) else value


def everything(signature: Signature) -> list[dict[str, Any]]:
    """Return one case: the known options away from their defaults, and from their values elsewhere."""
    skip = ("amsgrad", "centered", "nesterov")  # these add state, or exclude dampening
    return [{"other": {o: v for o, v in alternatives(signature, again=True) if o not in skip}}]


def invalid(signature: Signature) -> list[dict[str, Any]]:
    """Return the values that an option must refuse."""
    return [
        {"option": o, "value": _as_long(v, signature.options[o])}
        for o, values in WRONG.items()
        for v in values
        if o in signature.options
        and not isinstance(signature.options[o], str)
        and isinstance(v, tuple) == isinstance(signature.options[o], (tuple, list))
    ]


def contexts(signature: Signature) -> list[dict[str, Any]]:
    """Return, for each option, the company in which it may show: alone, with one or two others, with all."""
    cases = []
    for option, value in alternatives(signature):
        others = [(o, v) for o, v in alternatives(signature) if o != option and o not in BASE]
        company = [{}, *({o: v} for o, v in others), dict(others[:2]), dict(others)]
        company += [{o: not v} for o, v in _unknown_switches(signature)]
        ways = [(value, also, MATRICES) for also in company]
        ways += [(v, {}, MATRICES) for v in MORE.get(option, ())] + [(value, {}, VECTOR)]
        cases += [{"option": option, "value": v, "also": also, "shapes": shapes} for v, also, shapes in ways]
    return cases


def _unknown_switches(signature: Signature) -> list[tuple[str, bool]]:
    """Return the first options that are True or False, whose names do not say for what."""
    known = {*SHOWS, *PATHS, "differentiable"}
    found = [(o, v) for o, v in signature.options.items() if isinstance(v, bool) and o not in known]
    return found[:SWITCHES]


def paths(signature: Signature) -> list[dict[str, Any]]:
    """Return each implementation beside the plain loop, in each dtype, and with two groups in one."""
    there = [p for p in PATHS if p in signature.options]
    loop = {p: False for p in there if p != "capturable"}
    others = {1: {}, 2: everything(signature)[0]["other"]}
    return [
        {"fast": {**loop, path: True}, "loop": loop, "dtype": dtype, "groups": n, "other": others[n]}
        for path in there
        for n, dtype in ((1, "float32"), (1, "float64"), (1, "float16"), (1, "bfloat16"), (2, "float32"))
    ]


def settings(signature: Signature, given: Options, over: str) -> Iterator[dict[str, Any]]:
    """Yield the options to add to the given ones: none first, then one, two and three at a time.

    Up to two come in the default implementation, then in each of the others; three in the default one alone.
    What the user gave is never changed.
    """
    free = {o: v for o, v in alternatives(signature) if o not in given and o not in BASE}
    fast: list[dict[str, Any]] = [
        {},
        *({p: True} for p in PATHS if p in signature.options and p not in given),
    ]
    most = {"given": 0, "singles": 1, "combos": 3}[over]
    for size in range(most + 1):
        for chosen in itertools.combinations(free, size):
            for path in fast if over == "combos" and size < 3 else [{}]:
                yield {**{o: free[o] for o in chosen}, **path}
    if over == "singles":
        yield from fast[1:]
