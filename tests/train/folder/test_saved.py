"""Weights of every kind in a run's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from surefoot.errors import InputError
from surefoot.train.fitting import fit
from surefoot.train.folder import saved
from surefoot.train.folder.folder import RunFolder

X = torch.randn(16, 3, generator=torch.Generator().manual_seed(0))
Y = X.sum(1, keepdim=True)


class Fourier(nn.Module):
    """Complex weights and buffers, an integer, two names for one weight, and more than tensors."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.w = nn.Parameter(torch.randn(3, 1, generator=draw, dtype=torch.complex128))
        self.tied = self.w
        self.bias = nn.Parameter(torch.zeros(1))
        for dtype in (torch.complex64, torch.complex32, torch.float8_e4m3fn, torch.bfloat16):
            self.register_buffer(f"b_{dtype}".replace(".", "_"), torch.ones(2, 2).mul(seed).to(dtype))
        self.count, self.inside = seed, torch.full((2,), 1j * seed)

    def forward(self, x: Tensor) -> Tensor:
        return (x.to(self.w.dtype) @ self.w).real.float() + self.bias

    def get_extra_state(self) -> Any:
        return {"count": self.count, "inside": self.inside, "best": float("inf")}

    def set_extra_state(self, state: Any) -> None:
        self.count, self.inside = state["count"], state["inside"]
        assert state["best"] == float("inf")


@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
def test_weights_of_every_kind_come_back(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run") as folder:
        folder.create()
        model, other = Fourier(3), Fourier()
        saved.save(folder, model.state_dict())
        saved.load(folder.path, other)
    assert other.count == 3
    assert torch.equal(other.inside, model.inside)
    before = [*model.parameters(), *model.buffers()]
    for a, b in zip(before, [*other.parameters(), *other.buffers()], strict=True):
        assert a.dtype == b.dtype
        assert a.tolist() == b.tolist()


def test_real_weights_are_in_the_file_by_their_names_and_nothing_else(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    with RunFolder(tmp_path / "run") as folder:
        folder.create()
        saved.save(folder, model.state_dict())
    found = safetensors.torch.load_file(folder.path / saved.LAST)
    assert found.keys() == model.state_dict().keys()
    assert all(torch.equal(t, found[name]) for name, t in model.state_dict().items())
    with safetensors.safe_open(folder.path / saved.LAST, "pt") as file:
        assert file.metadata() == {"surefoot": "{}"}


@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
@pytest.mark.parametrize("every", ["3 steps", "never"])
def test_a_complex_model_runs_to_its_end(every: str, tmp_path: Path) -> None:
    model = Fourier(1)
    options: Any = {"epochs": 2, "batch_size": 4, "checkpoint_every": every, "progress": False}
    fit(model, (X, Y), (X, Y), out=tmp_path / "run", **options)
    again = Fourier()
    assert fit(again, (X, Y), (X, Y), out=tmp_path / "run", resume=True, **options).status == "finished"
    assert torch.equal(again.w, model.w)


class Odd(nn.Linear):
    def get_extra_state(self) -> Any:
        return {"seen": {1, 2}}


class Sparse(nn.Linear):
    def __init__(self) -> None:
        super().__init__(3, 1)
        self.register_buffer("graph", torch.eye(2).to_sparse())


@pytest.mark.parametrize("every", ["1 epoch", "never"])
@pytest.mark.parametrize(
    ("model", "what"),
    [(Odd(3, 1), r"\['_extra_state'\]\['seen'\], a builtins.set;"), (Sparse(), r"\['graph'\], a torch.Ten")],
)
def test_what_cannot_be_written_is_told_before_the_first_step(
    model: nn.Module, what: str, every: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"A run folder cannot store the model" + what):
        fit(model, (X, Y), out=tmp_path / "run", checkpoint_every=every, progress=False)
    assert not (tmp_path / "run").exists()
