r"""A model and an optimizer of your own, on MNIST, with a run's folder.

On the command line, in the repository's folder:
surefoot train --model examples/train_own_model.py:TwoTowers \
    --optimizer examples/train_own_model.py:SignSGD --lr 1e-3
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from surefoot.train import Config, train


class TwoTowers(nn.Module):
    """Rows and columns of the picture, each read by a layer of its own."""

    def __init__(self, shape: tuple[int, int], outputs: int, width: int = 16) -> None:
        super().__init__()
        height, length = shape
        self.rows, self.columns = nn.Linear(length, width), nn.Linear(height, width)
        self.out = nn.Linear(width * (height + length), outputs)

    def forward(self, x: Tensor) -> Tensor:
        both = torch.cat([self.rows(x).relu().flatten(1), self.columns(x.mT).relu().flatten(1)], dim=1)
        return self.out(both)


class SignSGD(torch.optim.Optimizer):
    """θ ← θ − γ·sign(g)."""

    def __init__(self, params, lr: float = 1e-3) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.sub_(p.grad.sign(), alpha=group["lr"])


if __name__ == "__main__":
    here = Path(__file__)
    # so small a model is fastest on one thread
    run = train(Config(model=f"{here}:TwoTowers", optimizer=f"{here}:SignSGD", lr=1e-3, epochs=2, threads=1))
    print(run)
