"""The theory of quadratics against the rules themselves: every formula is met again in exact replays."""

from __future__ import annotations

import textwrap
from fractions import Fraction
from math import inf, nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.errors import InputError
from surefoot.explain import explain
from surefoot.explain.problem.parse import parse
from surefoot.explain.quadratic.quadratic import Quadratic
from surefoot.explain.quadratic.roots import characteristic, gap, radius, stable
from surefoot.explain.quadratic.theory import report
from surefoot.explain.quadratic.transition import transition
from surefoot.rules import get
from surefoot.rules import rule as make_rule
from surefoot.trace import Script, replay

GOLDEN = Path(__file__).parents[2] / "golden"

fractions = st.integers(0, 40).map(lambda n: Fraction(n, 20))
momenta = st.integers(0, 19).map(lambda n: Fraction(n, 20))

# name -> its hyperparameters -> the lr it has as classical momentum or Nesterov's
FAMILY = {
    "torch": lambda lr, mu: ({"lr": lr, "momentum": mu, "dampening": 0.25}, lr * 3 / 4 if mu else lr),
    "mlx": lambda lr, mu: ({"lr": lr, "momentum": mu, "dampening": 0.25}, lr * 3 / 4 if mu else lr),
    "optax": lambda lr, mu: ({"lr": lr, "momentum": mu}, lr),
    "keras": lambda lr, mu: ({"lr": lr, "momentum": mu}, lr),
    "classical": lambda lr, mu: ({"lr": lr, "momentum": mu}, lr),
    "heavy_ball": lambda lr, mu: ({"lr": lr, "momentum": mu}, lr),
    "ema": lambda lr, mu: ({"lr": lr, "momentum": mu}, lr * (1 - mu)),
    "ema_first": lambda lr, mu: ({"lr": lr, "momentum": mu}, lr * (1 - mu)),
}  # fmt: skip
NESTEROV = {
    "torch": lambda lr, mu: ({"lr": lr, "momentum": mu, "nesterov": True}, lr),
    "optax": lambda lr, mu: ({"lr": lr, "momentum": mu, "nesterov": True}, lr),
    "keras": lambda lr, mu: ({"lr": lr, "momentum": mu, "nesterov": True}, lr),
    "sutskever": lambda lr, mu: ({"lr": lr, "momentum": mu}, lr),
    "muon": lambda lr, mu: ({"lr": lr, "momentum": mu}, lr * (1 - mu)),
}


def trace_and_determinant(matrix: Any) -> tuple[Fraction, Fraction]:
    if len(matrix) == 1:  # no buffer: the other eigenvalue is 0
        return matrix[0][0], Fraction(0)
    (a, b), (c, d) = matrix
    return a + d, a * d - b * c


@pytest.mark.parametrize(
    ("name", "nesterov"), [*((n, False) for n in FAMILY), *((n, True) for n in NESTEROV)]
)
@given(lr=fractions.filter(bool), momentum=momenta, curvature=fractions)
def test_the_characteristic_polynomial_is_that_of_the_rule(
    name: str, nesterov: bool, lr: Fraction, momentum: Fraction, curvature: Fraction
) -> None:
    options, same_lr = (NESTEROV if nesterov else FAMILY)[name](lr, momentum)
    rule = get(name)
    matrix = transition(rule, rule.hyper(**options), curvature)
    assert trace_and_determinant(matrix) == characteristic(same_lr, momentum, curvature, nesterov=nesterov)


@pytest.mark.parametrize("name", [*FAMILY, "sutskever", "muon", "chainer_nag"])
def test_the_matrix_gives_the_replay_exactly(name: str) -> None:
    rule, curvature = get(name), Fraction(3)
    h = rule.hyper(lr=0.1, momentum=0.75)
    f = parse("3*w**2/2", {"w": 2})
    replayed = replay(Script.of(f.start, function=f, steps=6, lr=0.1, momentum=0.75), rule)
    matrix = transition(rule, h, curvature)
    assert matrix is not None
    state = replayed.steps[0]
    vector = [state.w["w"], *state.state["w"].values()]
    for step in replayed.steps[1:]:
        vector = [sum(m * x for m, x in zip(row, vector, strict=True)) for row in matrix]
        assert vector == [step.w["w"], *step.state["w"].values()]


