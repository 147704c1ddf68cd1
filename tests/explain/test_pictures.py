"""Pictures of explanations: the right data under the right names."""

from __future__ import annotations

from typing import Any

import pytest

from surefoot.errors import InputError
from surefoot.explain import Explanation, explain
from surefoot.explain.pictures import picture

BOWL: dict[str, Any] = {"f": "x**2/2 + 8*y**2", "at": {"x": -3, "y": 1}, "lr": 0.05, "steps": 4}


def work(rule: Any = "torch", **options: Any) -> Explanation:
    return explain(rule, **{**BOWL, **options})


def legend(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_several_settings_over_each_other() -> None:
    figure = picture("path", work(), work(momentum=0.5), work(momentum=0.5, nesterov=True), work(lr=0.1))
    assert legend(figure) == [
        "lr 0.05, momentum 0",
        "lr 0.05, momentum 0.5",
        "lr 0.05, momentum 0.5, nesterov",
        "lr 0.1, momentum 0",
        "last step",
    ]
    assert figure.axes[0].get_lines()[0].get_xdata()[1] == pytest.approx(-3 * 0.95)


def test_several_rules_side_by_side() -> None:
    figure = picture("over-time", work(["torch", "keras"], momentum=0.5))
    assert legend(figure) == ["torch", "keras"]
    assert [panel.get_ylabel() for panel in figure.axes] == ["gradient", "buffer", "step Δx"]


def test_an_option_that_one_rule_alone_has_is_told() -> None:
    both = work(["heavy_ball", "sgd"], momentum=0.5, nesterov=True)
    assert legend(picture("path", both)) == ["heavy_ball", "torch, nesterov", "last step"]
    alone = work("heavy_ball", momentum=0.5), work(momentum=0.5, nesterov=True)
    assert legend(picture("path", *alone)) == ["heavy_ball", "torch, nesterov", "last step"]
    dampened = work(["heavy_ball", "sgd"], momentum=0.5, dampening=0.25)
    assert legend(picture("over-time", dampened)) == ["heavy_ball", "torch, dampening 0.25"]


def test_a_rule_and_the_optimizer_recorded_beside_it() -> None:
    import torch

    figure = picture("path", work("keras", momentum=0.5, optimizer=torch.optim.SGD))
    assert legend(figure) == ["keras", "SGD in float64", "last step"]
    both = [work(momentum=m, optimizer=torch.optim.SGD) for m in (0, 0.5)]
    assert legend(picture("over-time", *both)) == [
        "momentum 0",
        "momentum 0.5",
        "SGD in float64 1",
        "SGD in float64 2",
    ]


def test_the_rates_of_an_average_are_those_of_the_sum_it_is() -> None:
    panel = picture("rates", work("ema", momentum=0.75, lr=0.4)).axes[0]
    (here,) = [line for line in panel.get_lines() if line.get_marker() == "X"]
    assert (*here.get_xdata(), *here.get_ydata()) == pytest.approx((0.1, 0.75))


def test_values_of_f_over_the_steps() -> None:
    figure = picture("value", work(), work(momentum=0.5))
    assert legend(figure) == ["momentum 0", "momentum 0.5"]
    line = figure.axes[0].get_lines()[0]
    assert [*line.get_xdata()] == [0, 1, 2, 3, 4]
    x, y = -3 * 0.95, 1 - 0.05 * 16
    assert [*line.get_ydata()][:2] == pytest.approx([12.5, x**2 / 2 + 8 * y**2])


def test_a_page_of_html_holds_f_over_the_steps() -> None:
    image = 'alt="f over the steps" src="data:image/svg+xml;base64,'
    assert image in work().html()
    assert image not in work().html(page=False) + work().html(pictures=())
    assert 'alt="path over the contours of f"' in work().html(pictures=["path"])
    given = explain("sgd", at={"w": 1}, gradients=[{"w": 1}])
    assert "<img" not in given.html()


def test_impulse() -> None:
    assert legend(picture("impulse", work(momentum=0.5), work("adam"))) == ["torch, momentum 0.5", "adam"]


def test_rates_of_plain_and_of_nesterov_momentum() -> None:
    texts = [t.get_text() for t in picture("rates", work(momentum=0.5)).axes[0].texts]
    assert texts == ["unstable", "here", "best: rate 0.6\nlr 0.16, μ 0.36"]
    figure = picture("rates", work(momentum=0.5, nesterov=True))
    assert figure.axes[0].get_title() == "Nesterov momentum, κ = 16"


BAD: list[tuple[Any, str]] = [
    (
        lambda: picture("value", explain("sgd", at={"w": 1}, gradients=[{"w": 1}])),
        "Values are drawn of an f, but here the gradients were given.",
    ),
    (
        lambda: picture("paths", work()),
        "Unknown picture 'paths'; did you mean 'path'? Known: impulse, over-time, path, rates, value.",
    ),
    (lambda: picture("path"), "There is no explanation to plot; give at least one."),
    (
        lambda: picture("rates", work("adam")),
        "There is no map of rates for Adam: it is not momentum on gradients.",
    ),
    (
        lambda: picture("rates", work(), work(momentum=0.5, nesterov=True)),
        "Classical and Nesterov momentum have different maps of rates; plot them separately.",
    ),
    (
        lambda: picture("rates", explain(f="x**4", at={"x": 1}, lr=1)),
        "A map of rates requires a quadratic f with a minimum.",
    ),
    (
        lambda: picture("rates", work(), work(f="x**2 + 8*y**2")),
        "The rates in one plot must have the same f, but f is x**2/2 + 8*y**2 and x**2 + 8*y**2; "
        "plot them separately.",
    ),
    (
        lambda: picture("path", work(), work(f="x**2 + 8*y**2")),
        "The contours in one plot must have the same f, but f is x**2/2 + 8*y**2 and x**2 + 8*y**2; "
        "plot them separately.",
    ),
    (
        lambda: picture("path", explain(f="x**4", at={"x": 1}, lr=1)),
        "A path is drawn of two numbers, but there is 1: x.",
    ),
]


@pytest.mark.parametrize(("draw", "sentence"), BAD)
def test_bad_input(draw: Any, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        draw()
    assert str(caught.value) == sentence


def test_one_f_from_two_starts_and_written_in_two_ways_is_one() -> None:
    other = work(f="x**2/2+8*y**2", at={"x": 2, "y": 1}, lr=0.1)
    assert legend(picture("path", work(), other)) == ["lr 0.05", "lr 0.1", "last step"]
    assert picture("over-time", work(), work(f="x**2 + 8*y**2", lr=0.1)).axes


def test_an_explanation_draws_itself() -> None:
    assert legend(work().plot("path", work(lr=0.1))) == ["lr 0.05", "lr 0.1", "last step"]


def test_something_else_beside_an_explanation() -> None:
    e = explain("sgd", f="x**2", at={"x": 1}, autograd=False)
    with pytest.raises(InputError) as caught:
        e.plot("value", "momentum")  # type: ignore[arg-type]
    assert str(caught.value) == "Only explanations are plotted together, from explain(…), not 'momentum'."
