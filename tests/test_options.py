"""Options of the form name=value."""

import pytest
import torch

from surefoot.errors import InputError
from surefoot.options import parse_options


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("0.5", 0.5),
        ("1e-3", 1e-3),
        ("true", True),
        ("None", None),
        ("(0.5,0.75)", (0.5, 0.75)),
        ("0.5,0.75", (0.5, 0.75)),
        ("[1,2]", (1, 2)),
        ("((1,2),(3,4))", ((1, 2), (3, 4))),
        ("inf", float("inf")),
        ("0.9,inf", (0.9, float("inf"))),
        ("0.9,true", (0.9, True)),
        ("007", 7),
        ("{[1]:2}", "{[1]:2}"),
        ("...", "..."),
        ("torch.float32", torch.float32),
        ("torch.nowhere", "torch.nowhere"),
        ("fast", "fast"),
    ],
)
def test_options_are_read(text, value):
    assert parse_options([f"name={text}"]) == {"name": value}
    assert type(parse_options([f"name={text}"])["name"]) is type(value)


def test_an_option_given_twice_is_refused():
    with pytest.raises(InputError, match="'lr' is given twice"):
        parse_options(["lr=1", "lr=2"])


@pytest.mark.parametrize("text", ["betas", "=3", "a b=3", ""])
def test_what_is_no_option(text):
    with pytest.raises(InputError) as caught:
        parse_options([text])
    assert str(caught.value) == f"The option {text!r} is not of the form name=value, such as momentum=0.9."


def test_blanks_and_mappings():
    assert parse_options(["eps = 1e-3", "kinds={'a': 1}"]) == {"eps": 1e-3, "kinds": {"a": 1}}
