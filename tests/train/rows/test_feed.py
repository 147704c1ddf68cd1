from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, SubsetRandomSampler, TensorDataset

from surefoot.errors import InputError
from surefoot.train.data import order
from surefoot.train.data.scale import learn
from surefoot.train.rows import loaders
from surefoot.train.rows.feed import feed

CPU = torch.device("cpu")
X, Y = torch.arange(20.0).reshape(10, 2), torch.arange(10)


def contents(rows: Any, **options: Any) -> list[tuple[list[Any], list[Any]]]:
    """The batches of the second epoch."""
    found = feed(rows, 4, device=CPU, **options)
    batches = [(x.tolist(), y.tolist()) for x, y in found.epoch(2)]
    assert len(batches) == found.steps
    return batches


def test_every_form_gives_the_same_batches() -> None:
    expected = [(x.tolist(), y.tolist()) for x, y in zip(X.split(4), Y.split(4), strict=True)]
    forms = [
        (X, Y),
        [X.numpy(), Y.numpy()],
        (X.double().numpy(), Y.int().numpy()),
        (X.tolist(), Y.tolist()),
        SimpleNamespace(x=X, y=Y),
        TensorDataset(X, Y),
        DataLoader(TensorDataset(X, Y), batch_size=4),
    ]
    assert [contents(form) for form in forms] == [expected] * len(forms)


@pytest.mark.parametrize("rows", [(X, Y), TensorDataset(X, Y)])
def test_the_order_depends_on_seed_and_epoch(rows: Any) -> None:
    seen = [n for _, y in contents(rows, shuffle=True, seed=5) for n in y]
    assert seen == order(10, 5, 2).tolist()


def test_a_dataset_leaves_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    contents(TensorDataset(X, Y), shuffle=True)
    assert torch.equal(before, torch.get_rng_state())


def test_bytes_become_float_and_small_inputs_are_scaled_once() -> None:
    calls = []

    def scaling(x: Tensor) -> Tensor:
        calls.append(len(x))
        return x.float() / 2

    pixels = X.to(torch.uint8)
    assert contents((pixels, Y))[0][0] == X[:4].tolist()
    assert contents((pixels, Y), scaling=scaling)[0][0] == (X[:4] / 2).tolist()
    assert calls == [10]
    loader = DataLoader(TensorDataset(pixels, Y), batch_size=4)
    assert contents(loader, scaling=scaling)[0][0] == (X[:4] / 2).tolist()


def test_inputs_too_large_to_scale_at_once_stay_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("surefoot.train.rows.feed._SMALL", 8)
    found = feed((X.to(torch.uint8), Y), 4, device=CPU, scaling=lambda x: x.float() / 2)
    assert torch.equal(torch.cat([x for x, _ in found.epoch(1)]), X / 2)


class Endless(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        yield X[0], Y[0]


class Liar(Endless):
    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Any]:
        yield from [(X[0], Y[0])] * 3


class Named(Dataset[Any]):
    def __len__(self) -> int:
        return 10

    def __getitem__(self, row: int) -> Any:
        return {"x": X[row], "z": Y[row]}


