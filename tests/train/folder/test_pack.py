from __future__ import annotations

import json
from collections import Counter, OrderedDict
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from surefoot.errors import InputError
from surefoot.train.folder.pack import pack, unpack

DTYPES = [
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.float8_e4m3fn,
    torch.int64,
    torch.int8,
    torch.uint8,
    torch.uint16,
    torch.bool,
    torch.complex64,
    torch.complex128,
]


def there_and_back(value: Any) -> Any:
    plain, tensors = pack(value)
    return unpack(json.loads(json.dumps(plain, allow_nan=False)), tensors)


def same(a: Any, b: Any) -> bool:
    """Equal in every bit and every type."""
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        bits = a.dtype == b.dtype and a.shape == b.shape
        return bits and a.cpu().contiguous().reshape(-1).view(torch.uint8).equal(
            b.cpu().contiguous().reshape(-1).view(torch.uint8)
        )
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return (
            list(a) == list(b)
            and all(type(k) is type(j) for k, j in zip(a, b, strict=True))
            and all(same(a[k], b[k]) for k in a)
        )
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return repr(a) == repr(b)  # tells -0.0 from 0.0, and nan is itself


plain_values = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
states = st.recursive(
    plain_values,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text() | st.integers() | st.booleans().filter(bool).map(lambda b: (b,)), inner)
    ),
    max_leaves=20,
)


@given(states)
def test_every_plain_state_comes_back_exactly(state: Any) -> None:
    assert same(there_and_back(state), state)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3)], ids=str)
def test_every_tensor_comes_back_exactly(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    value = (torch.arange(6.0)[: max(1, int(np.prod(shape)))].sum() + torch.zeros(shape)).to(dtype)
    assert same(there_and_back([value]), [value])


def test_nan_payloads_and_odd_memory() -> None:
    nan = torch.tensor([0x7FC00001, 0x7F800000], dtype=torch.int32).view(torch.float32)
    wide = torch.arange(12.0).reshape(3, 4)
    state = {"nan": nan, "turned": wide.t(), "part": wide[1:, 2], "spread": torch.ones(1).expand(5)}
    assert same(there_and_back(state), state)
    conjugate = torch.tensor([1 + 2j]).conj()
    assert there_and_back(conjugate).tolist() == [1 - 2j]


def test_tensors_that_share_memory_part() -> None:
    weight = nn.Parameter(torch.ones(3))
    back = there_and_back({"a": weight, "b": weight, "c": weight[:2]})
    back["a"].zero_()
    assert back["b"].tolist() == [1, 1, 1]
    assert back["c"].tolist() == [1, 1]


def test_what_else_states_hold() -> None:
    state = {
        "milestones": Counter({3: 1}),
        "ordered": OrderedDict(b=1, a=2),
        "state_dtype": torch.bfloat16,
        "device": torch.device("cpu"),
        "keys": np.arange(4, dtype=np.uint32),
        "from elsewhere": np.arange(4, dtype=">f4"),
        "turned": np.arange(6).reshape(2, 3).T,
    }
    assert same(there_and_back(state), state)
    assert there_and_back(np.float64(0.1)) == 0.1


@pytest.mark.parametrize(
    "value", [np.int64(3), np.float32(0.1), np.float16("inf"), np.bool_(True), np.str_("a")], ids=repr
)
def test_numbers_of_numpy_come_back_as_pythons(value: Any) -> None:
    assert same(there_and_back([value]), [value.item()])


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ({"state": {0: {"seen": {1, 2}}}}, "state['state'][0]['seen'], a builtins.set"),
        ([1, print], "state[1], a builtins.builtin_function_or_method"),
        (torch.eye(2).to_sparse(), "state, a torch.Tensor of torch.float32, torch.sparse_coo"),
        (np.zeros(2, np.longdouble), f"state, a numpy.ndarray of {np.dtype(np.longdouble)}"),
        (torch.empty(2, dtype=torch.bits8), "state, a torch.Tensor of torch.bits8"),
        (np.datetime64("2020-01-01", "ns"), "state, a numpy.datetime64"),
        (np.timedelta64(5, "ns"), "state, a numpy.timedelta64"),
        (np.longdouble(1), "state, a numpy.longdouble"),
        (np.ma.masked_array([1, 2], [0, 1]), "state, a numpy.ma.MaskedArray of int64"),
    ],
)
def test_what_it_cannot_hold_is_named(value: Any, what: str) -> None:
    with pytest.raises(InputError) as caught:
        pack(value)
    assert str(caught.value) == (
        f"A run folder cannot store {what}; it can store numbers, strings, None, lists, tuples, dicts,"
        " dtypes, arrays and dense tensors."
    )


@pytest.mark.parametrize("plain", [{"code": "print()"}, {"dtype": "load"}, {"Popen": []}])
def test_what_pack_never_writes_is_refused(plain: Any) -> None:
    with pytest.raises(ValueError, match="unknown kind"):
        unpack(plain, {})
