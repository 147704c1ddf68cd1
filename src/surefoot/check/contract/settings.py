"""Which values an option is tried with, and which options are tried together."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from surefoot.check.options.hypers import KNOWN, named
from surefoot.check.protocol import Options, Signature

__all__ = [
    "MATRICES",
    "PATHS",
    "VECTOR",
    "alternatives",
    "contexts",
    "everything",
    "hypers",
    "invalid",
    "of_groups",
    "paths",
    "settings",
]

FLAGS = ("nesterov", "maximize", "amsgrad", "centered", "decoupled_weight_decay")
PATHS = ("foreach", "fused", "capturable")  # other implementations of the same rule
# small matrices may be treated apart from larger ones, and vectors from both
MATRICES, VECTOR = [[2, 2], [4, 4]], [[3]]
SWITCHES = 3  # of unknown meaning, that are turned to see what another option does


def hypers(signature: Signature) -> dict[str, str]:
    """Return option → hyperparameter, for the options whose names say what they are."""
    return named({**dict.fromkeys(signature.required), **signature.options})


def alternatives(signature: Signature, again: bool = False) -> list[tuple[str, Any]]:
    """Return the options whose meaning is known, each with a value that shows it; `again`: another."""
    found = []
    for option, hyper in hypers(signature).items():
        if not (shown := KNOWN[hyper].shown):
            continue
        value = shown[-1 if again else 0]
        default = signature.options.get(option, value)
        if isinstance(default, str) != isinstance(value, str):
            continue  # its value is a word: who takes "no" for no need not know what True means
        if isinstance(default, bool):
            found.append((option, not default))
        elif isinstance(value, tuple) == isinstance(default, (tuple, list)) and (
            default != value or option in signature.required
        ):
            found.append((option, _as_long(value, default)))
    return found


def of_groups(signature: Signature, again: bool = False) -> list[tuple[str, Any]]:
    """The same, without synonyms, which the groups may hold under another name."""
    return [(o, v) for o, v in alternatives(signature, again) if o in KNOWN]


def _as_long(value: Any, default: Any) -> Any:
    """The value, filled up from a default that is longer: some have three betas."""
    return (*value, *default[len(value) :])[: len(default)] if isinstance(value, tuple) else value


def everything(signature: Signature) -> list[dict[str, Any]]:
    """Return one case: the known options away from their defaults, and from their values elsewhere."""
    skip = ("amsgrad", "centered", "nesterov")  # these add state, or exclude dampening
    return [{"other": {o: v for o, v in of_groups(signature, again=True) if o not in skip}}]


def invalid(signature: Signature) -> list[dict[str, Any]]:
    """Return the values that an option must refuse."""
    return [
        {"option": o, "value": _as_long(v, signature.options[o])}
        for o, hyper in hypers(signature).items()
        for v in KNOWN[hyper].wrong
        if o in signature.options
        and not isinstance(signature.options[o], str)
        and isinstance(v, tuple) == isinstance(signature.options[o], (tuple, list))
    ]


def contexts(signature: Signature) -> list[dict[str, Any]]:
    """Return, for each option, the company in which it may show: alone, with one or two others, with all."""
    cases, named = [], hypers(signature)
    for option, value in alternatives(signature):
        others = [(o, v) for o, v in alternatives(signature) if o != option and named[o] != "lr"]
        company = [{}, *({o: v} for o, v in others), dict(others[:2]), dict(others)]
        company += [{o: not v} for o, v in _unknown_switches(signature)]
        ways = [(value, also, MATRICES) for also in company]
        ways += [(v, {}, MATRICES) for v in KNOWN[named[option]].more] + [(value, {}, VECTOR)]
        cases += [{"option": option, "value": v, "also": also, "shapes": shapes} for v, also, shapes in ways]
    return cases


def _unknown_switches(signature: Signature) -> list[tuple[str, bool]]:
    """Return the first options that are True or False, whose names do not say for what."""
    known = {*hypers(signature), *PATHS, "differentiable"}
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
    named = hypers(signature)  # lr is given in every run, so it is no setting of its own
    free = {o: v for o, v in alternatives(signature) if o not in given and named[o] != "lr"}
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
