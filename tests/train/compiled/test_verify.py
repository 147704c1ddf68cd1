"""Two ways to take a step, from the same place."""

from __future__ import annotations

import warnings

import pytest
import torch

from surefoot.train.compiled.verify import difference, on_trial, unchanged
from surefoot.train.steps.mean import NO_MEAN

LOSS = torch.tensor(1.0)


def test_everything_is_put_back_whatever_happens():
    w, count, random = torch.ones(3, requires_grad=True), torch.tensor(2), torch.get_rng_state()
    place = w.data_ptr()
    with pytest.raises(ZeroDivisionError), unchanged([w, count]) as before:  # noqa: PT012
        with torch.no_grad():
            w.add_(torch.rand(3))
        count.add_(1)
        assert [t.tolist() for t in before] == [[1, 1, 1], 2]
        raise ZeroDivisionError
    assert (w.tolist(), count.item(), w.data_ptr()) == ([1, 1, 1], 2, place)
    assert torch.equal(torch.get_rng_state(), random)


def moves(w, by, loss=LOSS):
    def step():
        w.add_(by)
        return loss

    return step


@pytest.mark.parametrize(
    ("start", "ours", "eager", "said"),
    [
        (1.0, 1e-4, 1e-4, None),
        (1.0, 1e-4, 1.0005e-4, None),
        (1.0, 1e-4, 2e-4, "a tensor of shape (2,) is off by 0.0001; rounding is 7.83e-06"),
        (1.0, float("nan"), 1e-4, "a tensor of shape (2,) is off by nan; rounding is 7.73e-06"),
        (1, 1, 1, None),
        (1, 1, 2, "an integer tensor of shape (2,) differs"),
    ],
)
def test_steps_part_where_they_move_otherwise(start, ours, eager, said):
    w = torch.tensor([start, start])
    assert difference([w], moves(w, ours), moves(w, eager)) == said


def test_losses_are_compared_and_random_numbers_the_same():
    w = torch.zeros(1)
    assert difference([w], moves(w, 1, LOSS), moves(w, 1, LOSS + 0.1)) is not None
    assert difference([w], lambda: torch.rand(2), lambda: torch.rand(2)) is None


def test_what_a_run_will_say_is_not_said_on_trial():
    random = torch.get_rng_state()
    with on_trial(torch.device("cpu")):
        torch.rand(1)
        warnings.warn(f"{NO_MEAN} 1, but 2", stacklevel=1)
        with pytest.raises(UserWarning, match="another"):
            warnings.warn("another", stacklevel=1)
    assert torch.equal(torch.get_rng_state(), random)
