"""Do two rules make the same steps? Run both on gradients without pattern, exactly where that can be."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from surefoot.rules.hyper import H
from surefoot.rules.numbers import to_mpmath
from surefoot.rules.rule import Rule

__all__ = ["agree", "response", "run"]

# linear rules of so few terms that agree on these agree on every run
START, GRADIENTS = Fraction(3), tuple(map(Fraction, (2, -1, 5, 3, -7, 1, 4, -2)))


def _long(seed: int) -> tuple[Fraction, ...]:
    """Gradients of both signs, never 0, some large and some small, so that means of them come close to 0."""
    gradients = []
    for step in range(100):
        seed = (seed * 1103515245 + 12345) % 2**31
        size = (seed >> 16) % 17 - 8 or 3
        gradients.append(Fraction(size, 1 + 4 * (step % 3)))
    return tuple(gradients)


# a sign hides how far two means are apart, and RAdam changes its formula when the mean of squares has settled
LONG = (_long(1), _long(2), _long(3))


def run(
    rule: Rule,
    h: H,
    gradients: Sequence[Any] = GRADIENTS,
    w: Any = START,
    *,
    then: H | None = None,
    moved: int = 0,
) -> tuple[list[Any], list[Any]]:
    """The points where gradients are taken and the first slot, per step; halfway h and w may change."""
    s = rule.init(h, w)
    points, slots = [], []
    for step, g in enumerate(gradients):
        if step == len(gradients) // 2:
            h, w = then or h, w + moved
        w, s = rule.step(h, w, g, s)
        points.append(rule.point(h, w, s))
        slots.append(s[rule.slots[0].name] if rule.slots else None)
    return points, slots


def agree(a: Rule, ha: H, b: Rule, hb: H, *, then: tuple[H, H] | None = None, moved: int = 0) -> bool:
    """Whether the two make the same steps: exactly, or to 30 of 50 digits where there are roots."""
    sides = (a, ha, then and then[0]), (b, hb, then and then[1])
    if not _same(sides, GRADIENTS, moved):
        return False
    linear = all(response(rule, h) is not None for rule, h, _ in sides)
    return linear or all(_same(sides, gradients, moved) for gradients in LONG)


def _same(sides: Sequence[tuple[Rule, H, H | None]], gradients: Sequence[Fraction], moved: int) -> bool:
    """Whether two rules make the same steps on these gradients."""
    if all(rule.exact for rule, _, _ in sides):
        ours, theirs = (run(r, h, gradients, then=later, moved=moved)[0] for r, h, later in sides)
        return ours == theirs
    import mpmath

    with mpmath.workdps(50):
        fine, w = [to_mpmath(g) for g in gradients], to_mpmath(START)
        try:
            ours, theirs = (
                run(r, h.map(to_mpmath), fine, w, then=later and later.map(to_mpmath), moved=moved)[0]
                for r, h, later in sides
            )
        # no steps at all, as with eps 0 or the root of what is negative
        except (ArithmeticError, ValueError):
            return False
        return all(abs(x - y) <= abs(x) * mpmath.mpf(10) ** -30 for x, y in zip(ours, theirs, strict=True))


def response(rule: Rule, h: H) -> list[list[Any]] | None:
    """What a unit gradient at step 1, and one at step 2, add to w at each step; None if not linear."""
    if not rule.exact:
        return None
    h = h.replace(weight_decay=0) if "weight_decay" in h else h
    impulses = ((1, 0, 0, 0, 0), (0, 1, 0, 0, 0), (1, 3, 0, 0, 0))
    one, two, both = (run(rule, h, tuple(map(Fraction, g)), Fraction(0))[0] for g in impulses)
    if both != [x + 3 * y for x, y in zip(one, two, strict=True)]:
        return None
    return [[y - x for x, y in zip([0, *path], path, strict=False)] for path in (one, two)]
