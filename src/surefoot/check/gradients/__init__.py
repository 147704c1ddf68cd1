"""Autograd against central differences: is the gradient really the slope of the loss?

A slope is measured with two steps, h and h/4, and Richardson's extrapolation, whose correction is also
the error estimate; the rounding noise of the loss is measured, not assumed. Where autograd and the first
two steps part, a ladder of steps decides: a wrong gradient, a kink or a jump of the loss at that very
point, or too much noise to tell.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn

from surefoot.check.gradients.report import GradientReport, ParameterGradient
from surefoot.check.gradients.slope import Slope, resolution
from surefoot.check.gradients.surface import Direction, Surface, random_direction
from surefoot.errors import InputError

__all__ = ["GradientReport", "ParameterGradient", "Slope", "check_gradients"]


def check_gradients(
    model: nn.Module,
    loss: Callable[..., Tensor],
    batch: Any,
    *,
    seed: int = 0,
    each: int = 100,
    directions: int = 4,
    samples: int = 12,
) -> GradientReport:
    """Compare autograd's gradient of a loss with central differences, parameter by parameter, in float64.

    slope ≈ (16·D(h/4) − D(h)) / 15, where D(h) = (L(θ + h·v) − L(θ − h·v)) / 2h

    Args:
        model: any module; it is copied, the original is not touched. Its training mode is kept.
        loss: `loss(model(*inputs), target)`, or `loss(model(inputs))` for a batch that is one tensor.
        batch: `(*inputs, target)`, or one tensor.
        seed: of the directions, and of dropout, which draws the same numbers in every evaluation.
        each: a parameter of up to this many elements is checked element by element.
        directions: random unit directions along which a larger one is checked.
        samples: single elements of a larger one, checked besides: half of them where autograd is largest.

    Returns:
        GradientReport: prints as sentences; `.ok`; `.parameters` with every slope measured.

    Raises:
        InputError: there is no model or no loss, nothing to differentiate or to measure, the loss is no
            finite scalar in float64, or the forward or backward pass raises an exception.

    Example:
        >>> model = nn.Linear(3, 1)
        >>> report = check_gradients(model, nn.functional.mse_loss, (torch.randn(5, 3), torch.randn(5, 1)))
        >>> report.verdict
        'right'

    Source: Nocedal and Wright, Numerical Optimization (2006), section 8.1.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"The model must be a torch.nn.Module, and not {model!r}.")
    if not callable(loss):
        raise InputError(f"The loss must be a function, and not {loss!r}.")
    for name, count in (("each", each), ("directions", directions), ("samples", samples)):
        if count < 0:
            raise InputError(f"{name} is {count}, but is a number of measurements: 0 or more.")
    if not isinstance(seed, Integral) or not -(2**63) <= seed < 2**64:
        raise InputError(f"seed is {seed!r}, but must be a whole number from −2⁶³ to 2⁶⁴ − 1.")
    seed = int(seed)
    surface = Surface(model, loss, batch, seed)
    if not directions + samples and any(surface.checked(n).sum() > each for n in surface.parameters):
        raise InputError("directions and samples are both 0, so of a large parameter nothing is measured.")
    flow = surface.flow()  # before a step aside
    first, again = surface.gradients(), surface.gradients()
    spread = max(
        abs(surface.value() - surface.value()), *((first[n] - again[n]).abs().max().item() for n in first)
    )
    generator = torch.Generator().manual_seed(seed)
    parameters: tuple[ParameterGradient, ...] = ()
    if spread == 0:
        masks = {n: surface.checked(n) for n in first}
        plan = {
            n: list(_directions(g, masks[n], generator, each, directions, samples)) for n, g in first.items()
        }
        found = _hidden(_measure_all(surface, first, plan, generator), resolution(surface.unit))
        parameters = tuple(
            ParameterGradient(n, tuple(g.shape), tuple(found[n]), whole=int(masks[n].sum()) <= each)
            for n, g in first.items()
        )
    return GradientReport(
        model=type(model).__name__,
        loss=getattr(loss, "__name__", type(loss).__name__),
        parameters=parameters,
        spread=spread,
        draws=surface.draws,
        dtype=surface.dtype,
        padding=surface.padding,
        hooked=surface.hooked,
        flow=flow,
    )


