"""The loss as a function of the parameters alone: a float64 copy of the model on a fixed batch."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from surefoot.check.gradients.copied import rehook, to_double
from surefoot.check.gradients.flow import flow
from surefoot.check.gradients.noise import noise_of
from surefoot.check.gradients.pair import UNIT
from surefoot.check.gradients.precision import unit_of
from surefoot.check.gradients.slope import Slope, measure
from surefoot.errors import InputError, headline
from surefoot.trace.compare import UNIT_ROUNDOFF

Direction = Tensor | tuple[int, ...]  # a whole direction, or one element's index


class Surface:
    """A model, a loss and a batch, in float64, that can be asked for its value, gradients and slopes."""

    def __init__(self, model: nn.Module, loss: Callable[..., Tensor], batch: Any, seed: int) -> None:
        if not isinstance(batch, Tensor) and not (isinstance(batch, Sequence) and len(batch)):
            raise InputError(f"The batch must be (*inputs, target) or one tensor, not {batch!r}.")
        self.loss, self.seed = loss, seed
        self.model = copy.deepcopy(model)
        for tensors in (self.model.parameters(), self.model.buffers()):
            for t in tensors:
                t.data = to_double(t.data)
        self.hooked = rehook(model, self.model)
        self.batch = to_double(batch)
        self.parameters = {n: p for n, p in self.model.named_parameters() if p.requires_grad and p.numel()}
        self.padding = self._padding()
        self.parameters = {n: p for n, p in self.parameters.items() if self.checked(n).any()}
        self.buffers = {n: b.clone() for n, b in self.model.named_buffers()}
        if not self.parameters:
            raise InputError(
                "The model has no parameter that requires a gradient, so there is nothing to check."
            )
        self.graph = self._needs_graph()
        with torch.random.fork_rng(devices=[]), torch.set_grad_enabled(self.graph):
            free = self._evaluate().item(), self._evaluate().item()
        start = self.value()
        if not math.isfinite(start):
            raise InputError(
                f"The loss is {start} at the given parameters, so it has no slope; start where it is finite."
            )
        self.unit = self._unit()
        self.draws = free[0] != free[1]  # it draws random numbers; setting the seed makes it repeat
        self.noise = {n: self._measure_noise(n) for n in self.parameters}

    def _needs_graph(self) -> bool:
        """Whether without gradients the loss is another one or none, as of a model that differentiates."""
        self.graph = True
        whole = self.value()
        self.graph = False
        try:
            return self.value() != whole
        except InputError:
            return True

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
            raise InputError(f"The loss must be a tensor with one element, but it is {what}.")
        return value

    @contextlib.contextmanager
    def _repeating(self, grad: bool) -> Iterator[None]:
        """With the same random numbers for dropout each time, and those outside as they were."""
        with torch.random.fork_rng(devices=[]), torch.set_grad_enabled(grad):
            torch.manual_seed(self.seed)
            yield

    def value(self) -> float:
        """The loss at the present parameters; with the same random numbers for dropout each time."""
        with self._repeating(self.graph):
            return self._evaluate().item()

    @property
    def dtype(self) -> str:
        """The narrowest dtype that the loss is computed in."""
        return next((name for name, u in UNIT_ROUNDOFF.items() if u == self.unit), "float8")

    def _unit(self) -> float:
        try:
            with self._repeating(True):
                return unit_of(self._evaluate, self.parameters.values())
        except Exception:  # what cannot be watched is taken to compute in float64, as its copy is
            return UNIT

    def gradients(self) -> dict[str, Tensor]:
        """Autograd's gradient of each parameter, zero where it gives none; complex ones as pairs of reals."""
        with self._repeating(True):
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
        with self._repeating(True):
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

    def slope(self, name: str, direction: Direction, gradient: Tensor, size: float = 0.0) -> Slope:
        """Measure one slope, and judge by it the one that `gradient` gives; `size` counts as large."""
        index = direction if isinstance(direction, tuple) else None
        autograd = gradient[direction] if isinstance(direction, tuple) else (gradient * direction).sum()
        return measure(
            partial(self.along, name, direction),
            autograd.item(),
            scale=self._scale(name, direction),
            size=max(size, largest(gradient)),
            noise=self.noise[name],
            unit=self.unit,
            index=index,
        )

    def step_aside(self, generator: torch.Generator) -> bool:
        """Move every parameter a little, at random, away from kinks that come of exact zeros.

        Up or down alone where the loss is not defined there, as of a root; False if it is nowhere.
        """
        sizes = {n: _cells(p.detach()).abs() + 1 for n, p in self.parameters.items()}
        away = {n: (_random(s, generator) - 0.5) * 2.0**-6 * s for n, s in sizes.items()}
        for way in (away, {n: a.abs() for n, a in away.items()}, {n: -a.abs() for n, a in away.items()}):
            before = self._move(way)
            if math.isfinite(self.value()):
                self.noise = {n: self._measure_noise(n) for n in self.parameters}
                return True
            self._put_back(before)
        return False

    def rounded(self, gradients: dict[str, Tensor], generator: torch.Generator) -> set[str]:
        """Parameters whose gradient is rounding alone: zero, or another one altogether next to here."""
        drift = dict.fromkeys(gradients, 0.0)
        for _ in range(3):
            sizes = {n: _cells(p.detach()).abs() + 1 for n, p in self.parameters.items()}
            before = self._move({n: (_random(s, generator) - 0.5) * 2.0**-20 * s for n, s in sizes.items()})
            for n, g in self.gradients().items():
                drift[n] = max(drift[n], largest(g - gradients[n]))
            self._put_back(before)
        return {n for n, g in gradients.items() if g.isfinite().all() and drift[n] >= largest(g) / 8}

    def _move(self, away: dict[str, Tensor]) -> dict[str, Tensor]:
        """Move all parameters; and where they were."""
        before = {n: p.detach().clone() for n, p in self.parameters.items()}
        for n, a in away.items():
            _cells(self.parameters[n].detach()).add_(a)
        return before

    def _put_back(self, before: dict[str, Tensor]) -> None:
        for n, b in before.items():
            self.parameters[n].detach().copy_(b)

    def _scale(self, name: str, direction: Direction) -> float:
        cells = _cells(self.parameters[name].detach())
        size = (cells[direction] if isinstance(direction, tuple) else cells).abs().max().item()
        return float(2.0 ** math.floor(math.log2(max(1.0, size))))

    def _measure_noise(self, name: str) -> float:
        generator = torch.Generator().manual_seed(self.seed)
        shape = _cells(self.parameters[name]).shape
        ways = [random_direction(torch.ones(shape), generator) for _ in range(2)]
        return max(noise_of(partial(self.along, name, v), self._scale(name, v), self.unit) for v in ways)


def largest(gradient: Tensor) -> float:
    """The size of its largest finite number."""
    return gradient.abs().nan_to_num(0.0, 0.0).max().item()


def random_direction(mask: Tensor, generator: torch.Generator) -> Tensor:
    """Random signs where the mask is 1, as a unit vector."""
    signs = torch.randint(2, mask.shape, generator=generator).to(torch.float64) * 2 - 1
    return signs * mask / mask.sum().sqrt()


def _random(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(like.shape, generator=generator, dtype=torch.float64)


def _cells(t: Tensor) -> Tensor:
    """The real numbers of a tensor, sharing its storage."""
    return torch.view_as_real(t) if t.is_complex() else t
