"""Impulse responses against what conventions say of the first step, and against geometric series."""

from __future__ import annotations

import pytest

from surefoot.errors import InputError
from surefoot.plot.impulse import impulses, response
from surefoot.rules import rule

MU, TAU = 0.75, 0.25


@pytest.mark.parametrize(
    ("rule", "options", "gain"),
    [
        ("torch", {"momentum": MU}, 1),
        ("torch", {"momentum": MU, "dampening": TAU}, 1),  # torch's first step is undampened
        ("mlx", {"momentum": MU, "dampening": TAU}, 1 - TAU),
        ("keras", {"momentum": MU, "nesterov": True}, 1 + MU),
        ("ema", {"momentum": MU}, 1 - MU),
        ("muon", {"momentum": MU}, 1 - MU**2),
        ("chainer_nag", {"momentum": MU}, 1 + MU + MU**2),
        ("ema_corrected", {"momentum": MU}, 1),
        ("heavy_ball", {"momentum": MU}, 1),
    ],
)
def test_the_gain_at_step_1(rule: str, options: dict[str, float], gain: float) -> None:
    assert response(rule, steps=3, lr=0.5, **options)[0] == pytest.approx(gain)


def test_momentum_decays_geometrically_and_sums_to_its_gain() -> None:
    moves = response("torch", steps=200, lr=0.1, momentum=MU)
    assert moves == pytest.approx([MU**t for t in range(200)])
    assert sum(moves) == pytest.approx(1 / (1 - MU))
    later = response("torch", steps=3, after=2, lr=0.1, momentum=MU, dampening=TAU)
    assert later == pytest.approx([(1 - TAU) * MU**t for t in range(3)])


def test_the_picture_has_a_line_per_rule_with_those_numbers() -> None:
    figure = impulses(
        {"plain": ("torch", {"lr": 0.1}), "momentum": ("torch", {"lr": 0.1, "momentum": MU})}, steps=10
    )
    each, total = figure.axes
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["plain", "momentum"]
    assert each.get_lines()[1].get_ydata() == pytest.approx([MU**t for t in range(10)])
    assert total.get_lines()[1].get_ydata()[-1] == pytest.approx((1 - MU**10) / (1 - MU))


@pytest.mark.parametrize(
    ("draw", "sentence"),
    [
        (lambda: impulses({}), "There is no rule to plot; give at least one."),
        (lambda: response("torch", steps=0, lr=1), "steps is 0, but an impulse response needs at least 1."),
        (
            lambda: response(rule(lambda w, g, *, rate: w - rate * g), rate=1),
            "The rule '<lambda>' takes rate, weight_decay, decay, lr_max, maximize, but no lr, and a "
            "response is given in units of lr.",
        ),
        (lambda: response("torch", lr=0), "lr is 0, so nothing would move; give an lr above 0."),
    ],
)
def test_bad_input(draw: object, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        draw()  # type: ignore[operator]
    assert str(caught.value) == sentence
