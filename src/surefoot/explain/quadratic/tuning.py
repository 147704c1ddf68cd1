"""The best lr and momentum on a quadratic, and the best momentum for a given lr."""

from __future__ import annotations

import math
from dataclasses import dataclass

from surefoot.explain.quadratic.roots import characteristic, radius

__all__ = ["Tuning", "best_momentum", "best_settings"]

POLYAK = "Polyak 1964, 1987"
GRADIENT = "Polyak 1987"
LESSARD = "Lessard, Recht & Packard 2016"


@dataclass(frozen=True)
class Tuning:
    """The lr and momentum with the best rate for one method, and who found them.

    `gap` is 1 − rate, which a float tells from 0 where the rate itself rounds to 1.
    """

    method: str
    lr: float
    momentum: float
    nesterov: bool
    rate: float
    source: str
    gap: float


def best_settings(small: float, big: float) -> tuple[Tuning, ...]:
    """Return for each method the lr and momentum that are best for curvatures from small to big."""
    kappa = big / small
    root, triple = math.sqrt(kappa), math.sqrt(3 * kappa + 1)
    ratio = (root - 1) / (root + 1)
    heavy = 4 / (math.sqrt(big) + math.sqrt(small)) ** 2
    lookahead = (triple - 2) / (triple + 2)
    rates = (kappa - 1) / (kappa + 1), 1 - 2 / triple, ratio
    gaps = 2 / (kappa + 1), 2 / triple, 2 / (root + 1)
    return (
        Tuning("gradient descent", 2 / (big + small), 0.0, False, rates[0], GRADIENT, gaps[0]),
        Tuning("Nesterov", 4 / (3 * big + small), lookahead, True, rates[1], LESSARD, gaps[1]),
        Tuning("heavy ball", heavy, ratio**2, False, rates[2], POLYAK, gaps[2]),
    )


def best_momentum(lr: float, small: float, big: float, *, nesterov: bool = False) -> Tuning | None:
    """Return the momentum that is best with this lr for curvatures from small to big; None if none is stable.

    A direction is fastest where its two roots meet: at μ = (1 − √(lr·h))² in classical momentum, whose rate
    is √μ from there on, and at (1 − s)/(1 + s) in Nesterov's, with s = √(lr·h) < 1 and the rate 1 − s.
    """
    if not 0 < lr * big < (2 if nesterov else 4):
        return None
    slow, fast = math.sqrt(lr * small), math.sqrt(lr * big)
    if not nesterov:  # the direction that needs the most momentum decides: the others have their √μ by then
        gap = min(1 - abs(1 - slow), 1 - abs(1 - fast))
        return Tuning("heavy ball", lr, (1 - gap) ** 2, False, 1 - gap, "", gap)

    def rates(momentum: float) -> tuple[float, float]:
        pairs = (characteristic(lr, momentum, x, nesterov=True) for x in (small, big))
        one, other = (radius(*pair) for pair in pairs)
        return float(one), float(other)

    low, high = 0.0, max(0.0, (1 - slow) / (1 + slow))
    # beyond lr·h = 1 momentum only slows the steep direction: it is best where this and the flat one are even
    if fast <= 1 or rates(high)[1] <= 1 - slow:
        return Tuning("Nesterov", lr, high, True, 1 - slow, "", slow)
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if rates(middle)[0] > rates(middle)[1] else (low, middle)
    rate = max(rates(low))
    return Tuning("Nesterov", lr, low, True, rate, "", 1 - rate)
