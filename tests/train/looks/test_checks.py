from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Subset, TensorDataset

from surefoot.errors import InputError
from surefoot.train.fitting import fit
from surefoot.train.looks.checks import check_keeps_rows, check_model
from surefoot.train.rows.feed import feed

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (nn.Linear, "The model is a torch.nn.Module, not the class Linear; create an instance."),
        (len, "The model is a torch.nn.Module, not <built-in function len>."),
        (nn.ReLU(), "The model has no parameters to train: none requires a gradient."),
        (
            nn.Linear(2, 2).requires_grad_(False),
            "The model has no parameters to train: none requires a gradient.",
        ),
        (
            nn.Sequential(nn.LazyLinear(2)),
            "The model's 0.weight has no size yet; pass it some rows before training, as in model(x[:2]).",
        ),
    ],
)
def test_what_is_no_model_to_train(model: Any, text: str) -> None:
    with pytest.raises(InputError) as caught:
        check_model(model)
    assert str(caught.value) == text


class Centred(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.flatten(1).sub_(0.5))


@pytest.mark.parametrize(("validated", "shuffle"), [(True, True), (True, False), (False, False)])
def test_a_model_that_writes_into_its_input_is_refused_before_it_does(validated: bool, shuffle: bool) -> None:
    x, y = torch.rand(8, 2), torch.arange(8) % 2
    kept = x.clone()
    with pytest.raises(InputError) as caught:
        fit(Centred(2, 2), (x, y), (x, y) if validated else None, shuffle=shuffle, epochs=1, progress=False)
    assert str(caught.value) == (
        "The model changes its input in place, and with it the rows that it is given;"
        " let its forward begin with x = x.clone()."
    )
    assert torch.equal(x, kept)


def test_rows_that_are_gathered_may_be_written_into() -> None:
    x, y = torch.rand(8, 2), torch.arange(8) % 2
    kept = x.clone()
    assert fit(Centred(2, 2), (x, y), epochs=2, progress=False).status == "finished"
    assert torch.equal(x, kept)


def test_looking_at_a_model_leaves_it_and_random_numbers_as_they_were() -> None:
    class Noisy(nn.Linear):
        def __init__(self, *size: int) -> None:
            super().__init__(*size)
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            return super().forward(x + torch.rand_like(x))

    model, rows = (
        nn.Sequential(Noisy(2, 2), nn.ReLU()),
        feed((torch.rand(8, 2), torch.zeros(8)), 4, device=CPU),
    )
    model[1].eval()
    modes = [m.training for m in model.modules()]
    before = torch.random.get_rng_state()
    check_keeps_rows(model, rows)
    assert model[0].calls == 0
    assert [m.training for m in model.modules()] == modes
    assert torch.equal(torch.random.get_rng_state(), before)


