"""The loss as a function of the parameters alone: a float64 copy of the model on a fixed batch."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from surefoot.check.gradients.flow import flow
from surefoot.check.gradients.precision import unit_of
from surefoot.check.gradients.slope import UNIT, Slope, measure
from surefoot.errors import InputError, headline
from surefoot.trace.compare import UNIT_ROUNDOFF

Direction = Tensor | tuple[int, ...]  # a whole direction, or one element's index


class Surface:
    """A model, a loss and a batch, in float64, that can be asked for its value, gradients and slopes."""

    def __init__(self, model: nn.Module, loss: Callable[..., Tensor], batch: Any, seed: int) -> None:
        if not isinstance(batch, Tensor) and not (isinstance(batch, Sequence) and len(batch)):
            raise InputError(f"A batch is (*inputs, target), or one tensor; it is {batch!r}.")
        self.loss, self.seed = loss, seed
        self.model = copy.deepcopy(model)
        for tensors in (self.model.parameters(), self.model.buffers()):
            for t in tensors:
                t.data = _to_double(t.data)
        self.hooked = _rehook(model, self.model)
        self.batch = _to_double(batch)
        self.parameters = {n: p for n, p in self.model.named_parameters() if p.requires_grad and p.numel()}
        self.padding = self._padding()
        self.parameters = {n: p for n, p in self.parameters.items() if self.checked(n).any()}
        self.buffers = {n: b.clone() for n, b in self.model.named_buffers()}
        if not self.parameters:
            raise InputError(
                "The model has no parameter that requires a gradient, so there is nothing to check."
            )
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            free = self._evaluate().item(), self._evaluate().item()
        start = self.value()
        if not math.isfinite(start):
            raise InputError(
                f"The loss is {start} at the start, so it has no slope; start from finite numbers."
            )
        self.unit = self._unit()
        self.draws = free[0] != free[1]  # it draws random numbers; setting the seed makes it repeat
        self.noise = {n: self._measure_noise(n) for n in self.parameters}

    def _padding(self) -> dict[str, int]:
        """The row of each embedding's weight that autograd leaves without a gradient, as asked for."""
        rows = {
            id(m.weight): m.padding_idx
            for m in self.model.modules()
            if isinstance(m, (nn.Embedding, nn.EmbeddingBag))
        }
        found = {n: rows.get(id(p)) for n, p in self.parameters.items()}
        return {n: row for n, row in found.items() if row is not None}

    def checked(self, name: str) -> Tensor:
        """1 for each number of a parameter whose slope is measured, 0 for those of a padding row."""
        mask = torch.ones(_cells(self.parameters[name].detach()).shape)
        if name in self.padding:
            mask[self.padding[name]] = 0
        return mask

    def _evaluate(self) -> Tensor:
        with torch.no_grad():
            for name, buffer in self.model.named_buffers():
                buffer.copy_(self.buffers[name])
        try:
            if isinstance(self.batch, Tensor):
                value = self.loss(self.model(self.batch))
            else:
                *inputs, target = self.batch
                value = self.loss(self.model(*inputs), target)
        except Exception as error:
            raise InputError(f"The loss cannot be computed in float64: {headline(error)}.") from error
        if not isinstance(value, Tensor) or value.numel() != 1:
            what = (
                f"of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
            )
            raise InputError(f"The loss must be a tensor with one element, and this one is {what}.")
        return value

    def value(self) -> float:
        """The loss at the present parameters; with the same random numbers for dropout each time."""
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(self.seed)
            return self._evaluate().item()

    @property
    def dtype(self) -> str:
        """The narrowest dtype that the loss is computed in."""
        return next((name for name, u in UNIT_ROUNDOFF.items() if u == self.unit), "float8")

    def _unit(self) -> float:
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(self.seed)
                return unit_of(self._evaluate)
        except Exception:  # what cannot be watched is taken to compute in float64, as its copy is
            return UNIT

    def gradients(self) -> dict[str, Tensor]:
        """Autograd's gradient of each parameter, zero where it gives none; complex ones as pairs of reals."""
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(self.seed)
            value = self._evaluate()
            wanted = list(self.parameters.values())
            got: Sequence[Tensor | None] = [None] * len(wanted)
            if value.requires_grad:
                try:
                    got = torch.autograd.grad(value.reshape(()), wanted, allow_unused=True)
                except Exception as error:  # a backward may raise what it likes
                    raise InputError(f"The backward pass cannot be computed: {headline(error)}.") from error
        return {
            name: _cells(torch.zeros_like(p) if g is None else g.to_dense()).to(torch.float64).clone()
            for (name, p), g in zip(self.parameters.items(), got, strict=True)
        }

    def flow(self) -> dict[str, tuple[str, ...]]:
        """Each parameter that the loss is made of, with those that its gradient's way goes on to."""
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(self.seed)
            return flow(self._evaluate(), self.parameters)

    def along(self, name: str, direction: Direction, t: float) -> float:
        """The loss after parameter `name` has moved by t·direction; it is put back."""
        cells = _cells(self.parameters[name].detach())
        before = cells.clone()
        if isinstance(direction, tuple):
            cells[direction] += t
        else:
            cells.add_(direction, alpha=t)
        try:
            return self.value()
        finally:
            cells.copy_(before)

    def slope(self, name: str, direction: Direction, gradient: Tensor) -> Slope:
        """Measure one slope, and judge by it the one that `gradient` gives."""
        index = direction if isinstance(direction, tuple) else None
        autograd = gradient[direction] if isinstance(direction, tuple) else (gradient * direction).sum()
        return measure(
            lambda t: self.along(name, direction, t),
            autograd.item(),
            scale=self._scale(name, direction),
            size=gradient.abs().nan_to_num(0.0, 0.0).max().item(),
            noise=self.noise[name],
            unit=self.unit,
            index=index,
        )

    def step_aside(self, generator: torch.Generator) -> None:
        """Move every parameter a little, at random, away from kinks that come of exact zeros."""
        for p in self.parameters.values():
            cells = _cells(p.detach())
            away = torch.rand(cells.shape, generator=generator, dtype=torch.float64) - 0.5
            cells.add_(away * 2.0**-6 * (1 + cells.abs()))
        self.noise = {n: self._measure_noise(n) for n in self.parameters}

    def _scale(self, name: str, direction: Direction) -> float:
        cells = _cells(self.parameters[name].detach())
        size = (cells[direction] if isinstance(direction, tuple) else cells).abs().max().item()
        return float(2.0 ** math.floor(math.log2(max(1.0, size))))

    def _measure_noise(self, name: str) -> float:
        """Rounding noise of one evaluation: fourth differences, over steps too small to see more.

        In float32 such steps may move nothing at all, so they grow there until they do; and no noise is
        taken to be below one rounding of the loss.

        Source: Moré and Wild, Estimating Computational Noise (2011), section 3.
        """
        generator = torch.Generator().manual_seed(self.seed)
        estimates = []
        for _ in range(2):  # the smaller of two: one direction may cross a kink
            v = random_direction(torch.ones(_cells(self.parameters[name]).shape), generator)
            h = 2.0**-20 * self._scale(name, v)
            while True:
                values = [self.along(name, v, k * h) for k in range(-3, 4)]
                if self.unit == UNIT or len(set(values)) > 3 or h > 2.0**-9:
                    break
                h *= 8
            fourth = torch.tensor(values, dtype=torch.float64).diff(n=4)
            estimates.append((fourth.square().mean() / math.comb(8, 4)).sqrt().item())
        least = 0.0 if self.unit == UNIT else self.unit * abs(values[3])
        return max(min(estimates), least)


