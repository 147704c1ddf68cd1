"""Autograd against central differences: is the gradient really the slope of the loss?

A slope is measured with two steps, h and h/4, and Richardson's extrapolation, whose correction is also
the error estimate; the rounding noise of the loss is measured, not assumed. Where autograd and the first
two steps part, a ladder of steps decides: a wrong gradient, a kink or a jump of the loss at that very
point, or too much noise to tell. At a kink, and where a slope is lost in noise, a step aside decides.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from surefoot.check.gradients.inputs import name_of
from surefoot.check.gradients.parameter import ParameterGradient
from surefoot.check.gradients.report import CUT, GradientReport
from surefoot.check.gradients.search import descend, directions_of
from surefoot.check.gradients.settle import settle
from surefoot.check.gradients.slips import named_slips
from surefoot.check.gradients.slope import Slope
from surefoot.check.gradients.surface import Direction, Surface
from surefoot.errors import InputError

__all__ = ["GradientReport", "ParameterGradient", "Slope", "check_gradients"]


def check_gradients(
    model: Callable[..., Any],
    loss: Callable[..., Tensor] | None = None,
    batch: Any = None,
    *,
    seed: int = 0,
    each: int = 100,
    directions: int = 4,
    samples: int = 12,
    inputs: bool = True,
) -> GradientReport:
    """Compare autograd's gradient of a loss with central differences, parameter by parameter, in float64.

    Inputs are checked as parameters are. Without a loss, the output is reduced to one number with random
    weights, so that each element of it counts.

    slope ≈ (16·D(h/4) − D(h)) / 15, where D(h) = (L(θ + h·v) − L(θ − h·v)) / 2h

    Args:
        model: any module; it is copied, the original is not touched. Its training mode is kept. Or a function
            of tensors, such as `MyFunction.apply`.
        loss: `loss(model(*inputs), target)`, or `loss(model(inputs))` for a batch that is one tensor. None:
            there is no target, and the model's output itself is differentiated.
        batch: `(*inputs, target)`, or one tensor; without a loss `(*inputs,)`, or one tensor.
        seed: of the directions, and of dropout, which draws the same numbers in every evaluation.
        each: a parameter of up to this many elements is checked element by element.
        directions: random unit directions along which a larger one is checked.
        samples: single elements of a larger one, checked besides: half of them where autograd is largest.
        inputs: whether the inputs are checked too, those of floating-point numbers; the target never is.

    Returns:
        GradientReport: prints as sentences; `.ok`; `.parameters` and `.inputs` with every slope measured.

    Raises:
        InputError: the model or the loss is no function, there is nothing to differentiate or to measure, the
            loss is no finite scalar in float64, or the forward or backward pass raises an exception.

    Example:
        >>> model, loss = torch.nn.Linear(3, 1), torch.nn.functional.mse_loss
        >>> report = check_gradients(model, loss, (torch.randn(5, 3), torch.randn(5, 1)))
        >>> report.verdict
        'right'
        >>> check_gradients(torch.sigmoid, batch=torch.randn(5, 3)).verdict
        'right'

    Source: Nocedal and Wright, Numerical Optimization (2006), section 8.1.
    """
    _refuse(model, loss, batch)
    for name, count in (("each", each), ("directions", directions), ("samples", samples)):
        if count < 0:
            raise InputError(f"{name} is {count}; it must be 0 or more.")
    if not isinstance(seed, Integral) or not -(2**63) <= seed < 2**64:
        raise InputError(f"seed is {seed!r}; it must be a whole number from −2⁶³ to 2⁶⁴ − 1.")
    seed = int(seed)
    surface = Surface(model, loss, batch, seed, inputs)
    if not directions + samples and any(surface.checked(n).sum() > each for n in surface.leaves):
        raise InputError(
            "directions and samples are both 0, so large parameters would not be measured; set one of "
            "them to 1 or more."
        )
    flow = surface.flow()  # before a step aside
    first, again = surface.gradients(), surface.gradients()
    spread = max(
        abs(surface.value() - surface.value()), *((first[n] - again[n]).abs().max().item() for n in first)
    )
    generator = torch.Generator().manual_seed(seed)
    made: dict[str, ParameterGradient] = {}
    if spread == 0:
        masks = {n: surface.checked(n) for n in first}
        plan = {
            n: list(directions_of(g, masks[n], generator, each, directions, samples))
            for n, g in first.items()
        }
        found = _measure_all(surface, first, plan, generator)
        slips = named_slips(surface, first, plan, found)
        made = {
            n: ParameterGradient(
                n,
                tuple(g.shape),
                tuple(found[n]),
                whole=int(masks[n].sum()) <= each,
                complex=surface.leaves[n].is_complex(),
                input=n in surface.inputs,
                slip=slips.get(n, ""),
            )
            for n, g in first.items()
        }
    cut = {n for n in surface.cut if n in made and made[n].verdict not in ("right", "kink")}
    return GradientReport(
        model=name_of(model),
        loss=getattr(loss, "__name__", type(loss).__name__) if loss else "",
        parameters=tuple(p for n, p in made.items() if n in surface.parameters),
        spread=spread,
        draws=surface.draws,
        dtype=surface.dtype,
        padding=surface.padding,
        hooked=surface.hooked,
        flow=flow,
        inputs=tuple(p for n, p in made.items() if n in surface.inputs and n not in cut),
        unchecked={**surface.unchecked, **dict.fromkeys(sorted(cut), CUT)},
        all_inputs=inputs,
        weighted=bool(surface.evaluate.weights),
    )


def _refuse(model: Any, loss: Any, batch: Any) -> None:
    if inspect.isclass(model):
        what = "give its .apply" if issubclass(model, torch.autograd.Function) else "make one and give that"
        raise InputError(f"{model.__name__} is a class, and no model: {what}.")
    if not callable(model):
        raise InputError(f"The model must be a torch.nn.Module or a function, not {model!r}.")
    if batch is None and isinstance(loss, (Tensor, tuple, list)):
        raise InputError("Without a loss, name what is given to the model: check_gradients(f, batch=inputs).")
    if loss is not None and not callable(loss):
        raise InputError(f"The loss must be a function, not {loss!r}.")


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
            element = descend(surface, n, g, generator)
            if element not in {s.index for s in found[n]}:
                plan[n].append(element)
                found[n].append(surface.slope(n, element, g))
    settle(surface, gradients, plan, found, generator)
    return found
