"""The loss as a function of parameters and inputs: a float64 copy of the model on a fixed batch."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from surefoot.check.gradients.evaluated import Evaluated
from surefoot.check.gradients.flow import flow
from surefoot.check.gradients.noise import noise_of
from surefoot.check.gradients.pair import UNIT
from surefoot.check.gradients.precision import unit_of
from surefoot.check.gradients.slope import Slope, measure
from surefoot.errors import InputError, headline
from surefoot.trace.compare import UNIT_ROUNDOFF

NO_PARAMETER = "The model has no parameter that requires a gradient, so there is nothing to check."
NOTHING = "No parameter requires a gradient and no input can have one, so there is nothing to check."

Direction = Tensor | tuple[int, ...]  # a whole direction, or one element's index


class Surface:
    """A model, a loss and a batch, in float64, that can be asked for its value, gradients and slopes."""

    def __init__(
        self,
        model: Callable[..., Any],
        loss: Callable[..., Tensor] | None,
        batch: Any,
        seed: int,
        inputs: bool = True,
    ) -> None:
        self.seed = seed
        self.evaluate = Evaluated(model, loss, batch, seed)
        self.model, self.hooked = self.evaluate.model, self.evaluate.hooked
        self.parameters: dict[str, Tensor] = {n: p for n, p in self.evaluate.parameters.items() if p.numel()}
        self.inputs = self.evaluate.inputs if inputs else {}
        self.padding = self._padding()
        self.parameters = {n: p for n, p in self.parameters.items() if self.checked(n).any()}
        self.unchecked = dict(self.evaluate.excluded) if inputs else {}
        if not self.leaves:
            raise InputError(NOTHING if inputs else NO_PARAMETER)
        self.cut: set[str] = set()  # inputs to which no gradient leads
        self._reach()
        self.graph = self._needs_graph()
        with torch.random.fork_rng(devices=[]), torch.set_grad_enabled(self.graph):
            free = self.evaluate().item(), self.evaluate().item()
        self.start = start = self.value()
        self.origin: dict[str, Tensor] = {}  # what a step aside has moved from there
        if not math.isfinite(start):
            raise InputError(
                f"The loss is {start} at the given parameters, so it has no slope; start where it is finite."
            )
        units = [(leaves, self._unit(leaves)) for leaves in (self.parameters, self.inputs) if leaves]
        self.units = {n: unit for leaves, unit in units for n in leaves}
        self.draws = free[0] != free[1]  # it draws random numbers; setting the seed makes it repeat
        self.measure_noise()

    @property
    def leaves(self) -> dict[str, Tensor]:
        """All that is checked: parameters and inputs."""
        return {**self.parameters, **self.inputs}

    def _reach(self) -> None:
        """Find which inputs a gradient leads to; none is asked for where that makes the pass fail."""
        self.evaluate.require(bool(self.inputs))
        if not self.inputs:
            return
        try:
            got = self._differentiated()
        except InputError as error:
            self.evaluate.require(False)
            if not self.parameters:
                raise
            refused, self.inputs = self.inputs, {}
            self._differentiated()  # what fails without them too is no matter of inputs
            reason = str(error).partition(": ")[2].rstrip(".")
            self.unchecked |= dict.fromkeys(refused, f"cannot require a gradient ({reason})")
            return
        self.cut = {n for n in self.inputs if got[n] is None} - self.evaluate.asked
        if not self.parameters and self.cut == self.inputs.keys():
            self.cut = set()  # of a function alone, a gradient is what it is checked for

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
            for m in (self.model.modules() if isinstance(self.model, nn.Module) else ())
            if isinstance(m, (nn.Embedding, nn.EmbeddingBag))
        }
        found = {n: rows.get(id(p)) for n, p in self.parameters.items()}
        return {n: row for n, row in found.items() if row is not None}

    def checked(self, name: str) -> Tensor:
        """1 for each number of a leaf whose slope is measured, 0 for those of a padding row."""
        mask = torch.ones(cells_of(self.leaves[name].detach()).shape)
        if name in self.padding:
            mask[self.padding[name]] = 0
        return mask

    @contextlib.contextmanager
    def _repeating(self, grad: bool) -> Iterator[None]:
        """With the same random numbers for dropout each time, and those outside as they were."""
        with torch.random.fork_rng(devices=[]), torch.set_grad_enabled(grad):
            torch.manual_seed(self.seed)
            yield

    def value(self) -> float:
        """The loss at the present parameters; with the same random numbers for dropout each time."""
        with self._repeating(self.graph):
            return self.evaluate().item()

    @property
    def dtype(self) -> str:
        """The narrowest dtype that the loss is computed in."""
        unit = max(self.units.values())
        return next((name for name, u in UNIT_ROUNDOFF.items() if u == unit), "float8")

    def _unit(self, leaves: dict[str, Tensor]) -> float:
        try:
            with self._repeating(True):
                return unit_of(self.evaluate, leaves.values())
        except Exception:  # what cannot be watched is taken to compute in float64, as its copy is
            return UNIT

    def gradients(self, row: int | None = None) -> dict[str, Tensor]:
        """Autograd's gradient of each leaf, zero where it gives none; complex ones as pairs of reals."""
        got = self._differentiated(row)
        return {
            name: cells_of(torch.zeros_like(p) if got[name] is None else got[name].to_dense())
            .to(torch.float64)
            .clone()
            for name, p in self.leaves.items()
        }

    def _differentiated(self, row: int | None = None) -> dict[str, Any]:
        with self._repeating(True):
            value = self.evaluate(row)
            wanted = self.leaves
            got: Sequence[Tensor | None] = [None] * len(wanted)
            if value.requires_grad:
                try:
                    got = torch.autograd.grad(value.reshape(()), list(wanted.values()), allow_unused=True)
                except Exception as error:  # a backward may raise what it likes
                    raise InputError(f"The backward pass cannot be computed: {headline(error)}.") from error
        return dict(zip(wanted, got, strict=True))

    def row(self, row: int) -> tuple[float, dict[str, Tensor]]:
        """The loss of one row of the batch alone, and the gradients."""
        with self._repeating(True):
            value = self.evaluate(row).item()
        return value, self.gradients(row)

    def put_back(self) -> None:
        """Undo a step aside."""
        for n, t in self.origin.items():
            self.leaves[n].detach().copy_(t)
        self.origin = {}

    def flow(self) -> dict[str, tuple[str, ...]]:
        """Each parameter that the loss is made of, with those that its gradient's way goes on to."""
        with self._repeating(True):
            return flow(self.evaluate(), self.parameters)

    def along(self, name: str, direction: Direction, t: float) -> float:
        """The loss after leaf `name` has moved by t·direction; it is put back."""
        cells = cells_of(self.leaves[name].detach())
        before = cells.clone()
        if isinstance(direction, tuple):
            cells[direction] += t
        else:
            cells.add_(direction, alpha=t)
        try:
            return self.value()
        except InputError:
            if name not in self.inputs:
                raise
            return math.nan  # an input may have an end, as a probability has
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
            unit=self.units[name],
            index=index,
        )

    @property
    def moved(self) -> dict[str, Tensor]:
        """What a step aside moves: an input without a gradient may be a mask, or numbers of rows."""
        return {n: p for n, p in self.leaves.items() if n not in self.cut}

    def _scale(self, name: str, direction: Direction) -> float:
        cells = cells_of(self.leaves[name].detach())
        size = (cells[direction] if isinstance(direction, tuple) else cells).abs().max().item()
        return float(2.0 ** math.floor(math.log2(max(1.0, size))))

    def measure_noise(self) -> None:
        """Of each leaf, where the surface is now."""
        self.noise = {n: self._measure_noise(n) for n in self.leaves}

    def _measure_noise(self, name: str) -> float:
        generator = torch.Generator().manual_seed(self.seed)
        shape = cells_of(self.leaves[name].detach()).shape
        ways = [random_direction(torch.ones(shape), generator) for _ in range(2)]
        return max(
            noise_of(partial(self.along, name, v), self._scale(name, v), self.units[name]) for v in ways
        )


def largest(gradient: Tensor) -> float:
    """The size of its largest finite number."""
    return gradient.abs().nan_to_num(0.0, 0.0).max().item()


def random_direction(mask: Tensor, generator: torch.Generator) -> Tensor:
    """Random signs where the mask is 1, as a unit vector."""
    signs = torch.randint(2, mask.shape, generator=generator).to(torch.float64) * 2 - 1
    return signs * mask / mask.sum().sqrt()


def cells_of(t: Tensor) -> Tensor:
    """The real numbers of a tensor, sharing its storage."""
    return torch.view_as_real(t) if t.is_complex() else t
