"""How MKL divides products of matrices: it can be told, where torch has it."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from surefoot.train.steps import products
from surefoot.train.steps.engine import Job, eager
from surefoot.train.steps.products import AS_IT_FINDS, WHOLE_ROWS, Divider

TELLS = """
from surefoot.train.steps import products
found = products.divider()
if found is None:
    print("cannot be told")
else:
    seen = []
    products.backward_by_rows(True)
    products.run(lambda: seen.append(found.get()))
    print(*seen, found.get())
    found.set(2)  # as a user may, whenever
    products.backward_by_rows(True)
    products.run(lambda: seen.append(found.get()))
    print(seen[-1], found.get(), products.divider())
"""


def _said() -> list[str]:
    done = subprocess.run([sys.executable, "-c", TELLS], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.skipif(
    not (sys.platform == "linux" and torch.backends.mkl.is_available()), reason="torch has no MKL here"
)
def test_the_library_does_as_it_is_told_and_what_the_user_has_told_it_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MKL_NUM_STRIPES", raising=False)
    assert _said() == [f"{WHOLE_ROWS} {AS_IT_FINDS}", "2 2 None"]
    monkeypatch.setenv("MKL_NUM_STRIPES", "2")
    assert _said() == ["cannot be told"]


@pytest.mark.parametrize("library", [None, object()])
def test_another_library_cannot_be_told(library: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def loaded(path: str) -> object:
        if library is None:
            raise OSError(f"{path}: no such file")
        return library

    monkeypatch.setattr(products.ctypes, "CDLL", loaded)
    monkeypatch.setattr(products, "_found", products._found.__wrapped__)
    assert products.divider() is None


def test_whole_rows_are_made_in_a_backward_pass_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    parts: list[int] = []
    monkeypatch.setattr(products, "divider", lambda: Divider(int, parts.append))
    model, loss = torch.nn.Linear(3, 2), torch.nn.functional.mse_loss
    in_forward, in_backward = [], []
    model.register_forward_hook(lambda *_: in_forward.append(parts[:]))
    model.weight.register_hook(lambda _: in_backward.append(parts[:]))
    step = eager(Job(model, loss, torch.optim.SGD(model.parameters(), lr=0.1)))
    products.backward_by_rows(True)
    try:
        step(torch.ones(4, 3), torch.ones(4, 2))
    finally:
        products.backward_by_rows(False)
    step(torch.ones(4, 3), torch.ones(4, 2))
    assert in_forward == [[], [WHOLE_ROWS, AS_IT_FINDS]]
    assert in_backward == [[WHOLE_ROWS], [WHOLE_ROWS, AS_IT_FINDS]]


def test_a_backward_pass_that_fails_leaves_products_as_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    parts: list[int] = []
    monkeypatch.setattr(products, "divider", lambda: Divider(int, parts.append))
    products.backward_by_rows(True)
    try:
        with pytest.raises(ZeroDivisionError):
            products.run(lambda: 1 / 0)
    finally:
        products.backward_by_rows(False)
    assert parts == [WHOLE_ROWS, AS_IT_FINDS]
