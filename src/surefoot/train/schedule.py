"""How the learning rate changes over a run: the schedules of torch.optim.lr_scheduler, by name."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import Tensor
from torch.optim import Optimizer
from torch.optim import lr_scheduler as torch_schedules
from torch.optim.lr_scheduler import LRScheduler

from surefoot.errors import InputError, a_kind, unknown
from surefoot.train.resolve import accepted
from surefoot.train.span import Span

__all__ = ["SCHEDULES", "lent", "make", "rise_of"]

SCHEDULES = ("constant", "cosine", "step", "one-cycle", "warm-up")
_FACTOR = 0.1
# options of a group that torch's schedules write; all others are the optimizer's own
CHANGED = {"lr", "initial_lr", "max_lr", "min_lr", "swa_lr"}
CHANGED |= {"momentum", "betas", "base_momentum", "max_momentum"}


def make(
    name: str | Callable[[Optimizer], LRScheduler],
    optimizer: Optimizer,
    epochs: int,
    steps: int,
    *,
    warmup: str | None = None,
    lr_step: str | None = None,
    lr_factor: float = _FACTOR,
) -> LRScheduler | None:
    """The schedule by that name, to be stepped after each training step; None where lr never changes.

    With γ the optimizer's lr, W steps of warm-up, T steps after it, of which t = 0, 1, 2 … are done:

    - the warm-up: γ(k + 1) / (W + 1) at its step k = 0 … W − 1, before any of those below
    - constant, warm-up: γ
    - cosine: γ(1 + cos(πt / T)) / 2
    - step: γ·lr_factor^⌊t / lr_step⌋
    - one-cycle: from γ/25 up to γ over 30 % of the steps, then down to γ/250,000, both along a cosine

    Args:
        name: one of `SCHEDULES`, or a function that makes one of your own.
        optimizer: its groups' lr are the peaks.
        epochs: how many the run has.
        steps: steps in an epoch.
        warmup: linear warm-up first, such as "100 steps"; None: an epoch for "warm-up", none for others.
        lr_step: for "step", the stretch after which lr is multiplied again; None is a third of the run.
        lr_factor: for "step", what lr is multiplied by.

    Raises:
        InputError: no such schedule, one of your own that asks for a metric, a warm-up that does not fit, or
            an option that does nothing.
    """
    if callable(name):
        for what, given in (("warm-up", warmup), ("lr step", lr_step), ("lr factor", lr_factor != _FACTOR)):
            if given:
                raise InputError(
                    f"The {what} applies only to a schedule given by name; leave it out with your own"
                    " schedule."
                )
        return _own(name, optimizer, epochs, steps)
    if not isinstance(name, str):
        raise InputError(
            f"The schedule must be {', '.join(SCHEDULES)}, or a function that makes one from the"
            " optimizer, not"
            f" {f'a {type(name).__name__} already made' if isinstance(name, LRScheduler) else repr(name)}."
        )
    if name not in SCHEDULES:
        raise unknown("schedule", name, SCHEDULES)
    if lr_step and name != "step":
        raise InputError(f"An lr step is for the schedule 'step'; with '{name}' it has no effect.")
    if lr_factor != _FACTOR and name != "step":
        raise InputError(f"An lr factor is for the schedule 'step'; with '{name}' it has no effect.")
    if name == "one-cycle":
        if warmup:
            raise InputError("The one-cycle schedule has its own warm-up; leave out the other one.")
        peaks = [group["lr"] for group in optimizer.param_groups]
        # momentum stays as it was set; of a single step there is no cycle
        return torch_schedules.OneCycleLR(
            optimizer, peaks, total_steps=max(2, epochs * steps), cycle_momentum=False
        )
    rising = rise_of(name, warmup, epochs, steps)
    rest = epochs * steps - rising
    after: LRScheduler | None = None
    rise = torch_schedules.LinearLR(optimizer, 1 / (rising + 1), total_iters=rising) if rising else None
    if name == "cosine":
        after = torch_schedules.CosineAnnealingLR(optimizer, rest)
    elif name == "step":
        each = Span.parse(lr_step, "lr_step").steps(steps) if lr_step else -(-rest // 3)
        after = torch_schedules.StepLR(optimizer, each, lr_factor)
    if rise is None or after is None:
        return rise or after
    return _Sequence(optimizer, [rise, after], milestones=[rising])


def rise_of(name: str, warmup: str | None, epochs: int, steps: int) -> int:
    """The warm-up in steps, before the schedule of that name, of a run of so many epochs of so many steps.

    Raises:
        InputError: it is no shorter than the run.
    """
    warmup = warmup or ("1 epoch" if name == "warm-up" else None)
    rising = Span.parse(warmup, "warmup").steps(steps) if warmup else 0
    if rising >= epochs * steps:
        raise InputError(
            f"The warm-up of {rising:,} steps must be shorter than the run of {epochs * steps:,} steps."
        )
    return rising


@contextmanager
def lent(optimizer: Optimizer) -> Iterator[None]:
    """Whatever schedules change of an optimizer inside, it is afterwards as it was.

    A second run with the same optimizer would else begin with the learning rate of the first one's end.
    """
    before = [
        {
            key: value.clone() if isinstance(value := group[key], Tensor) else value
            for key in CHANGED & group.keys()
        }
        for group in optimizer.param_groups
    ]
    try:
        yield
    finally:
        for group, options in zip(optimizer.param_groups, before, strict=False):
            for key in CHANGED & group.keys():
                if key not in options:
                    del group[key]
                elif isinstance(group[key], Tensor) and isinstance(options[key], Tensor):
                    group[key].copy_(options[key])  # a captured step holds this very tensor
                else:
                    group[key] = options[key]


class _Sequence(torch_schedules.SequentialLR):
    """torch's, without the warning of its own that older versions give where one schedule follows another."""

    def step(self) -> None:  # type: ignore[override]
        if self.last_epoch + 1 not in self._milestones:
            super().step()
            return
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The epoch parameter in `scheduler.step")
            super().step()


def _own(
    maker: Callable[[Optimizer], LRScheduler | None], optimizer: Optimizer, epochs: int, steps: int
) -> LRScheduler | None:
    """A schedule of the user's own, if it can be stepped after each batch of the run as it is."""
    if isinstance(maker, type):
        parameters, _ = accepted(maker, skip=1)
        missing = [name for name, p in parameters.items() if p.default is p.empty]
        if missing:
            given = ", ".join(f"{name}=…" for name in missing)
            raise InputError(
                f"The schedule {maker.__name__} requires {', '.join(missing)}; give a function that makes it,"
                f" as lambda optimizer: {maker.__name__}(optimizer, {given})."
            )
    made = maker(optimizer)
    if made is not None and not callable(getattr(made, "step", None)):
        raise InputError(
            f"The schedule function returns {a_kind(made)}; it must return a scheduler, such as"
            " torch.optim.lr_scheduler.StepLR(optimizer, 10)."
        )
    step = inspect.signature(made.step).parameters if made is not None else {}
    wanted = [
        n
        for n, p in step.items()
        if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]
    if wanted:
        raise InputError(
            f"{type(made).__name__}.step requires {', '.join(wanted)}; fit calls step() after every"
            " batch without arguments. Choose a schedule that requires none."
        )
    if isinstance(made, torch_schedules.OneCycleLR) and made.total_steps < epochs * steps:
        raise InputError(
            f"The schedule {type(made).__name__} ends after {made.total_steps:,} steps, but the run has"
            f" {epochs * steps:,} ({epochs:,} epochs of {steps:,}); give it total_steps={epochs * steps}."
        )
    return made
