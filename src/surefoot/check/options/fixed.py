"""Hyperparameters that a class does not offer, since its code has a number in their place."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from surefoot.check.arithmetic.wording import listed
from surefoot.check.options.hypers import KNOWN
from surefoot.check.options.words import Words
from surefoot.rules import Rule

__all__ = ["fixed", "missing"]


def missing(rule: Rule, words: Words) -> list[str]:
    """The averages' coefficients, and ε, that a rule has and the optimizer has no option for."""
    offered = set(words.hyper.values())
    offered |= {"beta1", "beta2"} if "betas" in offered else set()
    names = [n for n in rule.defaults if n in KNOWN and KNOWN[n].in_code]
    if {"alpha", "beta2"} & set(names):  # RMSprop without momentum is RMSprop; SGD without is another
        names = [n for n in names if n != "momentum"]
    return [n for n in names if n not in offered]


def fixed(rule: Rule, words: Words) -> Iterator[Rule]:
    """Yield a rule with each combination of usual values for what is missing, but that of its defaults."""
    default = rule.defaults
    names = missing(rule, words)
    for values in itertools.product(*(dict.fromkeys((default[n], *KNOWN[n].in_code)) for n in names)):
        chosen: dict[str, Any] = {n: v for n, v in zip(names, values, strict=True) if v != default[n]}
        if not chosen:
            continue
        said = [f"{n}={v:g}" for n, v in chosen.items()]
        yield rule.variant(title=f"{rule.title} with {listed(said)}, fixed in its code", **chosen)
