"""Buffers that no checkpoint holds are told where training changes them, and only there."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from surefoot import fit
from surefoot.train.folder.unsaved import Unsaved
from surefoot.train.optimizers import warn_of_others

X, Y = torch.randn(16, 3, generator=torch.Generator().manual_seed(0)), torch.arange(16) % 3


class Moving(nn.Linear):
    def __init__(self, persistent: bool = False) -> None:
        super().__init__(3, 3)
        self.register_buffer("ema", torch.zeros(3), persistent=persistent)
        self.register_buffer("mask", torch.tensor([float("nan"), float("-inf"), 1.0]), persistent=False)
        self.register_buffer("cache", torch.zeros(1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.ema.mul_(0.9).add_(x.mean(0), alpha=0.1)
        self.cache = torch.arange(float(1 + len(x)))
        return super().forward(x - self.ema)


def test_a_buffer_that_a_resumed_run_would_lack_is_told_once(tmp_path: Path) -> None:
    options: Any = {"batch_size": 4, "epochs": 3, "checkpoint_every": "1 epoch", "progress": False}
    with pytest.warns(UserWarning, match=r"^Training changes the buffer '0\.ema', which is") as told:
        fit(nn.Sequential(Moving()), (X, Y), out=tmp_path / "run", **options)
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(nn.Sequential(Moving()), (X, Y), **options)
        fit(nn.Sequential(Moving()), (X, Y), out=tmp_path / "next", **options | {"checkpoint_every": "never"})
        fit(nn.Sequential(Moving(True)), (X, Y), out=tmp_path / "third", **options)


def test_what_a_module_saves_by_itself_is_saved() -> None:
    class Extra(Moving):
        def get_extra_state(self) -> Tensor:
            return self.ema.clone()

        def set_extra_state(self, state: Tensor) -> None:
            self.ema.copy_(state)

    net = Extra()
    unsaved = Unsaved([net])
    net(X)
    unsaved.warn()


def _nested(number: float) -> Tensor:
    return torch.nested.nested_tensor([torch.full((2,), number), torch.full((3,), number)])


LAYOUTS: dict[str, Any] = {
    "strided": lambda number: torch.full((3, 3), number, dtype=torch.bfloat16),
    "sparse": lambda number: (number * torch.eye(3)).to_sparse(),
    "csr": lambda number: (number * torch.eye(3)).to_sparse_csr(),
    "csc": lambda number: (number * torch.eye(3)).to_sparse_csc(),
    "nested": _nested,
}


@pytest.mark.filterwarnings("ignore:Sparse:UserWarning", "ignore:The PyTorch API of nested:UserWarning")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_buffer_of_any_layout_ends_no_run_and_is_told_where_it_changes(layout: str) -> None:
    net, make = nn.Linear(3, 3), LAYOUTS[layout]
    net.register_buffer("odd", make(1.0), persistent=False)
    net.register_buffer("kept", make(torch.nan), persistent=False)
    unsaved = Unsaved([net])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        unsaved.warn()
    net.odd, net.kept = make(2.0), make(torch.nan)
    said = r"^Training changes the buffer 'odd', which .* and may end differently\."
    with pytest.warns(UserWarning, match=said):
        unsaved.warn()


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_what_cannot_be_compared_is_taken_for_unchanged() -> None:
    net = nn.Linear(3, 3)
    net.register_buffer("q", torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8), persistent=False)
    net.register_buffer("none", torch.ones(3, device="meta"), persistent=False)
    unsaved = Unsaved([net])
    net.none = torch.zeros(3, device="meta")
    unsaved.warn()


class Named(nn.Linear):
    """Its state is in a way of its own, which takes no option."""

    asked = 0

    def __init__(self, buffer: bool) -> None:
        super().__init__(3, 3)
        if buffer:
            self.register_buffer("ema", torch.zeros(3), persistent=False)
            self.register_buffer("other", torch.zeros(3), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.training and hasattr(self, "ema"):
            self.ema.add_(1)
            self.other.add_(1)
        return super().forward(x)

    def state_dict(self) -> dict[str, Tensor]:  # type: ignore[override]
        self.asked += 1
        more = {"average": self.ema.detach()} if hasattr(self, "ema") else {}
        return {"w": self.weight.detach(), "b": self.bias.detach()} | more

    def load_state_dict(self, state: Any, **_: Any) -> None:  # type: ignore[override]
        with torch.no_grad():
            self.weight.copy_(state["w"])
            self.bias.copy_(state["b"])


def test_a_state_dict_of_a_models_own_is_asked_as_it_is(tmp_path: Path) -> None:
    net = Named(False)
    Unsaved([net]).warn()
    assert net.asked == 0
    net = Named(True)
    unsaved = Unsaved([net])
    net(X)
    with pytest.warns(UserWarning, match=r"^Training changes the buffer 'other', which") as told:
        unsaved.warn()
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_others(torch.optim.SGD(net.parameters(), 0.1), net)
    assert fit(Named(False), (X, Y), epochs=1, progress=False, out=tmp_path / "run").status == "finished"


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_a_scripted_model_is_looked_at() -> None:
    scripted = torch.jit.script(nn.BatchNorm1d(3))
    unsaved = Unsaved([scripted])
    scripted(X)
    unsaved.warn()
