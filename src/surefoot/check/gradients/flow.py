"""The way that a gradient takes: from the loss through autograd's graph, parameter by parameter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

__all__ = ["flow"]


def flow(loss: Tensor, parameters: Mapping[str, Tensor]) -> dict[str, tuple[str, ...]]:
    """Each parameter that the loss is made of, with those that its gradient's way goes on to.

    In the order of the forward pass: those that the gradient reaches last first. The gradient of a layer's
    weight is made in a node that also hands on to all layers before it.

    Args:
        loss: with its graph.
        parameters: name → what may be a leaf of it.
    """
    # the node of a parameter's own gradient, which hands it on to no other
    views = {name: p.view_as(p).grad_fn for name, p in parameters.items()}
    names = {view.next_functions[0][0]: name for name, view in views.items() if view}
    order, makers = _graph(loss.grad_fn)
    before: dict[Any, frozenset[str]] = {}
    depths = dict.fromkeys(order, 0)
    for node in order:  # what a node hands on to comes before it
        own = {names[node]} if node in names else set()
        before[node] = frozenset(own.union(*(before[after] for after in _after(node))))
    for node in reversed(order):
        for after in _after(node):
            depths[after] = max(depths[after], depths[node] + 1)
    found = {names[node]: node for node in order if node in names}
    return {
        name: tuple(sorted(before[_maker(node, makers)] - {name}))
        for name, node in sorted(found.items(), key=lambda item: -depths[item[1]])
    }


def _after(node: Any) -> list[Any]:
    return [after for after, _ in node.next_functions if after is not None]


def _graph(root: Any) -> tuple[list[Any], dict[Any, list[Any]]]:
    """The nodes below `root`, each after all that it hands on to; and who hands on to each."""
    order: list[Any] = []
    makers: dict[Any, list[Any]] = {}
    waiting = [(root, False)] if root is not None else []
    seen: set[Any] = set()
    while waiting:
        node, done = waiting.pop()
        if done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            waiting.append((node, True))
            for after in _after(node):
                makers.setdefault(after, []).append(node)
                waiting.append((after, False))
    return order, makers


def _maker(node: Any, makers: dict[Any, list[Any]]) -> Any:
    """The first node above that hands on to several, as a product does to its factors."""
    while len(_after(node)) < 2 and len(makers.get(node, ())) == 1:
        node = makers[node][0]
    return node
