"""A model, a loss and a batch in float64, to be evaluated again and again."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from surefoot.check.gradients.copied import rehook, to_double
from surefoot.check.gradients.inputs import fresh, named, rowed, why_not
from surefoot.errors import InputError, headline

__all__ = ["Evaluated"]


class Evaluated:
    """Calling it gives the loss of a copy of the model; without a loss, of its output, weighted at random.

    `parameters` and `inputs` are what it depends on; `asked` has the inputs that came with requires_grad,
    and `excluded` says of the others why they can have no gradient.
    """

    def __init__(
        self, model: Callable[..., Any], loss: Callable[..., Tensor] | None, batch: Any, seed: int
    ) -> None:
        if not isinstance(batch, Tensor) and not (isinstance(batch, Sequence) and len(batch)):
            raise InputError(f"The batch must be (*inputs, target) or one tensor, not {batch!r}.")
        self.loss, self.seed = loss, seed
        self.model = copy.deepcopy(model) if isinstance(model, nn.Module) else model
        self.parameters: dict[str, nn.Parameter] = {}
        self.buffers: dict[str, Tensor] = {}
        self.hooked: dict[str, bool] = {}
        if isinstance(model, nn.Module) and isinstance(self.model, nn.Module):
            for t in (*self.model.parameters(), *self.model.buffers()):
                t.data = to_double(t.data)
            self.hooked = rehook(model, self.model)
            self.parameters = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
            self.buffers = {n: b.clone() for n, b in self.model.named_buffers()}
        given = [batch] if isinstance(batch, Tensor) else list(batch)
        self.target: list[Any] = []
        if loss is not None and not isinstance(batch, Tensor):
            *given, target = given
            self.target = [_owned(to_double(target))]
        self.given = [_owned(to_double(value)) for value in given]
        taken = set(self.parameters)
        before = named(model, given, taken)
        tensors = named(model, self.given, taken)
        self.excluded = {n: why for n, t in tensors.items() if (why := why_not(t))}
        self.inputs = {n: t for n, t in tensors.items() if n not in self.excluded and t.numel()}
        self.asked = {n for n in self.inputs if before[n].requires_grad}
        self.weights: list[Tensor] = []

    def require(self, wanted: bool) -> None:
        """Say whether gradients of the inputs are wanted."""
        for t in self.inputs.values():
            t.requires_grad_(wanted)

    def __call__(self, row: int | None = None) -> Tensor:
        """The loss; of one row of the batch alone, if one is named."""
        with torch.no_grad():
            if isinstance(self.model, nn.Module):
                for name, buffer in self.model.named_buffers():
                    buffer.copy_(self.buffers[name])
        what = "loss" if self.loss else "output"
        given, target = self.given, self.target
        if row is not None:
            given, target = rowed([given, target], row, self.rows)
        try:
            value = self.model(*fresh(given))
            value = self._weighted(value, row) if self.loss is None else self.loss(value, *target)
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"The {what} cannot be computed in float64: {headline(error)}.") from error
        if not isinstance(value, Tensor) or value.numel() != 1:
            what = (
                f"of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
            )
            raise InputError(f"The loss must be a tensor with one element, but it is {what}.")
        return value

    @property
    def rows(self) -> int:
        """How many rows the batch has, by its first tensor."""
        tensors = [t for t in tree_leaves(self.given) if isinstance(t, Tensor) and t.ndim]
        return len(tensors[0]) if tensors else 0

    @property
    def elements(self) -> int:
        """How many numbers the loss compares: those of the target, or of the output that is weighted."""
        compared = self.weights or [t for t in tree_leaves(self.target) if isinstance(t, Tensor)]
        return sum(t.numel() for t in compared)

    def _weighted(self, output: Any, row: int | None) -> Tensor:
        """One number of all that comes out, with weights that stay, so that each element of it counts."""
        parts = [t for t in tree_leaves(output) if isinstance(t, Tensor) and t.numel()]
        parts = [t for t in parts if t.is_floating_point() or t.is_complex()]
        if not parts:
            raise InputError(
                f"The output is of type {type(output).__name__}, and has no floating-point tensor to "
                "differentiate."
            )
        cells = [torch.view_as_real(t.resolve_conj()) if t.is_complex() else t for t in parts]
        if row is None:
            generator = torch.Generator().manual_seed(self.seed)
            scalar = len(cells) == 1 and cells[0].numel() == 1
            self.weights = [] if scalar else [_signed(c.shape, generator) for c in cells]
        if not self.weights:
            return cells[0].reshape(())
        weights = self.weights if row is None else rowed(self.weights, row, self.rows)
        return torch.stack([(w * c).sum() for w, c in zip(weights, cells, strict=True)]).sum()


def _signed(shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Numbers of either sign, none of them small, and no two the same."""
    size = torch.rand(shape, generator=generator, dtype=torch.float64) + 0.5
    return size * (torch.randint(2, shape, generator=generator) * 2 - 1)


def _owned(value: Any) -> Any:
    """The same, apart from the graph and the memory of who gave it."""
    if isinstance(value, Tensor):
        own = value.detach()
        return own.clone(memory_format=torch.contiguous_format) if own.layout == torch.strided else own
    if isinstance(value, dict):
        return {k: _owned(v) for k, v in value.items()}
    return [_owned(v) for v in value] if isinstance(value, list) else value
