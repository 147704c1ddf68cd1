"""The clause on sparse gradients, which name the rows that they have, some of them twice."""

from __future__ import annotations

import torch

from surefoot.check.contract.clause import Claims, Make, clause
from surefoot.check.contract.tools import gradient, weight


@clause(
    "tensors",
    "sparse gradients work, or are rejected with a clear message",
    why="Embedding(sparse=True) produces sparse gradients; treating them as dense storage corrupts the "
    "update.",
    mend="if p.grad.is_sparse: raise RuntimeError('MySGD does not support sparse gradients')",
    mends={
        "twice": "Begin with grad = p.grad.coalesce(): it sums rows that occur twice in a sparse gradient.",
    },
    over="singles",
    cases=[  # a word that comes twice has two rows of gradient
        {"kind": "sparse gradients", "places": [0, 2]},
        {"kind": "sparse gradients with a repeated row", "places": [0, 2, 0]},
    ],
    refusal="sparse",
    needs=["repeatable"],
)
def sparse(make: Make, kind: str, places: list[int]) -> Claims:
    dense, w = weight(4, 2), weight(4, 2)
    a, b = make([dense]), make([w])
    for t in range(3):
        rows = gradient(weight(len(places), 2), t)
        dense.grad = torch.zeros(4, 2).index_add_(0, torch.tensor(places), rows)
        given = torch.sparse_coo_tensor(torch.tensor([places]), rows, (4, 2))
        w.grad = given.coalesce() if kind == "sparse gradients" else given
        a.step()
        b.step()
    if _rests(w, dense):
        return {
            "differs": "rows missing from a sparse gradient do not change, as in SparseAdam: not even "
            "by weight decay"
        }
    return [(f"w after 3 steps with {kind}, against dense gradients", dense.tolist(), w.tolist(), 1e-6)]


def _rests(w: torch.Tensor, dense: torch.Tensor) -> bool:
    """Whether only rows that had no gradient part from the dense ones, and these stayed as they were."""
    near = torch.isclose(w, dense, rtol=1e-6, atol=1e-6)
    return bool(w[1::2].equal(weight(4, 2)[1::2]) and near[::2].all() and not near.all())
