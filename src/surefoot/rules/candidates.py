"""Hyperparameters of one rule that might make it step as another does; agree.py says whether they do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import product
from typing import Any

from surefoot.errors import InputError
from surefoot.rules.agree import response
from surefoot.rules.hyper import H
from surefoot.rules.hypers import DECAYS
from surefoot.rules.rule import Rule
from surefoot.rules.table import get

__all__ = ["candidates", "exact", "shapes"]


def exact(x: Any) -> Fraction:
    """A hyperparameter as it is written: 0.1 is 1/10."""
    try:
        number = Fraction(str(x))
    except ValueError:
        raise InputError(f"A conversion requires finite hyperparameters, not {x!r}.") from None
    if number and not Fraction(1, 10**300) < abs(number) < 10**300:
        raise InputError(f"A conversion requires hyperparameters between 10^−300 and 10^300, not {x}.")
    return number


def shapes(source: Rule, h: H, target: Rule) -> Iterator[H]:
    """The target at lr 1 without decay, with each choice of options that may make its steps the source's."""
    names = target.defaults.keys()
    if "beta2" not in names and source.formula is get("lion").formula and h.beta1 not in (0, h.beta2):
        # The sign of a mix of two means: no run of gradients proves that it is always that of a single one.
        return
    if "beta2" not in names and source.formula is get("radam").formula and h.beta2 > Fraction(2, 3):
        return  # ρ∞ > 5: it divides by √v from some step on, be that late
    known = {k: v for k, v in h.items() if k in names and k not in ("lr", "weight_decay", "decay", "lr_max")}
    if "beta1" in names and "momentum" in h:  # Lion with equal betas is Signum
        known |= {"beta1": h.momentum, "beta2": h.momentum}
    elif "momentum" in names and "beta1" in h:
        known["momentum"] = h.beta1
    ours = response(source, h)
    # what a later gradient counts, against the first
    later = ours[1][2] / ours[0][1] if ours and ours[0][1] else 1
    options = {
        "nesterov": dict.fromkeys((h.get("nesterov", False), False, True)),
        "dampening": dict.fromkeys(
            (Fraction(0), 1 - later, h.get("dampening", 0), *_under_nesterov(ours, known))
        ),
    }
    if "momentum" in names and ours and not any(ours[0][1:]):
        # no past gradient counts
        options["momentum"] = dict.fromkeys((known.get("momentum", 0), Fraction(0)))
    varied = {k: v for k, v in options.items() if k in names}
    for choice in product(*varied.values()):
        values = {**known, **dict(zip(varied, choice, strict=True)), "lr": 1, "weight_decay": 0}
        if values.get("nesterov") and values.get("momentum", 1) == 0:
            continue  # does nothing, and torch refuses it
        try:
            yield target.hyper(**{k: v for k, v in values.items() if k in names}).map(exact)
        except InputError:  # outside the target's domain
            continue


def _under_nesterov(ours: list[list[Any]] | None, known: Mapping[str, Any]) -> list[Any]:
    """The dampening with which a step of Nesterov's weighs a gradient, at once and later, as the source does.

    It counts 1 + μ(1 − τ) times at once and μ²(1 − τ) times in the next step: r times as much, so
    1 − τ = r / (μ(μ − r)).
    """
    momentum = known.get("momentum", 0)
    if not (ours and ours[1][1] and momentum):
        return []
    later = ours[1][2] / ours[1][1]
    return [1 - later / (momentum * (momentum - later))] if later != momentum else []


def candidates(source: Rule, h: H, target: Rule) -> Iterator[H]:
    """Hyperparameters of the target that may do, the target's own place for weight decay first."""
    unit = h if h.lr else h.replace(lr=1)  # at lr 0 nothing tells one rule from another
    ours = response(source, unit)
    for shape in shapes(source, unit, target):
        scale = Fraction(1)
        theirs = response(target, shape)
        if ours:
            scale = ours[0][0] / theirs[0][0] / unit.lr if theirs and theirs[0][0] else Fraction(-1)
        if scale < 0:
            if h.lr:
                continue
            scale = Fraction(1)  # no steps are the same steps
        plain = shape.replace(lr=h.lr * scale)
        if not h.get("weight_decay"):
            yield plain
        elif target.framed and scale:
            lr_max = (h.get("lr_max") or h.lr or 1) * scale
            for decay in dict.fromkeys((plain.decay, h.decay if source.framed else plain.decay, *DECAYS)):
                for weight_decay in dict.fromkeys((h.weight_decay, h.weight_decay / scale)):
                    yield plain.replace(decay=decay, weight_decay=weight_decay, lr_max=lr_max)
