"""Every form of an explanation against its golden text; run as a script, this file writes them anew."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from surefoot.explain import Explanation, explain

GOLDEN = Path(__file__).parents[1] / "golden" / "explain"
LECTURE = {"f": "mean(3*a**3 - b**2)", "at": {"a": [2, 3], "b": [6, 4]}, "lr": 1e-3, "steps": 2}
VALLEY = {"f": "(1-x)**2 + 5*(y-x**2)**2", "at": {"x": -1, "y": 1}}


def lecture() -> Explanation:
    return explain("sgd", **LECTURE, momentum=0.9, autograd=True)


def _quadratic() -> Explanation:
    bowl = {"f": "x**2/2 + 8*y**2", "at": {"x": -3, "y": 1}, "autograd": False}
    return explain("heavy_ball", **bowl, lr=0.05, momentum=0.5, weight_decay=0.125)


def _matrix() -> Explanation:
    f = "x@A@x/2 + norm(A)**2 + relu(x[1])"
    return explain(
        "sutskever", f=f, at={"x": [1, 0], "A": [[2, 1], [1, 3]]}, lr=0.125, momentum=0.5, autograd=False
    )


def _data() -> Explanation:
    data = {"X": [[1, 1], [1, 2], [1, 4]], "y": [2, 3, 4]}
    options = {"lr": 0.05, "momentum": 0.9, "autograd": False}
    return explain("sgd", f="mean((X@w - y)**2)", at={"w": [0, 0]}, fixed=data, **options)


def _optimizer() -> Explanation:
    import torch

    class Mine(torch.optim.SGD):
        """What a student may hand in: Nesterov is always on."""

        def __init__(self, params, **options):
            super().__init__(params, **{**options, "nesterov": True})

    return explain("sgd", f="a**2", at={"a": 1}, lr=0.125, momentum=0.5, optimizer=Mine)


CASES: dict[str, Callable[[], str]] = {
    "lecture.txt": lambda: lecture().text(),
    "lecture_color.txt": lambda: lecture().text(color=True),
    "lecture_narrow.txt": lambda: lecture().text(width=60),
    "lecture_exact.txt": lambda: explain("sgd", **LECTURE, momentum=0.9, exact=True, autograd=False).text(
        width=140
    ),
    "lecture_without_momentum.txt": lambda: explain("sgd", **LECTURE, autograd=False).text(),
    "lecture.md": lambda: lecture().markdown(),
    "lecture.tex": lambda: lecture().latex(),
    "lecture_typeset.md": lambda: lecture().markdown(typeset=True),
    "matrix.tex": lambda: _matrix().latex(),
    "data.txt": lambda: _data().text(),
    "lecture.html": lambda: lecture().html(pictures=()),
    "lecture.json": lambda: lecture().json(),
    "side_by_side.txt": lambda: _side_by_side().text(),
    "side_by_side.md": lambda: _side_by_side().markdown(),
    "side_by_side.tex": lambda: _side_by_side().latex(),
    "side_by_side.html": lambda: _side_by_side().html(page=False),
    "optimizer.txt": lambda: _optimizer().text(),
    "optimizer.json": lambda: _optimizer().json(),
    "gradients.txt": lambda: explain(
        "torch",
        at={"v": 1, "w": [1, 2]},
        gradients=[{"w": [1, 0]}, {"v": 2}, {"v": 2, "w": [1, 1]}],
        lr=[0.1, 0.1, 0.01],
        momentum=0.9,
        nesterov=True,
        weight_decay=0.1,
        maximize=True,
    ).text(),
    "lookahead.txt": lambda: explain("sutskever", **VALLEY, lr=0.01, momentum=0.9, autograd=False).text(
        width=140
    ),
    "adam.txt": lambda: explain("adam", f="exp(x) + x**2", at={"x": 1}, lr=0.1, autograd=False).text(),
    "adam.tex": lambda: explain("adam", f="exp(x) + x**2", at={"x": 1}, lr=0.1, autograd=False).latex(),
    "matrix.txt": lambda: explain(
        "keras",
        f="sum((A@x - [1, 2])**2)/2",
        at={"A": [[1, 2], [3, 4]], "x": [1, 2]},
        lr=0.01,
        autograd=False,
    ).text(),
    "quadratic.txt": lambda: _quadratic().text(),
    "quadratic.md": lambda: _quadratic().markdown(),
    "quadratic.tex": lambda: _quadratic().latex(),
    "quadratic.html": lambda: _quadratic().html(page=False),
    "idle.txt": lambda: explain(
        "sgd", f="w**2", at={"w": 1}, nesterov=True, dampening=0.5, steps=1, autograd=False
    ).text(),
    "refused.txt": lambda: explain(
        "sgd", f="w**3", at={"w": 1}, momentum=0.5, nesterov=True, dampening=0.5, steps=1, autograd=False
    ).text(),
    "many_elements.txt": lambda: explain(
        "signsgd",
        f="mean(w**4)",
        at={"w": list(range(1, 11))},
        lr=1e-5,
        momentum=0.5,
        steps=1,
        autograd=False,
    ).text(width=140),
    "powers_of_ten.txt": lambda: explain(
        "adam", f="x**4", at={"x": 10**10}, lr=1e-5, steps=2, autograd=False
    ).text(width=140),
    "mistake.txt": lambda: explain(
        "chainer_nag", f="w**2", at={"w": 1}, lr=0.1, momentum=0.5, autograd=False
    ).text(),
}


def _side_by_side() -> Explanation:
    return explain(["torch", "keras"], **VALLEY, lr=[0.01, 0.01, 0.001], momentum=0.9, autograd=False)


@pytest.mark.parametrize("name", CASES)
def test_it_says_what_it_said(name: str) -> None:
    assert CASES[name]() == (GOLDEN / name).read_text(encoding="utf-8").removesuffix("\n")


def test_every_golden_text_is_still_made() -> None:
    assert {file.name for file in GOLDEN.iterdir()} == set(CASES)


def test_the_command_says_the_same() -> None:
    command = [sys.executable, "-m", "surefoot", "explain", "sgd", "mean(3*a**3 - b**2)"]
    command += ["--at", "a=2,3", "--at", "b=6,4", "--lr", "1e-3", "--momentum", "0.9", "--autograd"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True)
    assert done.stdout == (GOLDEN / "lecture.txt").read_text(encoding="utf-8")
    assert done.stderr == ""


def main() -> None:
    """Write every golden text anew; read the difference before it is committed."""
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for name, make in CASES.items():
        (GOLDEN / name).write_text(make() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
