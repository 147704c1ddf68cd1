"""Batches are collected until K are there; then one native program takes the K steps."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from surefoot.optim import SGD
from surefoot.train.compiled.options import STATIC, constants
from surefoot.train.compiled.step import CompiledSteps

__all__ = ["Grouped"]


class Grouped:
    """A training step like the eager one, but taken K at a time; the loss it returns is filled in then.

    Which steps are compiled depends on the batches alone, never on time, so one seed gives one result. Eager
    are the first step of a run, which makes the momentum buffers, a batch of another size, such as the last,
    one with other options than the program has, as a schedule of weight decay sets them, and what waits when
    `flush` is called.

    Args:
        attach: the program on the model's and the optimizer's tensors, or None before a first step.
        optimizer: its groups' lr and momentum are read at each batch, so a schedule may change them.
        eager: one eager step.
        like: a batch (inputs, targets) of the size that the program takes.
        k: steps in a program.
    """

    def __init__(
        self,
        attach: Callable[[], CompiledSteps | None],
        optimizer: SGD,
        eager: Callable[[Tensor, Tensor], Tensor],
        like: tuple[Tensor, Tensor],
        k: int,
    ) -> None:
        self._attach, self._optimizer, self._eager, self._k = attach, optimizer, eager, k
        self._shapes = [t.shape for t in like]
        self._constants = constants(optimizer.param_groups)
        self._options = [{name: group[name] for name in STATIC} for group in optimizer.param_groups]
        self._steps: CompiledSteps | None = None
        self._waiting: list[tuple[Tensor, Tensor]] = []
        self._hyper: list[list[tuple[float, float]]] = []  # lr, momentum of each group at each that waits
        self._losses = torch.empty(k)

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Hand in one batch; its loss is there after the K-th batch, or after `flush`."""
        if self._steps is None:
            self._steps = self._attach()
        fits = [x.shape, y.shape] == self._shapes
        if self._steps is None or not fits or constants(self._optimizer.param_groups) != self._constants:
            self.flush()
            return self._eager(x, y)
        at = len(self._waiting)
        if at == 0:
            self._losses = torch.empty(self._k)
        self._hyper.append([(float(g["lr"]), float(g["momentum"])) for g in self._optimizer.param_groups])
        self._waiting.append((x, y))
        if at + 1 == self._k:
            xs, ys = (stacked([pair[i] for pair in self._waiting]) for i in (0, 1))
            self._losses.copy_(self._steps(xs, ys, torch.tensor(self._hyper, dtype=torch.float64)))
            self._waiting, self._hyper = [], []
        return self._losses[at]

    @property
    def whole(self) -> bool:
        """Whether no batch is waiting."""
        return not self._waiting

    def flush(self) -> None:
        """Take the steps that wait, eagerly, each with the options it was handed in with."""
        if self.whole:
            return
        groups = self._optimizer.param_groups  # others after a checkpoint was loaded
        now = [{name: group[name] for name in ("lr", "momentum", *STATIC)} for group in groups]
        for at, ((x, y), hyper) in enumerate(zip(self._waiting, self._hyper, strict=True)):
            for group, (lr, momentum), options in zip(groups, hyper, self._options, strict=True):
                group.update(options, lr=lr, momentum=momentum)
            self._losses[at] = self._eager(x, y)
        for group, options in zip(groups, now, strict=True):
            group.update(options)
        self._waiting, self._hyper = [], []


def stacked(batches: list[Tensor]) -> Tensor:
    """The batches as one tensor, K × batch × …; without a copy where they lie one behind the other."""
    first = batches[0]
    storage, size = first.untyped_storage().data_ptr(), first.numel()
    if all(
        b.is_contiguous()
        and b.untyped_storage().data_ptr() == storage
        and b.storage_offset() == first.storage_offset() + k * size
        for k, b in enumerate(batches)
    ):
        return first.as_strided((len(batches), *first.shape), (size, *first.stride()))
    return torch.stack(batches)
