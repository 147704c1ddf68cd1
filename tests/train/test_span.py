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
        f"validate-every takes a number of steps or epochs, as '50 steps' or '2 epochs', not {text!r}."
    )


@given(st.integers(1, 10**6), st.integers(1, 10**4))
def test_steps_are_steps_whatever_the_epoch(n: int, per_epoch: int) -> None:
    assert Span.parse(f"{n} steps").steps(per_epoch) == n
    assert Span.parse(f"{n} epochs").steps(per_epoch) == n * per_epoch


def test_minutes_where_they_are_taken() -> None:
    assert Span.parse("5 minutes", minutes=True) == Span(5, "minute")
    assert Span.parse("0.5 minute", minutes=True) == Span(0.5, "minute")
    with pytest.raises(InputError, match="validate-every takes a number of steps or epochs"):
        Span.parse("5 minutes", "validate_every")
    with pytest.raises(InputError) as caught:
        Span.parse("5 hours", "checkpoint_every", minutes=True)
    assert str(caught.value) == (
        "checkpoint-every takes a number of steps, epochs or minutes, as '50 steps' or '5 minutes',"
        " not '5 hours'."
    )
