"""Whose code raised."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from surefoot.errors import InputError
from surefoot.train.blame import blaming
from surefoot.train.folder.folder import RunFolder


def test_what_nobody_s_class_raises_stays_as_it_is() -> None:
    model = nn.Linear(1, 1)
    with pytest.raises(ZeroDivisionError), blaming({"model": "own.py:Net"}, {"model": model}):
        1 / 0  # noqa: B018
    with pytest.raises(InputError, match="as it was"), blaming({"model": "own.py:Net"}, {"model": model}):
        raise InputError("as it was.")
    with pytest.raises(TypeError), blaming({"model": "mlp"}, {"model": model}):
        model(3)
    where = pytest.raises(InputError, match=r"raises TypeError: .*\(linear.py, line")
    with where, blaming({"model": "torch.nn:Linear"}, {"model": model}):
        model(3)


def test_what_an_optimizer_inherits_is_its_own() -> None:
    model = nn.Linear(1, 1)
    model(torch.ones(1)).sum().backward()
    optimizer = torch.optim.AdamW(model.parameters(), capturable=True)  # on the CPU, adam.py refuses that
    where = pytest.raises(InputError, match=r"^The optimizer 'torch.optim:AdamW' raises .*\(adamw?.py, line")
    with where, blaming({"optimizer": "torch.optim:AdamW"}, {"optimizer": optimizer}):
        optimizer.step()


class Ends(nn.Linear):
    """Ends Python, as a script's main does."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise SystemExit(0)


@pytest.mark.parametrize("done", [True, False])
def test_a_model_that_ends_python_and_where_what_was_done_is(done: bool, tmp_path: Path) -> None:
    model, folder = Ends(1, 1), RunFolder(tmp_path / "run", config="")
    folder.create()
    folder.metrics.append([{"kind": "step", "step": 1}] if done else [{"kind": "end", "status": "failed"}])
    folder.close()
    with pytest.raises(InputError) as caught, blaming({"model": "own.py:Ends"}, {"model": model}, folder):
        model(torch.ones(1))
    saved = f"; the results so far are saved in {folder.path}" if done else ""
    text = str(caught.value)
    assert text.startswith("The model 'own.py:Ends' raises SystemExit: 0 (test_blame.py, line ")
    assert text.endswith(f"){saved}.")
