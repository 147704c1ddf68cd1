"""A problem in torch: its value as a tensor, and autograd's gradient, for the check against the exact one."""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from surefoot.explain.problem.node import Node, exponent
from surefoot.explain.problem.problem import Problem
from surefoot.explain.problem.readings import OPERATORS
from surefoot.loading import before_torch
from surefoot.trace import Trace
from surefoot.trace.values import Value, elements, map_value

if TYPE_CHECKING:
    import torch

__all__ = ["autograd", "compare_with_autograd", "tensor_value"]


def autograd(problem: Problem, point: Mapping[str, Value]) -> dict[str, Value]:
    """Return torch's gradient at a point, in float64.

    Args:
        problem: what to differentiate.
        point: name → value, of the shapes of `problem.start`.

    Returns:
        name → gradient as nested lists of floats.

    Example:
        >>> from surefoot.explain.problem.parse import parse
        >>> f = parse("mean(3*a**3 - b**2)", {"a": [2, 3], "b": [6, 4]})
        >>> autograd(f, f.start)
        {'a': [18.0, 40.5], 'b': [-6.0, -4.0]}
    """
    before_torch()
    import torch

    tensors = {
        name: torch.tensor(map_value(float, point[name]), dtype=torch.float64, requires_grad=True)
        for name in problem.names
    }
    held = {n: torch.tensor(map_value(float, v), dtype=torch.float64) for n, v in problem.fixed.items()}
    torch.autograd.backward(tensor_value(problem, tensors | held))
    return {
        name: torch.zeros_like(t).tolist() if t.grad is None else t.grad.tolist()
        for name, t in tensors.items()
    }


def compare_with_autograd(
    problem: Problem | None, traces: list[Trace], wanted: bool | None, optimizer: object
) -> str:
    """Compare every gradient with torch's autograd, if wanted or torch is there; say what was checked.

    Args:
        problem: what was differentiated; None if the gradients were given.
        traces: those of the rules.
        wanted: True or False; None: if torch is imported already, or is about to be.
        optimizer: an optimizer that is recorded too, or None.
    """
    if problem is None:
        return ""
    if wanted is False or (wanted is None and optimizer is None and "torch" not in sys.modules):
        return "∇f is exact, checked at each step by dual numbers."
    beyond = set()
    for trace in traces:
        for t, moment in enumerate(trace.steps, 1):
            try:
                found = autograd(problem, moment.point)
                ours = {name: [float(x) for x in elements(moment.gradients[name])] for name in found}
            except OverflowError:
                beyond.add(t)
                continue
            if not all(math.isfinite(x) for theirs in found.values() for x in _flat(theirs)):
                beyond.add(t)
                continue
            for name, theirs in found.items():
                pairs = zip(ours[name], _flat(theirs), strict=True)
                scale = 1 + max(map(abs, ours[name]), default=0.0)
                if any(abs(x - y) > 1e-6 * scale for x, y in pairs):
                    told = f"At step {t} ∂f/∂{name} is {ours[name]}, but torch's autograd says {theirs}."
                    raise AssertionError(f"{told} Please report this.")
    if beyond:
        steps = len(traces[0].steps)
        return (
            "∇f is exact, checked at each step by dual numbers; torch's autograd has no floats for it "
            f"in {len(beyond)} of {steps} step{'s' * (steps > 1)}."
        )
    return "∇f is exact, checked at each step by dual numbers and by torch's autograd."


def _flat(value: Any) -> list[float]:
    return [x for v in value for x in _flat(v)] if isinstance(value, list) else [value]


def tensor_value(problem: Problem, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return f as a tensor that autograd can differentiate, from a tensor for each variable."""
    import torch

    like = next(iter(tensors.values()))
    operators = {**OPERATORS, "@": operator.matmul}

    def walk(node: Node) -> Any:
        match node.op:
            case "number":
                return like.new_tensor(float(node.value))  # type: ignore[arg-type]
            case "name":
                return tensors[str(node.value)]
            case "item":
                return walk(node.args[0]).reshape(-1)[node.value]
            case "array":
                parts = [walk(arg) for arg in node.args]
                return torch.stack(parts) if parts else like.new_zeros(node.shape)
            case "T":
                return walk(node.args[0]).mT if len(node.shape) > 1 else walk(node.args[0])
            case "norm":
                return torch.linalg.vector_norm(walk(node.args[0]))
            case "norm2":
                return walk(node.args[0]).square().sum()
            case "max":
                return torch.maximum(*map(walk, node.args))
            case "**" if (power := exponent(node.args[1])) is not None:
                return walk(node.args[0]) ** float(power)
        apply = operators.get(node.op) or getattr(torch, node.op)
        return apply(*(walk(arg) for arg in node.args))

    value: torch.Tensor = walk(problem.tree)
    return value