def _hidden(found: dict[str, list[Slope]], least: float) -> dict[str, list[Slope]]:
    """Slopes are "unclear" if their error is over `least` of the largest, as beside a large constant.

    If it is a quarter of the largest or more, all is noise: the point is a minimum, and nothing is hidden.
    """
    largest = max((abs(s.numeric) for slopes in found.values() for s in slopes), default=0.0)
    return {
        name: [
            replace(s, verdict="unclear")
            if s.verdict == "right" and least * largest < s.error < largest / 4
            else s
            for s in slopes
        ]
        for name, slopes in found.items()
    }


def _measure_all(
    surface: Surface,
    gradients: dict[str, Tensor],
    plan: dict[str, list[Direction]],
    generator: torch.Generator,
) -> dict[str, list[Slope]]:
    found = {n: [surface.slope(n, v, g) for v in plan[n]] for n, g in gradients.items()}
    for n, g in gradients.items():
        count = int(surface.checked(n).sum())
        if any(s.verdict == "wrong" for s in found[n]) and len(found[n]) < count:
            element = _descend(surface, n, g, generator)
            if element not in {s.index for s in found[n]}:
                plan[n].append(element)
                found[n].append(surface.slope(n, element, g))
    if any(s.verdict in ("kink", "wrong") for slopes in found.values() for s in slopes):
        # at a kink autograd follows a convention (ReLU has slope 0 at 0); a step aside it must be right
        surface.step_aside(generator)
        beside = surface.gradients()
        for n, slopes in found.items():
            for i, s in enumerate(slopes):
                if s.verdict in ("kink", "wrong"):
                    again = surface.slope(n, plan[n][i], beside[n])
                    slopes[i] = _both(s, again)
    return found


def _both(here: Slope, aside: Slope) -> Slope:
    """One verdict from a slope that is wrong or at a kink here, and the same slope a step aside."""
    if here.verdict == "kink" and aside.verdict == "wrong":
        return replace(aside, aside=True)
    # NaN is wrong everywhere, and so is another number where the two sides have one slope
    kinked = math.isfinite(here.autograd) and not here.meets
    if here.verdict == "wrong" and aside.verdict == "right" and kinked:
        return replace(here, verdict="kink")
    return here


def _directions(
    gradient: Tensor, mask: Tensor, generator: torch.Generator, each: int, directions: int, samples: int
) -> Iterator[Direction]:
    """Every element of a small parameter; random directions and some elements of a large one."""
    places = mask.flatten().nonzero().flatten()
    if len(places) <= each:
        yield from (index for index in itertools.product(*map(range, gradient.shape)) if mask[index])
        return
    for _ in range(directions):
        yield random_direction(mask, generator)
    largest = places[gradient.abs().flatten()[places].topk(min(samples // 2, len(places))).indices]
    others = places[torch.randint(len(places), (samples - samples // 2,), generator=generator)]
    for flat in dict.fromkeys([*largest.tolist(), *others.tolist()]):
        yield _unravel(flat, gradient)


def _descend(surface: Surface, name: str, gradient: Tensor, generator: torch.Generator) -> Direction:
    """From a wrong direction to a wrong element: halve it, follow the half that is further off."""
    candidates = surface.checked(name).flatten().nonzero().flatten()
    while len(candidates) > 1:
        off = []
        halves = candidates.chunk(2)
        for half in halves:
            mask = (
                torch.zeros(gradient.numel(), dtype=torch.float64).index_fill_(0, half, 1.0).view_as(gradient)
            )
            s = surface.slope(name, random_direction(mask, generator), gradient)
            off.append(s.off * math.sqrt(len(half)))
        candidates = halves[0] if off[0] >= off[1] else halves[1]
    return _unravel(int(candidates[0]), gradient)


def _unravel(flat: int, like: Tensor) -> tuple[int, ...]:
    return tuple(int(i) for i in torch.unravel_index(torch.tensor(flat), like.shape))