@given(
    lr=fractions,
    momentum=momenta,
    curvature=st.integers(1, 40).map(lambda n: Fraction(n, 10)),
    nesterov=st.booleans(),
)
def test_stable_where_the_known_condition_says_and_where_the_radius_is_below_1(
    lr: Fraction, momentum: Fraction, curvature: Fraction, nesterov: bool
) -> None:
    limit = 2 * (1 + momentum) / (1 + 2 * momentum if nesterov else 1)
    pair = characteristic(lr, momentum, curvature, nesterov=nesterov)
    assert stable(*pair) == (0 < lr * curvature < limit)
    rho = radius(*pair)
    assert rho == pytest.approx(max(abs(np.roots([1, -float(pair[0]), float(pair[1])]))), abs=1e-6)
    if abs(rho - 1) > 1e-6:
        assert stable(*pair) == (rho < 1)


@given(
    lr=fractions,
    momentum=st.integers(20, 60).map(lambda n: Fraction(n, 20)),
    curvature=st.integers(1, 40).map(lambda n: Fraction(n, 10)),
)
def test_nesterov_may_be_stable_beyond_momentum_1(
    lr: Fraction, momentum: Fraction, curvature: Fraction
) -> None:
    torch = get("torch")
    said = report(
        Quadratic((curvature,)), torch, torch.hyper(lr=lr, momentum=momentum, nesterov=True)
    )[1]  # fmt: skip
    holds = 1 - 1 / momentum < lr * curvature < 2 * (1 + momentum) / (1 + 2 * momentum)
    assert said.startswith("Stable: " if holds else "Unstable: ")
    assert stable(*characteristic(lr, momentum, curvature, nesterov=True)) == holds
    assert not stable(*characteristic(lr, momentum, curvature))


@pytest.mark.parametrize("nesterov", [False, True])
@given(
    lr=st.floats(1e-3, 1.99),
    curvatures=st.tuples(st.floats(1e-4, 1), st.just(1.0), st.floats(1e-4, 1)),
)
def test_no_momentum_is_better_than_the_best_with_an_lr(
    nesterov: bool, lr: float, curvatures: tuple[float, ...]
) -> None:
    lr = lr if nesterov else 2 * lr
    f = Quadratic(curvatures)
    best = f.best_momentum(lr, nesterov=nesterov)
    assert best.rate == pytest.approx(f.rate(lr, best.momentum, nesterov=nesterov), abs=1e-6)
    assert best.rate == pytest.approx(1 - best.gap)
    assert best.rate <= f.rate(lr, np.linspace(0, 0.9999, 2000), nesterov=nesterov).min() + 1e-7


def test_the_best_momentum_with_the_best_lr_is_the_best_there_is() -> None:
    f = Quadratic((1, 20))
    _, nesterov, heavy = f.best()
    for known in (nesterov, heavy):
        found = f.best_momentum(known.lr, nesterov=known.nesterov)
        assert (found.momentum, found.rate) == pytest.approx((known.momentum, known.rate))
    for lr in (0, 0.2):
        with pytest.raises(InputError, match=f"lr is {lr}; only an lr between 0 and 0.2 is stable"):
            f.best_momentum(lr)
    with pytest.raises(InputError, match="There is no best momentum: f has no minimum"):
        Quadratic((-1, 1)).best_momentum(0.1)