def random_direction(mask: Tensor, generator: torch.Generator) -> Tensor:
    """Random signs where the mask is 1, as a unit vector."""
    signs = torch.randint(2, mask.shape, generator=generator).to(torch.float64) * 2 - 1
    return signs * mask / mask.sum().sqrt()


def _cells(t: Tensor) -> Tensor:
    """The real numbers of a tensor, sharing its storage."""
    return torch.view_as_real(t) if t.is_complex() else t


def _to_double(value: Any) -> Any:
    if isinstance(value, Tensor):
        if value.is_complex():
            return value.to(torch.complex128)
        return value.to(torch.float64) if value.is_floating_point() else value
    if isinstance(value, dict):
        return {k: _to_double(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_double(v) for v in value]
    return value


def _rehook(model: nn.Module, copied: nn.Module) -> dict[str, bool]:
    """Put hooks of parameters, which copying drops, on the copy; which have some, and whether all are there.

    Those that run after accumulation run on `.grad`, which nothing here fills.
    """
    found = {}
    for (name, p), q in zip(model.named_parameters(), copied.parameters(), strict=True):
        if not p.requires_grad:
            continue
        hooks = getattr(p, "_backward_hooks", None) or {}
        later = getattr(p, "_post_accumulate_grad_hooks", None) or {}
        for hook in hooks.values():
            q.register_hook(hook)  # type: ignore[no-untyped-call]
        if hooks or later:
            found[name] = not later
    return found