@pytest.mark.filterwarnings("ignore:Length of IterableDataset")
@pytest.mark.parametrize(("promised", "gave"), [(2, "more"), (4, "3")])
def test_a_loader_that_does_not_keep_its_promise(promised: int, gave: str) -> None:
    found = feed(DataLoader(Liar(promised)), 4, device=CPU)
    with pytest.raises(InputError) as caught:
        list(found.epoch(1))
    assert str(caught.value) == f"The DataLoader's length is {promised} batches, but it yielded {gave}."


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ("rows", "Rows must be (x, y), a dict, a Dataset or a DataLoader, not str."),
        (
            {"x": X},
            ("One key of a dict must be the target, labels, label, targets, target or y, and the others the"),
        ),
        ((X, Y[:3]), "There are 10 inputs and 3 targets; each input requires one target."),
        ((X[:0], Y[:0]), "There are 0 inputs and 0 targets; each input requires one target."),
        *(
            (
                (X, kind(["yes", "no"] * 5)),
                "The targets are neither a tensor nor an array of numbers: they are text; get class numbers"
                " with np.unique(y, return_inverse=True)[1].",
            )
            for kind in (list, np.array, lambda y: np.array(y, object))
        ),
        ((X, []), "There are 10 inputs and 0 targets"),
        ((["a", "b"], [0, 1]), "The inputs are neither a tensor nor an array of numbers: "),
        ((X, 3), "The targets are a single number; expected one entry per row."),
        (
            DataLoader(Endless()),
            "The DataLoader to train on has no length, and fit must know how many batches an epoch has;"
            " give its data set a __len__.",
        ),
        (
            (np.ma.masked_less(X.numpy(), X.min().item() + 1e-6), Y),
            "The inputs are a masked array, and 1 of its 20 values is masked; fill them in, as",
        ),
        (
            (X, np.ma.array(Y.numpy(), mask=[True] * 10)),
            "The targets are a masked array, and 10 of its 10 values are masked; fill them in, as",
        ),
        (DataLoader(TensorDataset(X[:0], Y[:0])), "The DataLoader has no batches."),
        (Endless(), "The Dataset has no length; wrap it in a DataLoader that has one."),
        (TensorDataset(X[:0], Y[:0]), "The Dataset has no rows."),
        (Liar(3), "This Dataset is iterated in its own order; wrap it in a DataLoader."),
        (
            TensorDataset(X, Y, Y),
            "The data set returns 3 things for a row or a batch; fit takes pairs (input, target), or for",
        ),
        (DataLoader(TensorDataset(X, Y, Y)), "The data set returns 3 things for a row or a batch; fit takes"),
        (Named(), "One key of a dict must be the target"),
        (DataLoader(Named()), "One key of a dict must be the target"),
    ],
)
def test_what_holds_no_rows(rows: Any, text: str) -> None:
    with pytest.raises(InputError) as caught:
        feed(rows, 4, device=CPU)
    assert str(caught.value).startswith(text)


def test_a_file_that_is_mapped_read_only_stays_on_the_disk(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X.numpy())
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    (x, _), *_ = feed((mapped, Y), 4, device=CPU).epoch(1)  # without a warning
    assert torch.equal(x, X[:4])
    assert x.data_ptr() == mapped.ctypes.data


def test_a_large_mapped_file_of_float64_stays_there_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("surefoot.train.rows.feed._SMALL", 16)
    monkeypatch.setattr("surefoot.train.data.batching._CHUNK", 1)
    np.save(tmp_path / "x.npy", X.double().numpy())
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    seen = []

    def scaling(x: torch.Tensor) -> torch.Tensor:
        seen.append((x.dtype, len(x)))
        return 2 * x

    monkeypatch.setattr("surefoot.train.rows.feed.mark", lambda x, y, dtype: str(x.data_ptr()))
    rows = feed((mapped, Y), 4, device=CPU, scaling=scaling)
    assert rows.mark() == str(mapped.ctypes.data)  # these rows, not a copy of them
    (x, _), *_ = rows.epoch(1)
    assert torch.equal(x, 2 * X[:4])
    assert {dtype for dtype, _ in seen} == {torch.float32}
    assert max(count for _, count in seen) == 4
    plain, *_ = feed((mapped, Y), 4, device=CPU).epoch(1)
    assert torch.equal(plain[0], X[:4])
    wide, *_ = feed((mapped, Y), 4, device=CPU, floats=torch.float64).epoch(1)
    assert wide[0].dtype == torch.float64


def test_a_scaling_of_surefoots_own_gets_float64_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    x = 1.7e9 + X.double()
    scaling = learn("standard", x)
    expected = ((x - scaling.shift) / scaling.span).float()
    for rows in ((x, Y), TensorDataset(x, Y), DataLoader(TensorDataset(x, Y), batch_size=4)):
        found = torch.cat([x for x, _ in feed(rows, 4, device=CPU, scaling=scaling).epoch(1)])
        assert torch.equal(found, expected)
    monkeypatch.setattr("surefoot.train.rows.feed._SMALL", 8)
    found = torch.cat([x for x, _ in feed((x, Y), 4, device=CPU, scaling=scaling).epoch(1)])
    assert torch.equal(found, expected)


def test_targets_of_every_kind() -> None:
    assert feed((X, np.arange(10, dtype=np.int32)), 4, device=CPU).target.dtype == torch.int64
    assert feed((X, np.arange(10) / 2), 4, device=CPU).target.dtype == torch.float32


