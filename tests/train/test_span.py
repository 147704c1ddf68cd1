from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.errors import InputError
from surefoot.train.span import Span


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("step", 1),
        ("1 step", 1),
        ("50 steps", 50),
        ("50steps", 50),
        ("epoch", 250),
        ("2 epochs", 500),
        ("0.5 epochs", 125),
        (".5 epoch", 125),
        ("0.001 epochs", 1),
    ],
)
def test_a_span_in_steps(text: str, steps: int) -> None:
    assert Span.parse(text).steps(per_epoch=250) == steps


@pytest.mark.parametrize(
    "text",
    ["50", "", "0 steps", "0 epochs", "1.5 steps", "-1 epoch", "50 s", "many steps", f"{'9' * 400} epochs"],
)
def test_what_is_no_span(text: str) -> None:
    with pytest.raises(InputError) as caught:
        Span.parse(text, "validate_every")
    assert str(caught.value) == (
        f"validate-every must be a number of steps or epochs, such as '50 steps' or '2 epochs', not {text!r}."
    )


@given(st.integers(1, 10**6), st.integers(1, 10**4))
def test_steps_are_steps_whatever_the_epoch(n: int, per_epoch: int) -> None:
    assert Span.parse(f"{n} steps").steps(per_epoch) == n
    assert Span.parse(f"{n} epochs").steps(per_epoch) == n * per_epoch


def test_times_where_they_are_taken() -> None:
    for text, seconds in (
        ("second", 1),
        ("30 seconds", 30),
        ("0.5 minute", 30),
        ("5 minutes", 300),
        ("2hours", 7200),
    ):
        assert Span.parse(text, times=True).seconds == seconds
    assert Span.parse("5 steps", times=True).seconds is None
    with pytest.raises(InputError, match="validate-every must be a number of steps or epochs"):
        Span.parse("5 minutes", "validate_every")
    with pytest.raises(InputError) as caught:
        Span.parse("5 days", "checkpoint_every", times=True)
    assert str(caught.value) == (
        "checkpoint-every must be a number of steps, epochs, seconds, minutes or hours, such as '50 steps' or"
        " '5 minutes', not '5 days'."
    )