def test_with_an_lr_its_best_momentum_is_said_where_the_lr_means_the_same_at_each() -> None:
    f, line = Quadratic((1, 20)), "With this lr the best momentum is 0.6028: rate 0.7764."
    for name, options in (("torch", {}), ("keras", {"momentum": 0.5}), ("heavy_ball", {"momentum": 2})):
        assert line in f.report(get(name), get(name).hyper(lr=0.05, **options))
    for name, options in (
        ("ema", {}),
        ("torch", {"momentum": 0.5, "dampening": 0.5}),
        ("torch", {"lr": 0.3}),
    ):
        said = f.report(get(name), get(name).hyper(**{"lr": 0.05, **options}))
        assert not any("With this lr" in x for x in said)


def test_dampening_1_leaves_the_first_gradient_alone() -> None:
    def ends(gradients: list[Any]) -> Fraction:
        script = Script.of(
            {"w": 1}, gradients=[{"w": g} for g in gradients], lr=0.1, momentum=0.5, dampening=1
        )
        return replay(script, "torch").steps[-1].w["w"]

    assert ends([1, 5, 7]) == ends([1, 0, 0]) != 1


def test_the_rate_with_weight_decay_is_that_of_the_flat_direction() -> None:
    f = parse("(x + y)**2", {"x": 1, "y": "-0.5"})
    steps = replay(Script.of(f.start, function=f, steps=40, lr=0.1, weight_decay=0.1), "torch").steps
    assert steps[-1].w["x"] / steps[-2].w["x"] == pytest.approx(0.99, abs=1e-6)
    torch = get("torch")
    said = report(Quadratic.of(f), torch, torch.hyper(lr=0.1, weight_decay=0.1))
    assert "It is flat in 1 direction, along which only weight decay moves w." in said
    assert any("the error by 0.99 (at h = 0)" in line for line in said)


@pytest.mark.parametrize("nesterov", [False, True])
def test_at_the_border_the_error_neither_grows_nor_shrinks(nesterov: bool) -> None:
    momentum, curvature = Fraction(1, 2), Fraction(4)
    limit = 2 * (1 + momentum) / (1 + 2 * momentum if nesterov else 1) / curvature
    assert radius(*characteristic(limit, momentum, curvature, nesterov=nesterov)) == 1
    inside, outside = Quadratic((curvature,)), Quadratic((curvature * 101 / 100,))
    assert inside.stable(limit * 99 / 100, momentum, nesterov=nesterov)
    assert not outside.stable(limit, momentum, nesterov=nesterov)


@pytest.mark.parametrize("condition", [1, 2, 10, 100, 1000])
def test_the_best_settings_have_the_rate_they_claim_and_no_other_has_a_better(condition: float) -> None:
    f = Quadratic((0.5, 0.5 * condition))
    lr = np.linspace(0, 4 / f.largest, 401)[:, None]
    momentum = np.linspace(0, 0.999, 334)
    for best in f.best():
        assert f.rate(best.lr, best.momentum, nesterov=best.nesterov) == pytest.approx(best.rate, abs=1e-7)
        others = f.rate(lr, momentum * (best.method != "gradient descent"), nesterov=best.nesterov)
        assert best.rate <= np.min(others) + 1e-9


def test_the_rate_is_what_the_replay_shows_in_the_end() -> None:
    f = parse("(x**2 + 25*y**2)/2", {"x": 1, "y": 1})
    quadratic = Quadratic.of(f)
    assert quadratic == Quadratic((1, 25))
    w = [
        s.w["x"]
        for s in replay(
            Script.of(f.start, function=f, steps=400, lr=0.04, momentum=0.25), "torch", float
        ).steps
    ]
    assert w[-1] / w[-2] == pytest.approx(quadratic.rate(0.04, 0.25), rel=1e-6)


def test_flat_and_level_is_not_flat_and_sloped() -> None:
    level = Quadratic.of(parse("(a + b)**2 + a + b", {"a": 1, "b": 2}))
    sloped = Quadratic.of(parse("(a + b)**2 + a", {"a": 1, "b": 2}))
    assert level is not None
    assert sloped is not None
    assert (level.sloped, level.convex) == (False, True)
    assert (sloped.sloped, sloped.convex) == (True, False)
    assert level.curvatures == sloped.curvatures
    torch = get("torch")
    assert report(sloped, torch, torch.hyper()) == [
        "f is quadratic; its curvatures h, the eigenvalues of its Hessian, are 0 and 4. "
        "It has a slope in a direction without curvature, so it has no minimum."
    ]
    line = Quadratic.of(parse("a + 2*b", {"a": 1, "b": 2}))
    assert line is not None
    assert report(line, torch, torch.hyper()) == ["f is linear: it has no curvature, and no minimum."]


