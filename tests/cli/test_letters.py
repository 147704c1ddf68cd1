"""An output that lacks letters still tells signs and letters apart."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import surefoot
from surefoot.cli import letters


@pytest.fixture(autouse=True)
def _known() -> None:
    letters.register()


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("wₜ = wₜ₋₁ − γ·bₜ", "w_t = w_(t-1) - lr*b_t"),
        ("1 − 0.001·2 × 3 → −4", "1 - 0.001*2 x 3 -> -4"),
        ("λγ²/γ_max, γλw, 2μ, β₁ε", "lambda*lr^2/lr_max, lr*lambda*w, 2*mu, beta1*eps"),
        ("10⁻¹², 1 − μᵗ, R²", "10^-12, 1 - mu^t, R^2"),
        ("m̂₁ / (√v̂₁ + ε), √(2)", "m_hat1 / (sqrt v_hat1 + eps), sqrt(2)"),
        ("∂f/∂a, Δx, ŵ", "df/da, delta_x, w_hat"),
        ("✓ ✗ ● –", "ok FAIL o -"),
        ("Zoë, 中", "Zoe, ?"),
    ],
)
def test_how_letters_are_written_in_ascii(text: str, written: str) -> None:
    assert text.encode("ascii", letters.SPELLED).decode() == written


def test_what_an_encoding_has_stays_as_it_is() -> None:
    assert "−2·μ ± é".encode("latin-1", letters.SPELLED) == "-2·mu ± é".encode("latin-1")


def test_every_letter_that_surefoot_writes_has_a_spelling() -> None:
    used = set()
    for file in Path(surefoot.__file__).parent.rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        comments = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        texts = (node.value for node in {*ast.walk(tree)} - comments if isinstance(node, ast.Constant))
        used |= {(letter, file.name) for text in texts if isinstance(text, str) for letter in text}
    used = {(x, file) for x, file in used if not x.isascii() and x != "\N{REPLACEMENT CHARACTER}"}
    assert used
    assert not [(x, file) for x, file in used if "?" in x.encode("ascii", letters.SPELLED).decode()]


def test_an_explanation_keeps_its_signs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "surefoot", "explain", "adam", "--at", "w=1", "--gradient", "w=-0.25"],
        capture_output=True, text=True, env={**os.environ, "PYTHONIOENCODING": "ascii"}, check=True,
    )  # fmt: skip
    assert "?" not in done.stdout
    assert "= -0.2500" in done.stdout
    assert "beta1*m0 + (1 - beta1)*g1" in done.stdout