@pytest.mark.parametrize("form", ["tensors", "dataset", "loader"])
def test_going_on_within_an_epoch(form: str) -> None:
    rows: Any = {
        "tensors": (X, Y),
        "dataset": TensorDataset(X, Y),
        "loader": DataLoader(TensorDataset(X, Y), batch_size=4),
    }[form]
    found = feed(rows, 4, device=CPU, shuffle=form != "loader", seed=3)
    whole = [(x.tolist(), y.tolist()) for x, y in found.epoch(2)]
    for skip in range(len(whole) + 1):
        assert [(x.tolist(), y.tolist()) for x, y in found.epoch(2, skip)] == whole[skip:]


def test_the_first_rows() -> None:
    found = feed((X, Y), 4, device=CPU, shuffle=True)
    assert found.first is not None
    assert [y.tolist() for _, y in found.first(7, 4)] == [[0, 1, 2, 3], [4, 5, 6]]
    assert feed(TensorDataset(X, Y), 4, device=CPU).first is None


def test_batches_that_a_loader_puts_together_as_arrays() -> None:
    def collate(rows: list[Any]) -> Any:
        return np.stack([x.numpy() for x, _ in rows]), np.array([int(y) for _, y in rows], np.int32)

    loader: Any = DataLoader(TensorDataset(X, Y), batch_size=4, collate_fn=collate)
    x, y = next(feed(loader, 4, device=CPU).epoch(1))
    assert torch.equal(x, X[:4])
    assert y.dtype == torch.int64


BACKWARDS: dict[str, Callable[[Any], Any]] = {
    "rows": lambda a: a[::-1].copy()[::-1],
    "bytes": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "fields": lambda a: np.rec.fromarrays([a, np.zeros(a.shape, "i1")])["f0"],  # strides of 9 bytes
}


@pytest.mark.parametrize("kind", BACKWARDS)
@pytest.mark.parametrize("form", ["arrays", "loader"])
def test_arrays_whose_memory_torch_cannot_use(form: str, kind: str) -> None:
    odd = BACKWARDS[kind]
    x, y = odd(X.double().numpy()), odd(Y.numpy())
    rows: Any = (x, y)
    if form == "loader":
        rows = DataLoader(TensorDataset(X, Y), batch_size=len(X), collate_fn=lambda _: (x, y))
    found = next(feed(rows, len(X), device=CPU).epoch(1))
    assert torch.equal(found[0], X)
    assert torch.equal(found[1], Y)


class Batched:
    """Batches by an order of its own."""

    def __init__(self) -> None:
        self.generator = torch.Generator()

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Any:
        order = torch.randperm(8, generator=self.generator).tolist()
        return iter([order[:4], order[4:]])


def test_the_generator_of_what_makes_a_loaders_batches() -> None:
    sampler = Batched()
    loader: Any = DataLoader(TensorDataset(X, Y), batch_sampler=sampler)  # type: ignore[arg-type]
    assert feed(loader, 4, device=CPU).generators == (sampler.generator,)


def test_the_generators_of_a_loader() -> None:
    one = torch.Generator()
    loader: Any = DataLoader(TensorDataset(X, Y), batch_size=4, shuffle=True, generator=one)
    assert feed(loader, 4, device=CPU).generators == (one,)
    plain: Any = DataLoader(TensorDataset(X, Y), batch_size=4, shuffle=True)
    assert feed(plain, 4, device=CPU).generators == ()


