"""Tensors that are laid out otherwise are noticed, with torch's private check and without it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from surefoot.optim import guards


def others() -> dict[str, Any]:
    t = torch.ones(2, 3)
    return {
        "longer": torch.ones(3, 3),
        "wider": torch.ones(2, 4),
        "another number of dimensions": torch.ones(6),
        "transposed": torch.ones(3, 2).t(),
        "every other column": torch.ones(2, 6)[:, ::2],
        "float64": t.double(),
        "int32": t.int(),
        "bits of another dtype": t.view(torch.int32),
        "complex": t + 0j,
        "another device": t.to("meta"),
        "sparse": t.to_sparse(),
        "lazily negated": torch._neg_view(t),
        "a Parameter": torch.nn.Parameter(t),
        "nothing": None,
        "a number": 1.0,
    }


@pytest.mark.parametrize("guard", [guards.guard, guards._by_guards, guards._by_python])
@pytest.mark.parametrize("other", others())
def test_another_layout_is_noticed(guard: Any, other: str) -> None:
    first, second = torch.ones(2, 3), torch.nn.Parameter(torch.tensor(1.0))
    same = guard(first, second)
    assert same(torch.zeros(2, 3), torch.nn.Parameter(torch.tensor(2.0)))
    assert not same(others()[other], second)


def test_the_private_check_is_tried_before_it_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert guards._tells_all_apart()
    monkeypatch.setattr(guards, "_by_guards", lambda *tensors: lambda *others: True)
    assert not guards._tells_all_apart()
    monkeypatch.setattr(guards, "_by_guards", lambda *tensors: 1 / 0)
    assert not guards._tells_all_apart()


def test_the_default_device_does_not_matter() -> None:
    with torch.device("meta"):
        assert guards._tells_all_apart()