def test_a_quadratic_beyond_floats_is_left_alone() -> None:
    assert Quadratic.of(parse("1e300*a**2", {"a": 1})) is None


def test_a_matrix_and_a_problem_are_the_same_quadratic() -> None:
    f = parse("mean(([[1, 2], [0, 3]] @ x - [1, 1])**2)", {"x": [0, 0]})
    h = np.array([[1, 2], [0, 3]])
    quadratic = Quadratic.of(f)
    assert quadratic is not None
    assert quadratic.curvatures == pytest.approx(np.linalg.eigvalsh(h.T @ h))
    assert Quadratic.of(parse("x**4", {"x": 1})) is None
    assert Quadratic.of(parse("(x + y)**2", {"x": 1, "y": 1})).curvatures == (0.0, pytest.approx(4.0))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Quadratic(()), "A quadratic requires at least one curvature."),
        (
            lambda: Quadratic.of_matrix([[1, 2], [3, 4]]),
            "A Hessian must be symmetric, but H[1][0] is 3 and H[0][1] is 2.",
        ),
        (
            lambda: Quadratic.of_matrix([[1, 2]]),
            "A Hessian must be square, but it has shape (1, 2).",
        ),
        (
            lambda: Quadratic((-1, 2)).best(),
            "There is no best lr: f has no minimum, its curvatures are −1 and 2.",
        ),
        (lambda: Quadratic(("a",)), "Curvatures must be finite numbers, as in (1, 20), but one is 'a'."),
        (lambda: Quadratic((nan, 1)), "Curvatures must be finite numbers, as in (1, 20), but one is nan."),
        (lambda: Quadratic((1, inf)), "Curvatures must be finite numbers, as in (1, 20), but one is inf."),
        (lambda: Quadratic(5), "Curvatures must be finite numbers, as in (1, 20), but one is 5."),
    ],
)
def test_bad_input(make: Any, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value) == sentence


def test_a_buffer_that_is_never_read_has_no_say() -> None:
    rule = get("mlx")  # keeps its buffer even at momentum 0
    assert transition(rule, rule.hyper(lr=Fraction(1, 4)), Fraction(2)) == ((Fraction(1, 2),),)


@pytest.mark.parametrize("name", ["adam", "lion", "signsgd", "ema_corrected"])
def test_a_rule_that_is_not_linear_has_no_matrix(name: str) -> None:
    rule = get(name)
    assert transition(rule, rule.hyper(lr=0.1), Fraction(2)) is None


def test_a_rule_that_divides_by_its_gradient_has_no_matrix() -> None:
    @make_rule
    def normalized(w, g, *, lr=0.1):
        """Normalised gradient descent."""
        return w - lr * g / abs(g)

    assert transition(normalized, normalized.hyper(lr=0.1), Fraction(2)) is None
    said = str(explain(normalized, "w**2", at={"w": 1}, steps=1, autograd=False))
    assert "its step is not a fixed linear map of w and state, so there is no such rate." in " ".join(
        said.split()
    )


def test_a_flat_direction_makes_the_condition_number_infinite() -> None:
    torch, flat = get("torch"), Quadratic((0, 2, 8))
    assert (flat.condition, Quadratic((2, 8)).condition) == (inf, 4)
    said = report(flat, torch, torch.hyper(lr=0.1, momentum=0.5))
    assert said[0].endswith("its condition number is κ = ∞.")
    assert "The best there is where f is not flat, for κ = 4:" in said
    bowl = explain(f="(x+y)**2", at={"x": 1, "y": 2}, lr=0.1, momentum=0.5, autograd=False)
    assert bowl.plot("rates").axes[0].get_title().endswith("κ = 1 where f is not flat")