class Bag(nn.Module):
    """Takes whole numbers, as an embedding does."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.EmbeddingBag(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.rows(x)


@pytest.mark.parametrize(
    ("dtype", "net", "text"),
    [
        (
            torch.int64,
            nn.Linear(3, 2),
            "int64; give it float32,",
        ),
        (
            torch.float16,
            nn.Linear(3, 2),
            "float16; give it float32,",
        ),
        (torch.bool, nn.Linear(3, 2), "bool; give it float32,"),
        (
            torch.float32,
            nn.Linear(3, 2).double(),
            "float32; give it float64,",
        ),
        (
            torch.float32,
            nn.Linear(3, 2).bfloat16(),
            "float32; give it bfloat16,",
        ),
    ],
)
def test_inputs_of_a_dtype_that_the_model_cannot_take(dtype: torch.dtype, net: nn.Module, text: str) -> None:
    x, y = torch.ones(8, 3).to(dtype), torch.zeros(8, dtype=torch.int64)
    with pytest.raises(InputError) as caught:
        fit(net, (x, y), epochs=1, progress=False)
    wanted = text.split()[-1].rstrip(",")
    assert str(caught.value) == (
        f"The model cannot take inputs of {text} as by scaling=lambda x: x.to(torch.{wanted})."
    )


MAGNITUDES = "absolute values, as by scaling=lambda x: x.abs(); or, to a model of twice as many inputs, "


@pytest.mark.parametrize(("size", "more"), [(3, f"their {MAGNITUDES}"), (6, "")])
def test_complex_inputs_of_a_real_model(size: int, more: str) -> None:
    """Cast to real ones, as of other dtypes is advised, they would lose their imaginary part."""
    x, y = torch.randn(8, 3, dtype=torch.complex64), torch.zeros(8, dtype=torch.int64)
    with pytest.raises(InputError) as caught:
        fit(nn.Linear(size, 2), (x, y), epochs=1, progress=False)
    assert str(caught.value) == (
        f"The model cannot take inputs of complex64; give it {more}their real and imaginary parts, as by"
        " scaling=lambda x: torch.view_as_real(x).flatten(1)."
    )
    scalings = [lambda x: x.abs()] * (size == 3) + [lambda x: torch.view_as_real(x).flatten(1)] * (size == 6)
    fit(nn.Linear(size, 2), (x, y), scaling=scalings[0], epochs=1, progress=False)


def test_a_mapped_file_of_float16_is_widened_batch_by_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("surefoot.train.rows.feed._SMALL", 8)
    np.save(tmp_path / "x.npy", np.ones((8, 3), np.float16))
    x, y = np.load(tmp_path / "x.npy", mmap_mode="r"), np.zeros(8, np.int64)
    scaling = lambda x: x.to(torch.float32)  # noqa: E731  as the sentence has it
    fit(nn.Linear(3, 2), (x, y), (x, y), scaling=scaling, epochs=1, progress=False)


def test_whole_numbers_are_for_a_model_that_takes_them() -> None:
    x, y = torch.ones(8, 3, dtype=torch.int64), torch.zeros(8, dtype=torch.int64)
    assert fit(Bag(), (x, y), epochs=1, progress=False).status == "finished"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("form", ["tensors", "dataset"])
@pytest.mark.parametrize(
    ("dtype", "text"),
    [
        (torch.uint8, "float32, which bytes become here too"),
        (torch.int16, "int16"),
        (torch.float32, "float32, which bytes become here too"),
    ],
)
def test_numbers_of_tokens_are_whole_and_wide(
    dtype: torch.dtype, text: str, form: str, precision: str
) -> None:
    net = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(12, 2))
    x = torch.arange(24).reshape(8, 3) % 9
    rows: Any = (x.to(dtype), x[:, 0] % 2)
    if form == "dataset":  # whose bytes stay bytes
        rows, text = TensorDataset(*rows), "uint8" if dtype == torch.uint8 else text
    with pytest.raises(InputError) as caught:
        fit(net, rows, precision=precision, progress=False)
    assert str(caught.value) == f"The model takes whole numbers, and not {text}; give x.long()."


def test_autocast_takes_floats_of_all_widths() -> None:
    x, y = torch.ones(8, 3, dtype=torch.float16), torch.zeros(8, dtype=torch.int64)
    run = fit(nn.Linear(3, 2), (x, y), epochs=1, progress=False, precision="bfloat16")
    assert run.status == "finished"


def test_rows_to_validate_on_are_of_the_same_kind() -> None:
    x, y = torch.randn(8, 3), torch.zeros(8, dtype=torch.int64)
    with pytest.raises(InputError) as caught:
        fit(nn.Linear(3, 2), (x, y), (x, y.float()), epochs=1, progress=False)
    assert str(caught.value) == (
        "The targets to train on are classes, but those to validate on are measured."
    )
    with pytest.raises(InputError) as caught:
        fit(nn.Linear(3, 2), (x, y), (x[:, :2], y), epochs=1, progress=False)
    assert str(caught.value) == (
        "The model takes the rows to train on, float32 of shape (3,), but not those to validate on, float32"
        " of shape (2,)."
    )


class Mean(nn.Linear):
    """Takes rows of any length."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.mean(1, keepdim=True))


def test_rows_to_validate_on_may_be_longer() -> None:
    x, y = torch.randn(8, 5), torch.zeros(8, dtype=torch.int64)
    assert fit(Mean(1, 2), (x[:, :3], y), (x, y), epochs=1, progress=False).status == "finished"


