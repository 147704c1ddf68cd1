"""What tells rows, a loss or a model from others."""

from __future__ import annotations

import inspect
import linecache
import sys
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from surefoot.errors import InputError
from surefoot.train.folder.same import check_options
from surefoot.train.rows.identity import mark, named, sources, told


@pytest.mark.parametrize(
    "dtype",
    [torch.float32, torch.float64, torch.bfloat16, torch.uint8, torch.int64, torch.bool],
)
def test_rows_are_told_apart(dtype: torch.dtype) -> None:
    x, y = torch.eye(2500, 3).to(dtype), torch.arange(2500)
    said = mark(x, y)
    assert said.startswith(f"2,500 rows of 3, {str(dtype).removeprefix('torch.')}, checksum ")
    assert mark(x.clone(), y.clone()) == said
    assert len({said, mark(x[:-1], y[:-1]), mark(x, y + 1), mark(x.flip(0), y), mark(x[:, :2], y)}) == 5


MODEL = """
import torch
from torch import nn

class Mine(torch.nn.Module):
    @property
    def half(self):
        return 1 / 2

    @staticmethod
    def known(x):
        return x in {"a", "b", "c"}

    def forward(self, x):
        return (lambda y: 2 * y)(x)  # twice
"""


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize(
    ("was", "new"), [("1 / 2", "1 / 3"), ("in {", "not in {"), ("2 * y", "3 * y"), ('"c"', '"d"')]
)
def test_a_class_of_a_notebook_is_told_by_its_methods(
    monkeypatch: pytest.MonkeyPatch, kept: bool, was: str, new: str
) -> None:
    """Its module has no file; a cell's own text is kept where the cell's functions find it."""
    monkeypatch.setitem(sys.modules, "a_notebook", ModuleType("a_notebook"))

    def of(cell: str, file: str) -> dict[str, str]:
        if kept:
            monkeypatch.setitem(linecache.cache, file, (len(cell), None, cell.splitlines(True), file))
        defined: dict[str, Any] = {"__name__": "a_notebook"}
        exec(compile(cell, file, "exec"), defined)
        if sys.version_info < (3, 13):
            with pytest.raises((OSError, TypeError)):
                inspect.getsource(defined["Mine"])
        return sources(model=defined["Mine"]())

    first = of(MODEL, "<cell 1>")
    assert first.keys() == {"model"}
    assert of("\n\n" + MODEL, "<cell 2>") == first
    assert of(MODEL.replace(was, new), "<cell 3>") != first


def test_a_compiled_model_is_called_by_what_is_in_it(tmp_path: Path) -> None:
    inner = nn.Linear(2, 2)
    assert named(torch.compile(inner, backend="eager")) == named(inner) == "torch.nn.modules.linear:Linear"  # type: ignore[arg-type]
    with pytest.raises(InputError, match="started with model 'a:B', not "):
        check_options(tmp_path, {"model": "a:B"}, {"model": named(inner)})


def _other(output: Tensor, target: Tensor, delta: float = 1.0) -> Tensor:
    return (output - target).abs().mean() * delta


def test_what_a_loss_or_a_scaling_was_given_tells_it_from_others() -> None:
    huber, sparse = functional.huber_loss, torch.eye(3).to_sparse()
    kinds = [
        partial(huber, delta=2.0),
        partial(_other, delta=2.0),
        partial(torch.mul, 3.0),
        partial(torch.mul, 4.0),
        partial(torch.mul, torch.tensor(1 + 1j)),
        partial(torch.mul, torch.tensor(1 - 1j)),
        nn.HuberLoss(delta=2.0),
        nn.HuberLoss(delta=2.5),
        nn.CrossEntropyLoss(torch.tensor([1.0, 2.0])),
        nn.CrossEntropyLoss(torch.tensor([2.0, 1.0])),
    ]
    names = [told(loss=kind)["loss"]() for kind in kinds]
    assert len({*names}) == len(kinds)
    assert names[6] == told(loss=nn.HuberLoss(delta=2))["loss"]()
    assert told(loss=partial(torch.mul, sparse))["loss"]().startswith("partial(of=")
