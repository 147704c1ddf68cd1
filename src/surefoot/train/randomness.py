"""The random states that a run draws from: set by its seed, kept in its checkpoints, unseen outside."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

if TYPE_CHECKING:
    from surefoot.train.rows.batch import Batches, Feed

T = TypeVar("T")

__all__ = ["Randomness", "apart", "drawing", "forked", "go_to", "same", "states", "unmoved"]

_END: Any = object()


def states(generators: Sequence[torch.Generator] = ()) -> dict[str, Any]:
    """The random states on the CPU, of torch, Python and numpy, and of these generators."""
    return {
        "torch": torch.get_rng_state(),
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "loader": [generator.get_state() for generator in generators],
    }


def go_to(state: dict[str, Any], generators: Sequence[torch.Generator]) -> None:
    """Set them as they were."""
    torch.set_rng_state(state["torch"])
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    for generator, own in zip(generators, state["loader"], strict=False):
        generator.set_state(own)


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether the states are those of the other time."""
    tensors = zip([one["torch"], *one["loader"]], [other["torch"], *other["loader"]], strict=True)
    return (
        all(a.equal(b) for a, b in tensors)
        and one["python"] == other["python"]
        and all(np.array_equal(a, b) for a, b in zip(one["numpy"], other["numpy"], strict=True))
    )


@contextmanager
def unmoved(generators: Sequence[torch.Generator] = ()) -> Iterator[None]:
    """Leave torch's, Python's and numpy's random states, and these generators, as they are now."""
    before = states(generators)
    try:
        yield
    finally:
        go_to(before, generators)


@contextmanager
def drawing(seed: int, device: torch.device) -> Iterator[None]:
    """Draw from random states that begin with this seed, and leave those outside as they are."""
    with unmoved(), forked(device):
        _begin(seed)
        yield


def _begin(seed: int) -> None:
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed([seed & 0xFFFFFFFF, seed >> 32])


def apart(batches: Iterator[T], seed: int, epoch: int) -> Iterator[T]:
    """The same, but all after the first draw from states of torch and Python of their own, begun by epoch.

    So they are the same whatever a model draws between two of them, and when they are gone through again
    without it. The first is left as it is: most loaders draw their order with it, and nothing after that.
    numpy's state is not changed, which takes 70 µs each time: few models draw from it.
    """
    begun = int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0])
    own = torch.Generator().manual_seed(begun).get_state(), random.Random(begun).getstate()
    batch = next(batches, _END)
    while batch is not _END:
        yield batch
        del batch  # which would be kept while the next one is made
        outside = torch.get_rng_state(), random.getstate()
        try:
            torch.set_rng_state(own[0])
            random.setstate(own[1])
            batch = next(batches, _END)
            own = torch.get_rng_state(), random.getstate()
        finally:
            torch.set_rng_state(outside[0])
            random.setstate(outside[1])


@contextmanager
def forked(device: torch.device) -> Iterator[None]:
    """The random numbers of the CPU and the device go on afterwards from where they are now."""
    apple = torch.mps.get_rng_state() if device.type == "mps" else None  # fork_rng knows none of that kind
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            if apple is not None:
                torch.mps.set_rng_state(apple)


class Randomness:
    """Inside `with`, a run's own random states: torch's (and its GPU's), Python's and numpy's.

    Outside they are as they were. A DataLoader's generators go into checkpoints too, but are the user's own:
    the run starts with what they are, and leaves them where it ended.

    Args:
        seed: of the run.
        device: where it runs.
        generators: of its DataLoaders.
    """

    def __init__(self, seed: int, device: torch.device, generators: Sequence[torch.Generator] = ()) -> None:
        self._seed, self._device, self._generators = seed, device, generators
        self._begun: dict[str, Any] = {}  # the states at the epoch's begin, from which its order was drawn

    def __enter__(self) -> Randomness:
        self._outside = self.now()
        _begin(self._seed)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.go_back(self._outside | {"loader": []})

    def batches(self, rows: Feed, epoch: int, skip: int) -> Batches:
        """The epoch's batches, from its begin, or within it after `load_state_dict`."""
        if not skip:
            self._begun = self.now()
            return rows.epoch(epoch)
        now = self.now()
        self.go_back(self._begun)  # a DataLoader draws the epoch's order anew, and leaves out what was done
        found = rows.epoch(epoch, skip)
        self.go_back(now)
        return found

    def rewind(self) -> None:
        """Go back to the epoch's begin, of which no batch came."""
        self.go_back(self._begun)

    def state_dict(self) -> dict[str, Any]:
        """The states now, and at the epoch's begin."""
        return {"now": self.now(), "begun": self._begun}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from those states."""
        self._begun = state["begun"]
        self.go_back(state["now"])

    def now(self) -> dict[str, Any]:
        """The states as they are."""
        kind = self._device.type
        state = states(self._generators)
        if kind == "cuda":
            state["cuda"] = torch.cuda.get_rng_state(self._device)
        elif kind == "mps":
            state["mps"] = torch.mps.get_rng_state()
        return state

    def go_back(self, state: dict[str, Any]) -> None:
        """Set them as they were."""
        go_to(state, self._generators)
        if "cuda" in state:
            torch.cuda.set_rng_state(state["cuda"], self._device)
        if "mps" in state:
            torch.mps.set_rng_state(state["mps"])
