"""Names in LaTeX."""

from __future__ import annotations

import pytest

from surefoot.rules.names import latex_name


@pytest.mark.parametrize(
    ("name", "latex"),
    [
        ("bₜ₋₁", "b_{t-1}"),
        ("b₁", "b_1"),
        ("w̃ₜ", r"\tilde{w}_t"),
        ("\u0175ₜ", r"\hat{w}_t"),
        ("w\u0302ₜ", r"\hat{w}_t"),
        ("μ′ₜ", r"\mu'_t"),
        ("ρ∞", r"\rho_\infty"),
        ("γ_max", r"\gamma_{\max}"),
        ("my_rate", r"\mathrm{my\_rate}"),
        ("x_old", r"x_{\mathrm{old}}"),
    ],
)
def test_names(name, latex):
    assert latex_name(name) == latex
