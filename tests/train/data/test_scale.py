"""Scaling: what is learned, what it does, and that it survives being saved."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from surefoot.errors import InputError
from surefoot.train.data import scale
from surefoot.train.data.scale import KINDS, Scaling, learn

PIXELS = torch.randint(0, 256, (50, 7, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
TABLE = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 100.0, 0.01]) + 5


def test_pixels_share_one_mean_and_deviation():
    scaling = learn("standard", PIXELS)
    assert scaling.shift.item() == pytest.approx(PIXELS.double().mean().item(), rel=1e-6)
    assert scaling.span.item() == pytest.approx(PIXELS.double().std(correction=0).item(), rel=1e-6)
    z = scaling(PIXELS)
    assert z.dtype == torch.float32
    assert z.mean().item() == pytest.approx(0, abs=1e-6)
    assert z.std(correction=0).item() == pytest.approx(1, rel=1e-6)


def test_a_file_that_is_mapped_read_only_is_learned_from_and_scaled_without_a_word(tmp_path: Path):
    np.save(tmp_path / "x.npy", TABLE.numpy())
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    scaling = learn("standard", x)
    assert torch.equal(scaling.shift, learn("standard", TABLE).shift)
    assert torch.equal(scaling(x), scaling(TABLE))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("columns", [1, 2, 3, 8, 9])
def test_a_table_in_blocks_of_columns_is_learned_from_as_whole(
    kind: str, columns: int, monkeypatch: pytest.MonkeyPatch
):
    x = torch.randn(3000, columns, generator=torch.Generator().manual_seed(columns)) * 7 + 3
    whole = learn(kind, x)
    seen = []
    double = torch.Tensor.double
    monkeypatch.setattr(torch.Tensor, "double", lambda t: seen.append(t.numel()) or double(t))
    for width in (1, 2, 4):
        monkeypatch.setattr(scale, "_BLOCK", 8 * 3000 * width)
        found = learn(kind, x)
        assert torch.equal(found.shift, whole.shift)
        assert torch.equal(found.span, whole.span)
        assert max(seen, default=0) <= 3000 * (max(2, width) + 1)
        seen.clear()


def test_what_is_masked_is_not_learned_from():
    with pytest.raises(
        InputError, match=r"^The rows .* a masked array, and 1 of its 3 values is masked; fill"
    ):
        learn("standard", np.ma.array([[1.0], [2.0], [3.0]], mask=[[True], [False], [False]]))


@pytest.mark.parametrize("high", [1, 2, 256])
def test_moments_of_many_pixels_are_those_of_exact_arithmetic(high: int):
    x = torch.randint(high // 2, high, (300, 28, 28), dtype=torch.uint8)  # more than are taken at once
    if high == 256:
        x[0, 0, 0] = 0
    numbers = x.flatten().tolist()
    mean = Fraction(sum(numbers), len(numbers))
    variance = Fraction(sum(n * n for n in numbers), len(numbers)) - mean**2
    scaling = learn("standard", x)
    assert scaling.shift.item() == torch.tensor(float(mean)).item()
    assert scaling.span.item() == torch.tensor(math.sqrt(variance) or 1.0).item()


def test_each_column_of_a_table_has_its_own():
    z = learn("standard", TABLE)(TABLE)
    # float32 knows the 5 to 2⁻²², which is 2.4e-5 of the last column's deviation
    torch.testing.assert_close(z.mean(0), torch.zeros(3), atol=2.4e-5, rtol=0)
    torch.testing.assert_close(z.std(0, correction=0), torch.ones(3))
    unit = learn("unit", TABLE)(TABLE)
    torch.testing.assert_close(unit.amin(0), torch.zeros(3))
    torch.testing.assert_close(unit.amax(0), torch.ones(3))


def test_unit_pixels_are_divided_by_255_whatever_occurs():
    assert torch.equal(learn("unit", PIXELS.clamp(max=100))(PIXELS), PIXELS.float() / 255)


def test_raw_leaves_the_values_and_copies_them():
    x = PIXELS.float()
    z = learn("raw", x)(x)
    assert torch.equal(z, x)
    assert z.data_ptr() != x.data_ptr()
    assert torch.equal(learn("raw", PIXELS)(PIXELS), x)


@given(st.sampled_from(KINDS), st.integers(0, 255))
def test_what_does_not_vary_stays_finite(kind, value):
    for x in (torch.full((4, 3), value, dtype=torch.uint8), torch.full((4, 3), float(value))):
        assert learn(kind, x)(x).isfinite().all()


def test_float64_is_scaled_before_it_is_narrowed():
    x = 1.7e9 + torch.rand(50, 2, dtype=torch.float64)
    x[:, 1] = 0.1  # the mean of which is rounded
    for kind in ("standard", "unit"):
        scaling = learn(kind, x)
        expected = (x - scaling.shift) / scaling.span
        assert (scaling(x).dtype, scaling.shift.dtype) == (torch.float32, torch.float64)
        assert torch.equal(scaling(x), expected.float())
        assert scaling.span[1] == 1
        assert scaling(x)[:, 0].std() > 0.2
    old = Scaling("standard", torch.tensor(5.0), torch.tensor(2.0))  # learned from float32
    assert torch.equal(old(x), ((x - 5) / 2).float())


def test_float32_is_scaled_in_float32():
    scaling = learn("standard", TABLE)
    assert (scaling.shift.dtype, scaling.span.dtype) == (torch.float32, torch.float32)
    assert torch.equal(scaling(TABLE), (TABLE - scaling.shift) / scaling.span)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("x", [PIXELS, TABLE, TABLE.double() + 1e9], ids=["pixels", "table", "wide"])
def test_saved_as_json_and_read_back(kind, x):
    scaling = learn(kind, x)
    back = Scaling.from_dict(json.loads(json.dumps(scaling.to_dict())))
    assert back.kind == kind
    assert torch.equal(back(x), scaling(x))


def test_the_inputs_are_not_changed():
    before = TABLE.clone()
    learn("standard", TABLE)(TABLE)
    assert torch.equal(TABLE, before)


def test_an_unknown_kind():
    with pytest.raises(InputError) as caught:
        learn("standart", PIXELS)
    assert str(caught.value) == (
        "Unknown scale 'standart'; did you mean 'standard'? Known: raw, standard, unit."
    )


def test_arrays_will_do() -> None:
    x = np.array([[1.0, 5.0], [3.0, 5.0]])
    assert torch.equal(learn("standard", x)(x), learn("standard", torch.tensor(x))(torch.tensor(x)))
