"""Tensors from what holds numbers, and the bytes of those."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from surefoot.train.tensors import as_rows, as_tensor, raw


@pytest.mark.parametrize(
    "change", [lambda x: x[::-1], lambda x: x.astype(">f4"), lambda x: x[:, ::2], lambda x: x.tolist()]
)
def test_whatever_order_an_array_is_in(change: Any) -> None:
    given = change(np.arange(12, dtype=np.float32).reshape(3, 4))
    assert as_tensor(given).tolist() == np.asarray(given).tolist()


def test_an_array_s_memory_is_used_and_a_tensor_is_itself() -> None:
    given, t = np.zeros(3, np.float32), torch.zeros(3)
    as_tensor(given)[0] = 1
    assert given[0] == 1
    assert as_tensor(t) is t


def test_rows_that_cannot_be_written_are_read_without_a_word() -> None:
    given = np.arange(3.0)
    given.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert as_rows(given).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "t",
    [
        torch.tensor(1.5),
        torch.empty(3, 0, 2),
        torch.arange(12.0).reshape(3, 4).t(),
        torch.ones(2, requires_grad=True),
        torch.tensor([1 + 2j, 3 - 1j]).conj(),
        torch.tensor([1 + 2j]).conj().imag,
        torch.tensor([True, False]),
    ],
)
def test_raw_bytes_are_those_of_the_numbers_in_their_order(t: Tensor) -> None:
    assert (
        bytes(raw(t)) == np.array(t.detach().resolve_conj().resolve_neg().tolist(), _KINDS[t.dtype]).tobytes()
    )


_KINDS = {torch.float32: np.float32, torch.complex64: np.complex64, torch.bool: np.bool_}
