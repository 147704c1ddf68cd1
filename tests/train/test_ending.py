from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from surefoot.errors import InputError
from surefoot.train.fitting import fit
from surefoot.train.folder import saved
from surefoot.train.run import Run

X, Y = torch.randn(20, 4), torch.arange(20) % 3


class Doing(nn.Linear):
    """Does something at its fifth step, and maybe fails at the eighth."""

    def __init__(self, do: Callable[[], Any], fails: bool = False) -> None:
        super().__init__(4, 3)
        self.do, self.fails, self.calls = do, fails, 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += self.training
        if self.training and self.calls == 5:
            self.do()
        if self.fails and self.calls == 8:
            raise RuntimeError("no more")
        return super().forward(x)


def trained(model: nn.Module, out: Path, every: str) -> None:
    fit(model, (X, Y), (X, Y), batch_size=2, epochs=1, checkpoint_every=every, out=out, progress=False)


@pytest.mark.parametrize(("every", "step"), [("2 steps", 6), ("never", 10)])
@pytest.mark.parametrize("removed", [False, True])
def test_a_folder_that_is_moved_or_removed(tmp_path: Path, every: str, step: int, removed: bool) -> None:
    out, moved = tmp_path / "deep" / "run", tmp_path / "moved"

    def do() -> None:
        shutil.rmtree(out.parent) if removed else out.rename(moved)

    model = Doing(do)
    with pytest.raises(InputError) as caught:
        trained(model, out, every)
    assert str(caught.value) == (
        f"The run's folder '{out}' was moved or removed during the run, which ended at step {step}; only the"
        f" last weights are saved, in '{out / 'model.safetensors'}'; if it was moved, it can be"
        " resumed there from its last checkpoint."
    )
    assert [path.name for path in out.iterdir()] == ["model.safetensors"]
    again = Doing(lambda: None)
    saved.load(out, again)
    assert torch.equal(again.weight, model.weight)
    if removed or every == "never":
        return
    assert Run.load(moved).status == "failed"
    again, rows = Doing(lambda: None), (X, Y)
    options: Any = {"batch_size": 2, "epochs": 1, "checkpoint_every": every, "progress": False}
    assert fit(again, rows, rows, out=moved, resume=True, **options).status == "finished"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows names another mistake")
@pytest.mark.parametrize(
    ("every", "kept"),
    [
        ("never", "best.safetensors is kept, but no checkpoint to resume from"),
        (
            "2 steps",
            "best.safetensors and the checkpoint of step 10 are kept; once the problem is fixed, continue"
            " with fit(…, resume=True)",
        ),
    ],
)
def test_what_is_kept_where_the_weights_cannot_be_written(tmp_path: Path, every: str, kept: str) -> None:
    out = tmp_path / "run"
    model = Doing(lambda: (out / ".model.safetensors.partial").mkdir())  # root may write everywhere else
    with pytest.raises(InputError) as caught:
        trained(model, out, every)
    assert str(caught.value) == (
        f"Cannot write '{out / 'model.safetensors'}': Is a directory; choose another folder; {kept}."
    )


def test_what_a_model_raises_goes_up_and_its_weights_are_saved_all_the_same(tmp_path: Path) -> None:
    out = tmp_path / "run"
    model = Doing(lambda: out.rename(tmp_path / "moved"), fails=True)
    with (
        pytest.warns(
            UserWarning, match=r"was moved or removed during the run, which ended at step 7; only the last"
        ),
        pytest.raises(RuntimeError, match="no more"),
    ):
        trained(model, out, "never")
    assert [path.name for path in out.iterdir()] == ["model.safetensors"]


def test_where_the_weights_cannot_be_saved_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "run"

    def do() -> None:
        out.rename(tmp_path / "moved")
        out.write_text("a file")

    with pytest.raises(InputError, match=r"which ended at step 10; if it was moved") as caught:
        trained(Doing(do), out, "never")
    assert isinstance(caught.value.__cause__, InputError)