class Positions(nn.Linear):
    """Has a buffer that nothing can be written to: one row, shown many times."""

    def __init__(self) -> None:
        super().__init__(3, 2)
        self.register_buffer("rows", torch.arange(3.0).expand(4, -1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x + self.get_buffer("rows")[:1])


def test_looking_writes_to_no_buffer_that_did_not_change() -> None:
    x, y = torch.ones(8, 3, dtype=torch.int64), torch.zeros(8, dtype=torch.int64)
    assert fit(Positions(), (x, y), (x, y), epochs=1, progress=False).status == "finished"
    with torch.inference_mode():
        rows = torch.zeros(1, 3)
    net = Positions()
    net.register_buffer("rows", rows)
    assert fit(net, (x, y), epochs=1, progress=False).status == "finished"


X = torch.randn(12, 4)
Y = torch.arange(12) % 3


class Pair(nn.Linear):
    def forward(self, x: torch.Tensor) -> Any:
        return super().forward(x), x


@pytest.mark.parametrize(
    ("net", "y", "loss", "said"),
    [
        (
            nn.Linear(4, 2),
            Y,
            None,
            "The target of row 2 is 2, but the model has outputs for the classes 0 to 1.",
        ),
        (
            nn.Linear(4, 1),
            206_844 + Y,
            None,
            "The target of row 0 is 206,844, but the model has outputs for the classes 0 to 0. "
            "Integers are treated as classes; give regression targets as floats, as y.float().",
        ),
        (
            nn.Linear(4, 3),
            Y,
            nn.CrossEntropyLoss(reduction="none"),
            "The loss returns a tensor of shape (2,); it must return a scalar, such as the mean over the"
            " batch.",
        ),
        (
            nn.Linear(4, 3),
            Y,
            lambda output, target: 0.5,
            "The loss returns a float; it must return a tensor that can be differentiated.",
        ),
        (
            Pair(4, 3),
            Y,
            lambda output, target: nn.functional.cross_entropy(output[0], target),
            "Accuracy requires one tensor, (rows, classes); the model returns a tuple. With metric='loss'"
            " it is judged by its loss.",
        ),
        (
            nn.Linear(4, 1),
            Y,
            lambda output, target: output.mean(),
            "The model returns shape (2, 1), but the targets are class numbers of shape (2,); "
            "accuracy requires an output for each class. Add outputs, or give metric='loss'; for "
            "a regression, give the targets as floats.",
        ),
    ],
)
@pytest.mark.parametrize("form", ["tensors", "dataset"])
def test_a_loss_and_a_metric_that_do_not_fit_are_told_before_the_first_step(
    net: nn.Module, y: torch.Tensor, loss: Any, said: str, form: str
) -> None:
    before = [p.clone() for p in net.parameters()]
    rows: Any = (X, y) if form == "tensors" else TensorDataset(X, y)
    with pytest.raises(Exception) as caught:  # noqa: PT011
        fit(net, rows, rows, loss=loss, progress=False)
    assert str(caught.value) == said
    assert all(map(torch.equal, before, net.parameters()))


@pytest.mark.parametrize("validated", [False, True])
@pytest.mark.parametrize(
    ("y", "loss", "said"),
    [
        (
            torch.ones(12, 3, dtype=torch.bool),
            None,
            "(n, 3); for model outputs of shape (n, 3), the cross entropy expects (n,); if a row may be"
            " in several classes at once, give y.float() and loss=torch.nn.BCEWithLogitsLoss().",
        ),
        (
            nn.functional.one_hot(Y),
            None,
            "(n, 3); for model outputs of shape (n, 3), the cross entropy expects (n,); if the "
            "targets are one-hot, give y.argmax(1).",
        ),
        (
            Y[:, None],
            nn.CrossEntropyLoss(),
            "(n, 1); for model outputs of shape (n, 3), the cross entropy expects (n,); give y.reshape(-1).",
        ),
        (
            torch.stack([Y, 5 + Y, Y], 1),
            None,
            "(n, 3); for model outputs of shape (n, 3), the cross entropy expects (n,); for a regression,"
            " give the targets as floats.",
        ),
    ],
)
def test_class_numbers_that_are_not_one_for_each_row(
    y: torch.Tensor, loss: Any, said: str, validated: bool
) -> None:
    with pytest.raises(InputError) as caught:
        fit(nn.Linear(4, 3), (X, y), (X, y) if validated else None, loss=loss, progress=False)
    assert str(caught.value) == f"The targets are class numbers of shape {said}"


@pytest.mark.parametrize("weight", [None, torch.tensor([0.0, 1.0, 1.0])])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_class_without_an_output_is_named_when_a_loader_gives_it(
    accumulate: int, weight: torch.Tensor | None
) -> None:
    loss = nn.CrossEntropyLoss(weight)
    right, wrong = (DataLoader(TensorDataset(X, y), 4) for y in (Y, Y + 1))
    said = r"^A target of the batch is 3, but the model has outputs for the classes 0 to 2\.$"
    options: Any = {"loss": loss, "metric": "loss", "accumulate": accumulate, "progress": False}
    with pytest.raises(InputError, match=said):
        fit(nn.Linear(4, 3), wrong, **options)
    with pytest.raises(InputError, match=said):
        fit(nn.Linear(4, 3), right, wrong, **options)


def test_a_subset_holds_the_targets_that_it_picks() -> None:
    data = TensorDataset(X, torch.where(torch.arange(12) == 7, 3, Y).int())
    with pytest.raises(InputError, match=r"^The target of row 1 is 3, but the model has outputs for the"):
        fit(nn.Linear(4, 3), Subset(Subset(data, [1, 7, 9]), [0, 1]), progress=False)
    fit(nn.Linear(4, 3), Subset(Subset(data, [1, 7, 9]), [0, 2]), epochs=1, progress=False)


def test_ignored_targets_are_no_fault() -> None:
    y = torch.where(torch.arange(12) % 2 == 0, Y, -100)
    assert fit(nn.Linear(4, 3), (X, y), (X, y), epochs=1, progress=False).status == "finished"


def test_a_model_of_several_outputs_is_judged_by_its_loss() -> None:
    def loss(output: Any, target: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(output[0], target)

    run = fit(Pair(4, 3), (X, Y), (X, Y), loss=loss, metric="loss", epochs=2, progress=False)
    assert run.last == run.epochs[-1]["valid_loss"]


@pytest.mark.parametrize("form", ["dataset", "loader"])
def test_rows_of_a_dataset_are_looked_at_too(form: str) -> None:
    def rows(x: torch.Tensor, n: int) -> Any:
        data = TensorDataset(x[:n], Y[:n])
        return data if form == "dataset" else DataLoader(data, 4)

    net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    with pytest.raises(InputError, match=r"The last batch of an epoch has one row \(9 = 2 × 4 \+ 1\)"):
        fit(net, rows(X, 9), batch_size=4, progress=False)
    with pytest.raises(InputError, match="The model cannot take inputs of int64; give it float32"):
        fit(nn.Linear(4, 3), rows(X.long(), 12), progress=False)


class Auxiliary(nn.Linear):
    """Gives more in training than in evaluation, or the other way round, as Inception does."""

    def forward(self, x: torch.Tensor) -> Any:
        out = super().forward(x)
        return out if self.training else (out, out)


def test_what_a_model_gives_in_evaluation_matters_where_it_is_evaluated() -> None:
    assert fit(Auxiliary(4, 3), (X, Y), epochs=1, progress=False).status == "finished"
    with pytest.raises(InputError, match="the model returns a tuple"):
        fit(Auxiliary(4, 3), (X, Y), (X, Y), epochs=1, progress=False)


@pytest.mark.parametrize("ignored", [-100, 2])
def test_targets_that_are_all_ignored_are_told_before_training(ignored: int) -> None:
    loss = nn.CrossEntropyLoss(ignore_index=ignored)
    with pytest.raises(InputError, match=f"All targets to validate on are {ignored}, which the loss ignores"):
        fit(nn.Linear(4, 3), (X, Y), (X, torch.full((12,), ignored)), loss=loss, progress=False)
