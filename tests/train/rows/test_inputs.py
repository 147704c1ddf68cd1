"""Models of several inputs: in a tuple, or by their names in a dict."""

from __future__ import annotations

import re
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from surefoot.errors import InputError
from surefoot.train import fit
from surefoot.train.data import Scaling
from surefoot.train.rows.inputs import Several, of_several, pair_of

A, B = torch.randn(50, 5, generator=torch.Generator().manual_seed(0)).split((3, 2), 1)
UNIT = Scaling("unit", torch.tensor(0.0), torch.tensor(2.0))
Y = (A.sum(1) + B.sum(1) > 0).long()


class Both(nn.Module):
    """Of one tensor, or of its two parts."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 2))

    def forward(self, a, b=None):
        return self.net(a if b is None else torch.cat([a, b], 1))


class Dicts(Dataset):
    def __len__(self):
        return len(A)

    def __getitem__(self, i):
        return {"a": A[i], "b": B[i].numpy(), "labels": int(Y[i])}


class Pairs(Dicts):
    def __getitem__(self, i):
        return (A[i], B[i]), Y[i]


def weights(train, valid=None, **options):
    model = Both()
    run = fit(model, train, valid, **{"epochs": 2, "batch_size": 8, "progress": False, **options})
    return [*model.state_dict().values(), torch.tensor([step["loss"] for step in run.steps])]


def same(one, other, *, bits=True):
    alike = torch.equal if bits else partial(torch.allclose, rtol=1e-4, atol=1e-5)
    return all(alike(a, b) for a, b in zip(one, other, strict=True))


ONE = (torch.cat([A, B], 1), Y)
FORMS = {
    "a tuple": ((A, B), Y),
    "arrays": ((A.numpy(), B.double().numpy()), Y.tolist()),
    "a list": ([A, B], Y),
    "a dict": ({"a": A, "b": B}, Y),
    "a dict with targets": {"a": A, "b": B, "labels": Y},
    "a data set of dicts": Dicts(),
    "a data set of tuples": Pairs(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "options", [{}, {"accumulate": 2, "batch_size": 10}, {"shuffle": False, "precision": "bfloat16"}]
)
def test_training_is_as_of_one_tensor(form, options):
    bits = "accumulate" not in options  # whose parts lie elsewhere in memory, and are summed in another order
    found, wanted = (weights(rows, rows, **options) for rows in (FORMS[form], ONE))
    assert same(found, wanted, bits=bits)


@pytest.mark.parametrize("rows", [Dicts(), Pairs()])
def test_loaders_of_dicts_and_of_tuples(rows):
    plain = DataLoader(TensorDataset(*ONE), 8)
    assert same(weights(DataLoader(rows, 8), rows), weights(plain, ONE))


def test_a_data_set_of_another_library():
    foreign = type("Dataset", (), {"__len__": Dicts.__len__, "__getitem__": Dicts.__getitem__})()
    assert same(weights(foreign, foreign), weights(ONE, ONE))
    assert same(weights(DataLoader(foreign, 8)), weights(DataLoader(TensorDataset(*ONE), 8)))


def test_a_metric_and_a_loss_of_ones_own_see_what_the_model_gives():
    class Named(Both):
        def forward(self, a, b):
            return {"logits": super().forward(a, b)}

    model, seen = Named(), []

    def loss(output, y):
        seen.append(output["logits"].shape)
        return nn.functional.cross_entropy(output["logits"], y)

    rows = {"a": A, "b": B, "target": Y}
    run = fit(model, rows, rows, loss=loss, metric="loss", epochs=1, progress=False)
    assert run.epochs[-1]["valid_loss"] > 0
    assert {*seen} == {(32, 2), (18, 2), (50, 2)}


def test_a_run_is_resumed_bit_for_bit_and_other_rows_are_noticed(tmp_path):
    class Stops(Exception):
        pass

    def stop(count):
        def loss(output, y):
            nonlocal count
            count -= output.requires_grad
            if count < 0:
                raise Stops
            return nn.functional.cross_entropy(output, y)

        return loss

    def run(name, count, rows, **more):
        model = Both()
        options = {"epochs": 3, "batch_size": 8, "progress": False, "checkpoint_every": "2 steps", **more}
        fit(model, rows, rows, loss=stop(count), metric="loss", out=tmp_path / name, **options)
        return [*model.state_dict().values()]

    rows = FORMS["a dict"]
    whole = run("whole", 99, rows)
    with pytest.raises(Stops):
        run("cut", 10, rows)
    with pytest.raises(InputError, match=r"train on: 50 rows of a: 3, float32; b: 2, float32, "):
        run("cut", 99, ({"a": A + 1, "b": B}, Y), resume=True)
    assert same(run("cut", 99, rows, resume=True), whole)


def test_bytes_become_floats_and_a_scaling_has_all_inputs():
    a = (A * 20 + 100).to(torch.uint8)
    scaled = ((a.float() / 50, B * 2), Y)
    assert same(weights(((a, B), Y), scaling=lambda x: (x[0] / 50, x[1] * 2)), weights(scaled))
    rows = ({"a": a, "b": B}, Y)
    by_name = weights(rows, scaling=lambda x: {"a": x["a"] / 50, "b": x["b"] * 2}, shuffle=False)
    assert same(by_name, weights(scaled, shuffle=False))
    assert same(weights(((a, B), Y)), weights(((a.float(), B), Y)))
    assert a.dtype == torch.uint8


def test_a_compiled_step_takes_one_input_and_that_is_said(capsys):
    assert same(weights(FORMS["a tuple"], compile="on", progress=True), weights(FORMS["a tuple"]))
    assert "The training step runs eagerly: its model takes several inputs." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rows", "options", "said"),
    [
        (
            ((A, B[1:]), Y),
            {},
            "but there are: input 1 50, input 2 49.",
        ),
        (({"a": A, "b": B[1:]}, Y), {}, "but there are: a 50, b 49."),
        (((A, B), Y[1:]), {}, "There are 50 inputs and 49 targets"),
        (
            {"a": A, "b": B},
            {},
            "One key of a dict must be the target, labels, label, targets, target or y, and",
        ),
        ({"a": A, "label": Y, "y": Y}, {}, "the keys here are a, label, y."),
        ({"labels": Y}, {}, "the keys here are labels."),
        (({}, Y), {}, "Several inputs must each have one row per target, but there are: none."),
        (({1: A}, Y), {}, "A model is called with its inputs by name, but 1 is not a valid name."),
        (
            ({"a": A, "c": B}, Y),
            {},
            "The rows have 2 inputs, a, c, which the model's forward(a, b=None) does",
        ),
        (
            ((A, B, B), Y),
            {},
            "The rows have 3 inputs, which the model's forward(a, b=None) does not accept: too",
        ),
        (({"a": A, "b": "words"}, Y), {}, "The inputs are neither a tensor nor an array of numbers"),
        (
            ((A, B), Y),
            {"scaling": UNIT},
            "That scaling is for one tensor of inputs",
        ),
        (
            ((A, B), Y),
            {"scaling": lambda x: x[0]},
            "The scaling returns a Tensor; for several inputs it must",
        ),
        (((A, B), Y), {"scaling": lambda x: [t[1:] for t in x]}, "The scaling returns 49 rows for 50"),
    ],
)
def test_what_cannot_be_taken_is_told(rows, options, said):
    with pytest.raises(InputError, match=re.escape(said)):
        weights(rows, **options)


def test_lists_of_numbers_are_told_apart_from_inputs():
    rows = DataLoader([(row.tolist(), y) for row, y in zip(A, Y, strict=True)], 8)
    with pytest.raises(InputError, match=r"does not accept: .*\. A row's numbers belong in one"):
        weights(rows)


def test_rows_to_validate_on_of_another_kind_are_told():
    with pytest.raises(InputError, match=r"the rows to train on, float32 of shape \(3,\) and float32 of"):
        weights(((A, B), Y), ((A, B[:, :1]), Y))


def test_nan_among_several_inputs_is_found():
    from surefoot.train import RunDiverged

    bad = B.clone()
    bad[7, 1] = torch.nan
    with pytest.raises(RunDiverged, match="the inputs of row 7 hold NaN"):
        weights(((A, bad), Y))
    with pytest.raises(RunDiverged, match="the inputs of that step's batch hold NaN"):
        weights(
            TensorDataset(A, bad) and DataLoader([((a, b), y) for a, b, y in zip(A, bad, Y, strict=True)], 8)
        )


def test_a_model_that_writes_into_one_of_its_inputs_is_told():
    class Writes(Both):
        def forward(self, a, b):
            return super().forward(a, b.mul_(2))

    with pytest.raises(InputError, match="The model changes its input in place"):
        fit(Writes(), ((A, B), Y), ((A, B), Y), progress=False)


def test_a_sequence_with_a_tensor_for_each_row_is_rows_as_before():
    assert not of_several(tuple(A), 50)
    assert not of_several([*A], 50)
    assert not of_several([0.5, 1.0], 50)
    assert not of_several([], 0)
    assert of_several((A, B), 50)
    assert of_several([A.numpy()], 50)
    assert same(weights((tuple(A.repeat(1, 2)[:, :5]), Y)), weights((A.repeat(1, 2)[:, :5], Y)))


def test_several_can_be_split_as_a_tensor_can():
    x = Several.of({"a": A, "b": B})
    assert len(x) == 50
    assert x.numel() == 250
    assert [len(part) for part in x.split(20)] == [20, 20, 10]
    assert [len(part) for part in x.tensor_split(3)] == [17, 17, 16]
    rows = torch.tensor([3, 1])
    assert torch.equal(x.index_select(0, rows).given["b"], B[rows])
    assert torch.equal(Several.of((A, B))[2:4].given[0], A[2:4])
    assert np.isclose(float(x.clone().parts[0].sum()), float(A.sum()))
    assert pair_of({"y": 1, "x": 2}) == ({"x": 2}, 1)


def test_rows_to_validate_on_by_other_names_are_told():
    for valid in (({"a": A, "c": B}, Y), ((A, B), Y)):
        said = "a: float32 of shape (3,) and b: float32 of shape (2,), but not those to validate on"
        if isinstance(valid[0], tuple):  # which the model takes as well
            weights(FORMS["a dict"], valid)
            continue
        with pytest.raises(InputError, match=re.escape(said)):
            weights(FORMS["a dict"], valid)


def test_a_hook_may_change_what_the_model_is_called_with():
    model, plain = Both(), Both()
    model.register_forward_pre_hook(lambda m, given, named: ((torch.cat(given, 1),), {}), with_kwargs=True)
    fit(model, ((A, B[:, :1], B[:, 1:]), Y), epochs=1, progress=False)
    fit(plain, ((A, B), Y), epochs=1, progress=False)
    assert same(model.state_dict().values(), plain.state_dict().values())


def test_the_order_of_names_is_no_other_rows(tmp_path):
    options = {"epochs": 1, "progress": False, "out": tmp_path / "run"}
    first = fit(Both(), ({"a": A, "b": B}, Y), **options)
    again = fit(Both(), ({"b": B, "a": A}, Y), resume=True, **options)
    assert again.steps == first.steps  # it was at its end


class Pair(NamedTuple):
    x: torch.Tensor
    y: torch.Tensor


class Columns:
    x, y = ONE

    def __len__(self):
        return 2

    def __getitem__(self, name):
        return {"x": self.x, "y": self.y}[name]


def test_what_is_called_a_data_set_and_holds_x_and_y_is_rows():
    named = type("Dataset", (Pair,), {})(*ONE)
    for rows in (
        named,
        type("Dataset", (Columns,), {})(),
        type("Dataset", (dict,), {})(FORMS["a dict with targets"]),
    ):
        assert same(weights(rows), weights(ONE))


@pytest.mark.parametrize("name", [0, None, 1])
def test_a_name_that_is_no_text_is_told(name):
    with pytest.raises(InputError, match=f"by name, but {name} is not a valid name"):
        weights(({name: A, "b": B}, Y))
