"""How an optimizer is called: its options, what it needs, whether its step() wants a closure."""

from __future__ import annotations

import inspect
import json
import warnings
from collections.abc import Callable
from typing import Any

from surefoot.check.options.hypers import SYNONYMS, TRIED
from surefoot.check.protocol import Signature
from surefoot.check.subject.keys import group_keys
from surefoot.check.subject.leaving import leaving
from surefoot.check.subject.needed import usual_values
from surefoot.errors import InputError

__all__ = ["describe"]

# what a step() may ask for that a closure does not stand for
NO_CLOSURE = {"loss", "losses", "loss_value", "grad", "grads", "gradient", "gradients", "lr", "metrics"}


def describe(make: Callable[..., Any], imports: str, name: str | None = None) -> Signature:
    """Read how an optimizer is called from its signature."""
    try:
        parameters = list(inspect.signature(make).parameters.values())[1:]
    except (TypeError, ValueError):
        parameters = []
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    swallows = any(p.kind is p.VAR_KEYWORD for p in parameters)
    options = {p.name: _plain(p.default) for p in named if p.default is not p.empty}
    required = tuple(p.name for p in named if p.default is p.empty)
    filled = usual_values(required, [*options, *required])
    if (
        filled
        and len(filled) == len(required)
        and not any(_made(make, filled, shape) for shape in ((2,), (2, 2)))
    ):
        filled = {}  # what is none of them is better asked for
    options |= filled
    required = tuple(o for o in required if o not in filled)
    made = None
    if not required and (swallows or not inspect.isclass(make)):
        made = _made(make, filled)
    held = _held(made)
    if swallows and inspect.isclass(make):
        options, held = {**held, **options}, {}
    step = getattr(make if inspect.isclass(make) else made, "step", None)
    takes = list(inspect.signature(step).parameters.values()) if callable(step) else []
    takes = takes[1:] if inspect.isclass(make) else takes  # without self
    called = name or str(getattr(make, "__name__", type(make).__name__))
    asked = [p.name for p in takes if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    if len(asked) > 1 or NO_CLOSURE & {*asked}:
        raise InputError(
            f"{called}.step() requires {' and '.join(asked)}, which surefoot cannot supply; check a "
            f"subclass whose step(closure=None) supplies {'them' if len(asked) > 1 else 'it'}."
        )
    return Signature(
        name=called,
        options=options,
        required=required,
        filled=filled,
        held={name: value for name, value in held.items() if name not in options},
        swallows=swallows,
        keys={} if required else group_keys(lambda more: _made(make, {**filled, **more}), options),
        needs_closure=bool(asked) and asked[0] == takes[0].name,
        leaves=leaving(step),
        imports=imports,
    )


def _made(make: Callable[..., Any], filled: dict[str, Any], shape: tuple[int, ...] = (2,)) -> Any:
    """An optimizer with its defaults, or usual ones; None if it needs something else, and will say so."""
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return make([torch.nn.Parameter(torch.zeros(shape))], **filled)
    except (Exception, SystemExit):  # a module that an option asks for may end Python where it cannot run
        return None


def _held(made: Any) -> dict[str, Any]:
    """The hyperparameters in an optimizer's one group, whether its maker has options for them or not."""
    groups: list[dict[str, Any]] = getattr(made, "param_groups", [])
    if len(groups) != 1:
        return {}
    return {n: _plain(v) for n, v in groups[0].items() if SYNONYMS.get(n, n) in TRIED}


def _plain(value: Any) -> Any:
    """A value as JSON can hold it, and a float, if it is a number; else a text."""
    try:
        if isinstance(value, int):
            float(value)  # a larger one is a number in no step
        json.dumps(value)
    except OverflowError:
        return hex(value)
    except (TypeError, ValueError):
        return repr(value)
    return value
