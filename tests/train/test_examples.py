"""Each example runs, and ends as it says."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("train_fit.py", "<Run Sequential: validation accuracy 9"),
        ("train_regression.py", "R² 0.9"),
        ("train_own_model.py", "<Run "),
        ("train_in_parts.py", "weights of up to 0."),
    ],
)
def test_an_example(
    name: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    assert capsys.readouterr().out.splitlines()[-1].startswith(says)
