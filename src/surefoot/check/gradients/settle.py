"""What one point cannot tell is asked a step aside: at a kink, and where a slope is lost in noise."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from surefoot.check.gradients.aside import rounded, step_aside
from surefoot.check.gradients.pair import resolution
from surefoot.check.gradients.slope import Slope
from surefoot.check.gradients.surface import Direction, Surface, largest

__all__ = ["settle"]


def settle(
    surface: Surface,
    gradients: dict[str, Tensor],
    plan: dict[str, list[Direction]],
    found: dict[str, list[Slope]],
    generator: torch.Generator,
) -> None:
    """Measure a step aside what is wrong, at a kink or lost in noise; `found` has one verdict of both.

    What is said of parameters must not depend on whether inputs are looked at: for them, inputs stay.

    Args:
        surface: is put back.
        gradients: autograd's.
        plan: the directions measured.
        found: the slopes along them.
        generator: draws the step.
    """
    for own, moved in ((surface.parameters, surface.parameters), (surface.inputs, surface.moved)):
        _settle(surface, gradients, plan, {n: found[n] for n in own}, list(moved), generator)
        surface.put_back()


def _settle(
    surface: Surface,
    gradients: dict[str, Tensor],
    plan: dict[str, list[Direction]],
    found: dict[str, list[Slope]],
    moved: list[str],
    generator: torch.Generator,
) -> None:
    doubtful = [
        (n, i)
        for n, slopes in found.items()
        for i, s in enumerate(slopes)
        if s.verdict in ("kink", "wrong") or s.lost
    ]
    if not doubtful:
        return
    lost = any(found[n][i].lost for n, i in doubtful)
    zero = rounded(surface, moved, gradients, generator) if lost else set()
    stepped = step_aside(surface, moved, generator)
    beside = surface.gradients() if stepped else gradients
    largest_of_all = max(max(largest(gradients[n]), largest(beside[n])) for n in found)
    for n, i in doubtful:
        here = found[n][i]
        # beside a kink one side may be level: what is large is told by both
        aside = surface.slope(n, plan[n][i], beside[n], here.steepest) if stepped else None
        if here.lost:
            ordinary = resolution(surface.units[n]) * largest_of_all
            known = n in zero and here.off <= 2 * here.error <= 2 * ordinary
            found[n][i] = _of_lost(here, aside, known)
        else:
            found[n][i] = _of_seen(here, aside)


def _of_lost(here: Slope, aside: Slope | None, zero: bool) -> Slope:
    """A slope that agrees within a noise as large as itself: at a minimum, or of a tiny loss, or of nothing.

    Where autograd's number is rounding alone, the slope is 0, if it is known well beside others.
    """
    if aside and aside.verdict == "wrong":
        return replace(aside, aside=True)
    return replace(here, verdict="right") if zero or (aside and aside.verdict == "right") else here


def _of_seen(here: Slope, aside: Slope | None) -> Slope:
    """A slope that is wrong or at a kink: autograd follows a convention there (ReLU has slope 0 at 0)."""
    if here.verdict == "kink":
        if aside and aside.verdict == "wrong":
            return replace(aside, aside=True)
        told = aside and aside.verdict in ("right", "kink")
        return here if told else replace(here, verdict="unclear")
    # NaN is wrong everywhere, and so is another number where the two sides have one slope
    kinked = math.isfinite(here.autograd) and not here.meets
    if aside and aside.verdict == "right" and kinked:
        return replace(here, verdict="kink")
    return here
