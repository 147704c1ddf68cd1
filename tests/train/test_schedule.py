from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler as schedules

from surefoot import SGD
from surefoot.errors import InputError
from surefoot.train import schedule

STEPS = 40  # 4 epochs of 10


def course(name: str, **options: Any) -> list[float]:
    """The learning rate of each step."""
    p = torch.nn.Parameter(torch.zeros(1))
    p.grad = torch.zeros(1)
    optimizer = SGD([p], lr=2.0, momentum=0.9)
    scheduler = schedule.make(name, optimizer, 4, 10, **options)
    rates = []
    for _ in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
    assert optimizer.param_groups[0]["momentum"] == 0.9
    return rates


def cosine(a: float, b: float, share: float) -> float:
    return b + (a - b) * (1 + math.cos(math.pi * share)) / 2


@pytest.mark.parametrize(
    ("name", "options", "rate"),
    [
        ("constant", {}, lambda t: 2.0),
        ("cosine", {}, lambda t: cosine(2, 0, t / 40)),
        ("step", {}, lambda t: 2 * 0.1 ** (t // 14)),
        ("step", {"lr_step": "1 epoch", "lr_factor": 0.5}, lambda t: 2 * 0.5 ** (t // 10)),
        ("warm-up", {}, lambda t: 2 * min(1, (t + 1) / 11)),
        ("warm-up", {"warmup": "4 steps"}, lambda t: 2 * min(1, (t + 1) / 5)),
        ("cosine", {"warmup": "4 steps"}, lambda t: 2 * (t + 1) / 5 if t < 4 else cosine(2, 0, (t - 4) / 36)),
        ("constant", {"warmup": "1 step"}, lambda t: 1.0 if t == 0 else 2.0),
        ("one-cycle", {}, lambda t: cosine(0.08, 2, t / 11) if t < 11 else cosine(2, 8e-6, (t - 11) / 28)),
    ],
)
def test_a_schedule_follows_its_formula(
    name: str, options: dict[str, Any], rate: Callable[[int], float]
) -> None:
    assert course(name, **options) == pytest.approx([rate(t) for t in range(STEPS)])


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("cos", {}, "Unknown schedule 'cos'; did you mean 'cosine'? Known: "),
        (
            "cosine",
            {"warmup": "4 epochs"},
            "The warm-up of 40 steps must be shorter than the run of 40 steps.",
        ),
        (
            "one-cycle",
            {"warmup": "1 step"},
            "The one-cycle schedule has its own warm-up; leave out the other one.",
        ),
        (
            "cosine",
            {"lr_step": "1 epoch"},
            "An lr step is for the schedule 'step'; with 'cosine' it has no effect.",
        ),
    ],
)
def test_what_a_schedule_cannot_be(name: str, options: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError) as caught:
        course(name, **options)
    assert str(caught.value).startswith(text)


def test_one_step_is_enough_for_one_cycle() -> None:
    optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    assert schedule.make("one-cycle", optimizer, 1, 1) is not None


@pytest.mark.parametrize(
    ("maker", "said"),
    [
        (
            lambda optimizer: schedules.OneCycleLR(optimizer, 0.1, total_steps=19),
            "The schedule OneCycleLR ends after 19 steps, but the run has 20 (2 epochs of 10); give it"
            " total_steps=20.",
        ),
        (
            schedules.StepLR,
            "The schedule StepLR requires step_size; give a function that makes it, as lambda optimizer:"
            " StepLR(optimizer, step_size=…).",
        ),
    ],
)
def test_a_schedule_of_ones_own_that_would_fail_late_is_refused(maker: Any, said: str) -> None:
    optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    with pytest.raises(InputError) as caught:
        schedule.make(maker, optimizer, 2, 10)
    assert str(caught.value) == said
    assert schedule.make(lambda o: schedules.OneCycleLR(o, 0.1, total_steps=20), optimizer, 2, 10)
    assert schedule.make(schedules.ConstantLR, optimizer, 2, 10)


def test_an_option_that_does_nothing_is_refused() -> None:
    optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    with pytest.raises(
        InputError, match=r"^An lr factor is for the schedule 'step'; with 'cosine' it has no effect"
    ):
        schedule.make("cosine", optimizer, 2, 10, lr_factor=0.5)

    def own(optimizer: Any) -> Any:
        return torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)

    for options, what in (
        ({"warmup": "3 steps"}, "warm-up"),
        ({"lr_step": "3 steps"}, "lr step"),
        ({"lr_factor": 0.5}, "lr factor"),
    ):
        with pytest.raises(
            InputError, match=f"^The {what} applies only to a schedule given by name; leave it out"
        ):
            schedule.make(own, optimizer, 2, 10, **options)  # type: ignore[arg-type]


def test_a_warning_of_the_models_own_is_shown_once(recwarn: pytest.WarningsRecorder) -> None:
    warnings.simplefilter("default")
    p = torch.nn.Parameter(torch.zeros(1))
    p.grad = torch.zeros(1)
    optimizer = SGD([p], lr=2.0)
    scheduler = schedule.make("cosine", optimizer, 2, 10, warmup="4 steps")
    assert scheduler is not None

    def forward() -> None:
        warnings.warn("of the model's own", stacklevel=1)

    for _ in range(16):
        forward()
        optimizer.step()
        scheduler.step()
    assert 1 <= len([w for w in recwarn if "own" in str(w.message)]) <= 2  # once more after the warm-up


@pytest.mark.parametrize("lr", [0.5, torch.tensor(0.5)])
@pytest.mark.parametrize("name", ["cosine", "one-cycle", "warm-up"])
def test_a_lent_optimizer_is_what_it_was(name: str, lr: Any) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr, momentum=0.9)
    before = dict(optimizer.param_groups[0])
    with schedule.lent(optimizer):
        made = schedule.make(name, optimizer, 2, 10)
        assert made is not None
        for _ in range(20):
            optimizer.step()
            made.step()
        assert "initial_lr" in optimizer.param_groups[0]
    assert optimizer.param_groups[0] == before
    assert float(optimizer.param_groups[0]["lr"]) == 0.5


def test_what_torchs_other_schedules_write_is_put_back_too() -> None:
    optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=0.5, momentum=0.9)
    before = dict(optimizer.param_groups[0])
    for make in (
        lambda o: torch.optim.swa_utils.SWALR(o, 0.01),
        lambda o: torch.optim.lr_scheduler.CyclicLR(o, 0.001, 0.1, 5),
        lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=20),
    ):
        with schedule.lent(optimizer):
            made = make(optimizer)  # type: ignore[no-untyped-call]
            optimizer.step()
            made.step()
        assert optimizer.param_groups[0] == before


def test_what_an_optimizer_counts_in_its_groups_is_its_own() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    with schedule.lent(optimizer):
        optimizer.param_groups[0]["k"] = 3
    assert optimizer.param_groups[0]["k"] == 3
