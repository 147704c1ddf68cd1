"""Gradients of weights, made the other way round where two threads are then faster."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.fx import GraphModule, Node

__all__ = ["turn", "worth_turning"]

_MOST = 400_000  # numbers; to read more of them across takes what is saved

_ATEN = torch.ops.aten
# what an update makes of a gradient, whatever its strides; a model may make views, which go by them
_OF_ANY_STRIDES = (_ATEN.mul.Tensor, _ATEN.add.Tensor, _ATEN.sub.Tensor, _ATEN.neg.default)


def worth_turning(rows: int, columns: int, threads: int) -> bool:
    """Whether to make the product of xᵀ and d for that of dᵀ and x, and to read it across.

    Two threads divide rows that are more than twice as long as they are many (see products.py); for more
    threads that was not measured.
    """
    return threads == 2 and columns > 2 * rows and rows * columns <= _MOST


def turn(graph: GraphModule, threads: int) -> None:
    """Write dᵀ·x as (xᵀ·d)ᵀ, wherever that is worth it for so many threads."""
    nodes = graph.graph
    for node in nodes.find_nodes(op="call_function", target=_ATEN.mm.default):
        left, right = node.args
        rows, columns = node.meta["val"].shape
        turnable = left.target is _ATEN.t.default and all(u.target in _OF_ANY_STRIDES for u in _users(node))
        if turnable and worth_turning(rows, columns, threads):
            with nodes.inserting_before(node):
                turned = nodes.call_function(_ATEN.t.default, (right,))
                product = nodes.call_function(_ATEN.mm.default, (turned, left.args[0]))
                back = nodes.call_function(_ATEN.t.default, (product,))
            node.replace_all_uses_with(back)
            nodes.erase_node(node)
    nodes.eliminate_dead_code()
    graph.recompile()


def _users(node: Node) -> Iterator[Node]:
    """What uses it, or its transposed."""
    for user in node.users:
        if user.target is _ATEN.t.default:
            yield from _users(user)
        else:
            yield user
