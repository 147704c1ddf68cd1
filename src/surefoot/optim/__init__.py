"""The optimizer: `SGD`, a drop-in for `torch.optim.SGD`."""

from __future__ import annotations

from surefoot.optim.sgd import SGD

__all__ = ["SGD"]
