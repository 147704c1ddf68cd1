from __future__ import annotations

import pytest
import torch
from torch import nn

from surefoot.train.fitting import fit
from surefoot.train.steps.clipping import clip


@pytest.mark.parametrize("norm", [0.1, 1e9])
def test_a_sparse_gradient_is_clipped_as_the_dense_one(norm: float) -> None:
    """Row 1 is there twice: the norm is of the sum."""
    gradients = []
    for sparse in (False, True):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Embedding(9, 4, sparse=sparse), nn.Linear(4, 2), nn.Linear(4, 2))
        net[1](net[0](torch.tensor([1, 5, 1]))).square().sum().backward()  # no gradient for the last
        clip([*net.parameters()], norm)
        assert net[0].weight.grad.is_sparse == sparse
        gradients.append([p.grad.to_dense() for p in net.parameters() if p.grad is not None])
    for dense, other in zip(*gradients, strict=True):
        torch.testing.assert_close(dense, other)


def test_a_run_with_a_sparse_embedding_is_clipped() -> None:
    x, ends = torch.arange(24).reshape(8, 3) % 9, []
    for sparse in (False, True):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Embedding(9, 4, sparse=sparse), nn.Flatten(), nn.Linear(12, 2))
        sgd = torch.optim.SGD(net.parameters(), lr=0.5)
        fit(net, (x, x[:, 0] % 2), optimizer=sgd, clip=0.01, batch_size=4, epochs=2, progress=False)
        ends.append(net[0].weight.detach())
    torch.testing.assert_close(*ends)
