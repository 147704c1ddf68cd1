"""Who has a home in flat memory, and who has left it."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import Parameter

import surefoot


def trained(net: nn.Module, x: torch.Tensor, steps: int = 2) -> surefoot.SGD:
    optimizer = surefoot.SGD(net.parameters(), lr=0.5, momentum=0.5, flatten=True)
    for _ in range(steps):
        optimizer.zero_grad()
        net(x).sum().backward()
        optimizer.step()
    return optimizer


@pytest.mark.parametrize("set_to_none", [False, True])
def test_a_model_that_moves_with_its_gradients_leaves(set_to_none: bool) -> None:
    """`double` converts in place the gradients that lie at home."""
    net, x = nn.Linear(3, 2), torch.ones(1, 3)
    optimizer = trained(net, x)
    assert len(optimizer._homes) == 1
    net.double()
    optimizer.zero_grad(set_to_none=set_to_none)
    assert len(optimizer._homes) == 0
    if set_to_none:
        assert net.weight.grad is None
    else:
        assert net.weight.grad is not None
        assert net.weight.grad.tolist() == [[0.0] * 3] * 2
        assert net.weight.grad.dtype == torch.float64


def test_a_second_flatten_that_is_refused_leaves_the_first() -> None:
    params = [Parameter(torch.ones(3)) for _ in range(2)]
    optimizer = surefoot.SGD(params, lr=0.5, momentum=0.5, flatten=True)
    homes, places = list(optimizer._homes), [p.data_ptr() for p in params]
    optimizer.add_param_group({"params": [Parameter(torch.ones(3, 4).t())]})
    with pytest.raises(ValueError, match=r"shape \(4, 3\): it is not contiguous"):
        optimizer.flatten()
    assert list(optimizer._homes) == homes
    assert [p.data_ptr() for p in params] == places
    optimizer.param_groups.pop()
    optimizer.flatten()
    assert len(optimizer._homes) == 1
    assert list(optimizer._homes) != homes


def test_a_second_flatten_refuses_memory_that_is_shared_with_the_first() -> None:
    params = [Parameter(torch.ones(3)) for _ in range(2)]
    optimizer = surefoot.SGD(params, lr=0.5, flatten=True)
    optimizer.add_param_group({"params": [Parameter(params[0].detach())]})
    with pytest.raises(ValueError, match="it shares memory with others"):
        optimizer.flatten()
    assert len(optimizer._homes) == 1


def test_one_that_takes_anothers_place_leaves_it_its_gradient() -> None:
    net, x = nn.Linear(3, 2), torch.ones(1, 3)
    optimizer = trained(net, x, steps=3)
    optimizer.zero_grad()
    net(x).sum().backward()
    other = Parameter(torch.ones(2))
    other.grad = torch.ones(2)
    optimizer.param_groups[0]["params"][1] = other
    optimizer.zero_grad(set_to_none=False)
    assert net.weight.grad is not None
    assert net.bias.grad is not None
    assert net.weight.grad.tolist() == [[0.0] * 3] * 2
    assert net.bias.grad.tolist() == [1.0, 1.0]
    assert other.grad.tolist() == [0.0, 0.0]