@pytest.mark.parametrize("curvatures", [(1,), ("1/2", 1)])
def test_a_double_root_on_the_unit_circle_makes_the_error_grow(curvatures: tuple[Any, ...]) -> None:
    ball = get("heavy_ball")
    f = Quadratic(tuple(map(Fraction, curvatures)))
    said = " ".join(report(f, ball, ball.hyper(lr=4, momentum=1)))
    assert "the error grows by the same amount in each step (at h = 1, where −1 is a double root)" in said
    below = " ".join(report(f, ball, ball.hyper(lr=3, momentum=1)))
    assert "multiplies the error by 1 (at h = " in below
    problem = parse("x**2/2", {"x": 1})
    steps = replay(Script.of(problem.start, function=problem, steps=3, lr=4, momentum=1), "heavy_ball").steps
    assert [s.w["x"] for s in steps] == [-3, 5, -7]


REPORTS: list[tuple[tuple[Any, ...], str, dict[str, Any]]] = [
    ((1, 100), "torch", {"lr": 0.01, "momentum": 0.9}),
    ((1, 100), "torch", {"lr": 0.05}),
    ((1, 100), "torch", {"lr": 0.01, "momentum": 1}),
    ((1, 20, 100), "keras", {"lr": 0.02, "momentum": 0.9, "nesterov": True}),
    ((0, 2, 8), "ema", {"lr": 0.1, "momentum": 0.9}),
    ((2, 8), "mlx", {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "weight_decay": 1}),
    ((2, 8), "torch", {"lr": 0.1, "weight_decay": 1, "decay": "decoupled"}),
    ((2, 8), "chainer_nag", {"lr": 0.2, "momentum": 0.9}),
    ((2, 8), "torch", {"lr": 0.1, "maximize": True}),
    ((2, 8), "adam", {}),
    ((3,), "torch", {"lr": "1/3"}),
    ((-1, 2), "torch", {"lr": 0.1}),
    ((1, 2), "torch", {"lr": 0}),
    ((1, 2), "torch", {"lr": 0.1, "momentum": 0.5, "dampening": 2}),
    ((0,), "torch", {"lr": 0.1}),
    ((1, 2), "torch", {"lr": 1e-3}),
    ((1, 2), "torch", {"lr": 1e200}),
    ((0, 4), "torch", {"lr": 0.1, "weight_decay": 0.1}),
    ((0, 0, 4), "torch", {"lr": 0.1, "weight_decay": 0.1, "decay": "decoupled"}),
    ((1, 2), "torch", {"lr": 0.1, "momentum": 1, "nesterov": True}),
    ((1, 2), "torch", {"lr": 2, "momentum": 1, "nesterov": True}),
    ((1, 2), "keras", {"lr": 0.1, "momentum": 1.25, "nesterov": True}),
    ((1, 2), "keras", {"lr": 0.4, "momentum": 1.25, "nesterov": True}),
    ((1, 100), "keras", {"lr": 0.1, "momentum": 1.25, "nesterov": True}),
    ((2,), "torch", {"lr": 0.01, "momentum": 0.9, "dampening": 1}),
    ((2,), "mlx", {"lr": 0.01, "momentum": 0.9, "dampening": 1}),
    ((2, 2), "torch", {"lr": 0.1}),
    ((2, 8), "caffe", {"lr": 0.1, "momentum": 0.9, "weight_decay": 1}),
]


def tell_reports() -> str:
    told = []
    for curvatures, name, options in REPORTS:
        rule = get(name)
        h = rule.hyper(
            **{k: Fraction(v) if isinstance(v, str) and "/" in v else v for k, v in options.items()}
        )
        told.append(
            f"{curvatures} {name} {options}\n" + "\n".join(report(Quadratic(curvatures), rule, h)) + "\n"
        )
    return "\n".join(told)