class Keyed(Dataset[Any]):
    """Rows by name, as dicts."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, key: str) -> dict[str, Any]:
        noise = random.random() + np.random.random() + float(torch.rand(()))
        return {"x": torch.tensor([float(ord(key)), noise]), "y": "cat" if key < "c" else "dog"}


def together(rows: list[dict[str, Any]]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.stack([row["x"] for row in rows]), torch.tensor([row["y"] == "dog" for row in rows]).long()


def test_a_loader_that_puts_its_batches_together_itself() -> None:
    generator = torch.Generator().manual_seed(3)
    sampler: Any = ["a", "b", "c", "d"]
    loader: Any = DataLoader(Keyed(), 2, sampler=sampler, collate_fn=together, generator=generator)
    before = (
        torch.get_rng_state(),
        random.getstate(),
        np.random.get_state()[1].tolist(),
        generator.get_state(),
    )
    fed = feed(loader, 99, device=CPU)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.random.get_state()[1].tolist() == before[2]
    assert torch.equal(generator.get_state(), before[3])
    assert not fed.target.is_floating_point()
    assert [y.tolist() for _, y in fed.epoch(1)] == [[0, 0], [1, 1]]


def test_looking_at_a_row_leaves_the_random_states_alone() -> None:
    class Drawn(Dataset[Any]):
        def __len__(self) -> int:
            return 4

        def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
            return torch.rand(2) + random.random() + np.random.random(), row % 2

    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    for rows in (Drawn(), DataLoader(Drawn(), 2)):
        feed(rows, 2, device=CPU)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.random.get_state()[1].tolist() == before[2]


def test_a_loaders_booleans_are_classes_as_tensors_are() -> None:
    y = torch.tensor([False, True, True, False])
    for form in ((torch.zeros(4, 2), y), TensorDataset(torch.zeros(4, 2), y)):
        ((_, got),) = feed(form, 4, device=CPU).epoch(1)
        assert got.tolist() == [0, 1, 1, 0]
        assert got.dtype == torch.int64


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ((1.0, ["a", "b"]), "The targets of a batch are a list"),
        ((["a", "b"], 1), "The inputs of a batch are a list"),
    ],
)
def test_a_dataset_of_other_things_than_tensors(row: Any, said: str) -> None:
    class Odd(Dataset[Any]):
        def __len__(self) -> int:
            return 4

        def __getitem__(self, index: int) -> Any:
            return row

    with pytest.raises(InputError, match=said):
        feed(Odd(), 2, device=CPU)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.float16])
def test_a_loaders_targets_of_other_kinds_stay(dtype: torch.dtype) -> None:
    y = torch.tensor([0, 1, 1, 0]).to(dtype)
    rows = TensorDataset(torch.zeros(4, 2), y)
    for form in (DataLoader(rows, 4), rows):
        ((_, got),) = feed(form, 4, device=CPU).epoch(1)
        assert got.dtype == dtype
        assert torch.equal(got, y)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_loader_gives_what_tensors_give(dtype: torch.dtype) -> None:
    x, y = torch.arange(8).reshape(4, 2).to(dtype), torch.arange(4, dtype=torch.int32)
    by_loader = list(feed(DataLoader(TensorDataset(x, y), 2), 2, device=CPU).epoch(1))
    by_tensors = list(feed((x, y), 2, device=CPU).epoch(1))
    for got, want in zip(by_loader, by_tensors, strict=True):
        assert [t.dtype for t in got] == [t.dtype for t in want] == [torch.float32, torch.int64]
        assert all(map(torch.equal, got, want))


def test_a_mask_that_hides_nothing_is_none() -> None:
    masked: Any = np.ma.array(X.numpy(), mask=False)
    (got,) = (x for x, _ in feed((masked, Y), 10, device=CPU).epoch(1))
    assert torch.equal(got, X)


def test_a_loader_without_a_length_is_told_by_what_it_is_for() -> None:
    with pytest.raises(
        InputError, match=r"^The DataLoader to validate on has no length, .* data set a __len__"
    ):
        feed(DataLoader(Endless()), 4, device=CPU, training=False)


def test_a_dataset_without_a_length_goes_by_its_sampler() -> None:
    class Endless(Dataset[Any]):
        def __getitem__(self, index: int) -> Any:
            return X[index], Y[index]

    loader: Any = DataLoader(Endless(), 4, sampler=SubsetRandomSampler(range(10)))
    assert [len(y) for _, y in feed(loader, 4, device=CPU).epoch(1)] == [4, 4, 2]


def test_to_apples_gpu_a_batch_is_copied_before_its_memory_is_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def to(tensor: Tensor, *_: Any, non_blocking: bool = False) -> Tensor:
        asked.append(non_blocking)
        return tensor

    monkeypatch.setattr(Tensor, "to", to)
    for device in ("mps", "cuda"):
        loaders._moved((X, Y), torch.device(device), None, torch.float32)
    assert asked == [False, False, True, True]


class Pictures(Dataset[Any]):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, row: int) -> Any:
        return Image.fromarray(np.zeros((6, 6), np.uint8)), row % 2


@pytest.mark.parametrize("sampler", [None, [[0, 1], [2, 3]]])
def test_pictures_are_to_become_tensors(sampler: Any) -> None:
    for rows in (Pictures(), DataLoader(Pictures(), 4), DataLoader(Pictures(), batch_sampler=sampler)):
        with pytest.raises(InputError) as caught:
            feed(rows, 4, device=CPU)
        assert str(caught.value) == (
            "The data set returns a PIL.Image.Image, and torch cannot batch these; let the data "
            "set return tensors, arrays or numbers, such as torchvision.transforms.ToTensor() or "
            "numpy.asarray(picture) makes from a picture."
        )
