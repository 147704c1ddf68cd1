"""A backward written by hand, and wrong: `surefoot gradients examples/wrong_backward.py:make` finds it.

x³ has the slope 3x², and the backward below says 2x².
"""

import torch
from torch import nn


class Cube(torch.autograd.Function):
    """x³, with a mistake in its backward."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * 2 * x**2


class Net(nn.Module):
    """Two layers with a cube between them."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 1)

    def forward(self, x):
        return self.second(Cube.apply(self.first(x)))


def make():
    """What `surefoot gradients` needs: a model, a loss, and a batch (inputs, target)."""
    torch.manual_seed(0)
    return Net(), nn.functional.mse_loss, (torch.randn(8, 3), torch.randn(8, 1))


if __name__ == "__main__":
    import surefoot

    report = surefoot.check_gradients(*make())
    print(report)
    assert report.verdict == "wrong"
    assert [p.name for p in report.parameters if p.verdict == "wrong"] == ["first.weight", "first.bias"]