def test_reports() -> None:
    assert tell_reports() == (GOLDEN / "quadratic_reports.txt").read_text(encoding="utf-8")


def test_the_docs_show_what_the_code_says() -> None:
    page = (Path(__file__).parents[3] / "docs" / "quadratic.md").read_text(encoding="utf-8")
    torch = get("torch")
    lines = Quadratic((1, 20)).report(torch, torch.hyper(lr=0.05, momentum=0.8))
    assert "\n".join(textwrap.fill(line, 95) for line in lines) in page


if __name__ == "__main__":  # write the golden text anew
    (GOLDEN / "quadratic_reports.txt").write_text(tell_reports(), encoding="utf-8")


def test_what_is_best_for_gradient_descent_is_not_said_of_lion() -> None:
    lion = get("lion")
    assert (
        Quadratic((1, 1))
        .report(lion, lion.hyper(lr=0.1))[-1]
        .startswith("The best there is for gradient descent: lr 1/h = 1")
    )


def test_flat_directions_are_counted_exactly() -> None:
    almost = Quadratic.of_matrix([[1, 1], [1, 1 + Fraction(2, 10**13)]])
    assert almost.curvatures[0] == pytest.approx(1e-13, rel=1e-9)
    level = Quadratic.of_matrix(
        [[Fraction(4, 3) if i == j else Fraction(-2, 3) for j in range(3)] for i in range(3)]
    )
    assert level.curvatures == (0.0, 2.0, 2.0)
    assert level.condition == inf
    assert [round(x.rate, 12) for x in level.best()] == [0, 0, 0]
    x = np.random.default_rng(0).normal(size=(40, 2))
    x = np.hstack([x, x[:, :1] + x[:, 1:]])  # collinear, up to rounding
    gram = Quadratic.of_matrix((x.T @ x).tolist())
    assert gram.curvatures[0] == 0
    assert gram.convex
    large = Quadratic.of_matrix([[int(i == j) + 1 for j in range(20)] for i in range(20)])
    assert large.curvatures[-1] == pytest.approx(21)


@pytest.mark.parametrize(
    ("f", "rule", "options", "said"),
    [
        (Quadratic((2, 2 * 10**17)), "torch", {"lr": 1e-18}, "multiplies the error by 1 − 2e-18 (at h = 2)"),
        (Quadratic((2, 2 * 10**17)), "torch", {"lr": 1e-18}, "1 − 2e-17     1.15e+17       Polyak 1987"),
        (Quadratic((2, 2 * 10**40)), "heavy_ball", {"lr": 1e-41}, "1 − 2e-20     1.15e+20"),
        (Quadratic((2,)), "torch", {"lr": 1e-20, "momentum": 0.5}, "by 1 − 4e-20 (at h = 2): 5.76e+19 steps"),
        (
            Quadratic((2,)),
            "keras",
            {"lr": 1e-20, "weight_decay": 1e-3},
            "Stable: in the end each step multiplies the error by 1 − 2e-20 (at h = 2): 1.15e+20 steps",
        ),
        (Quadratic((2,)), "torch", {"lr": 1e-20, "momentum": 1}, "it never settles"),
        (
            Quadratic((2,)),
            "torch",
            {"lr": 1, "momentum": 1 + 1e-12},
            "by 1 + 5e-13 (at h = 2): it grows",
        ),
    ],
)
def test_rates_that_round_to_1_are_told_from_it(
    f: Quadratic, rule: str, options: dict[str, Any], said: str
) -> None:
    chosen = get(rule)
    assert said in "\n".join(report(f, chosen, chosen.hyper(**options)))


@given(st.fractions(0, 2, max_denominator=50), momenta, st.booleans())
def test_the_gap_is_1_less_the_radius(product: Fraction, mu: Fraction, nesterov: bool) -> None:
    pair = characteristic(product, mu, Fraction(1), nesterov=nesterov)
    assert gap(*pair) == pytest.approx(1 - float(radius(*pair)), abs=1e-7)
    assert (gap(*pair) > 0) == stable(*pair)
