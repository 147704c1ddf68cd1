from __future__ import annotations

import json
import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import ReduceLROnPlateau, StepLR
from torch.utils.data import DataLoader, TensorDataset

from surefoot import SGD
from surefoot.errors import InputError
from surefoot.train.compiled import choose
from surefoot.train.data import order
from surefoot.train.fitting import fit
from surefoot.train.run import Interrupted, Run, RunDiverged

torch.manual_seed(0)
X = torch.randn(60, 16)  # rows of 64 bytes: wherever a batch begins, it is aligned, and sums are made alike
Y = (X @ torch.randn(16, 3)).argmax(1)
VALID = (X[:20], Y[:20])


def model(dropout: float = 0.0) -> nn.Module:
    with torch.random.fork_rng([]):
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 3))


def sgd(params: Any) -> SGD:
    return SGD(params, lr=0.1, momentum=0.9, nesterov=True)


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(
        torch.equal(p, q) for p, q in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


def test_fit_is_the_plain_loop() -> None:
    net, plain = model(), model()
    run = fit(net, (X, Y), VALID, optimizer=sgd, epochs=3, batch_size=16, seed=7, progress=False)
    optimizer, losses = sgd(plain.parameters()), []
    for epoch in (1, 2, 3):
        rows = order(60, 7, epoch)
        for part in rows.split(16):
            optimizer.zero_grad()
            loss = functional.cross_entropy(plain(X[part]), Y[part])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert same(net, plain)
    assert [record["loss"] for record in run.steps] == losses
    last = run.epochs[-1]
    assert (last["epoch"], last["step"]) == (3, 12)
    sizes = [16, 16, 16, 12]
    assert last["train_loss"] == pytest.approx(
        sum(a * n for a, n in zip(losses[-4:], sizes, strict=True)) / 60
    )
    output = plain.eval()(VALID[0])
    assert last["valid_accuracy"] == (output.argmax(1) == VALID[1]).double().mean().item()
    assert last["valid_loss"] == pytest.approx(functional.cross_entropy(output, VALID[1]).item())


def test_the_default_optimizer() -> None:
    net, other = model(), model()
    fit(net, (X, Y), progress=False)
    fit(other, (X, Y), progress=False, optimizer=lambda p: SGD(p, lr=0.05, momentum=0.9, nesterov=True))
    assert same(net, other)


def test_an_optimizer_may_be_given_ready_made() -> None:
    net, other = model(), model()
    fit(net, (X, Y), optimizer=sgd(net.parameters()), progress=False)
    fit(other, (X, Y), optimizer=sgd, progress=False)
    assert same(net, other)


def test_an_optimizer_whose_steps_autograd_goes_through_is_refused() -> None:
    for kind in (SGD, torch.optim.SGD):
        with pytest.raises(InputError, match="The optimizer has differentiable=True, which is for"):
            fit(
                model(), (X, Y), optimizer=lambda p, k=kind: k(p, lr=0.1, differentiable=True), progress=False
            )


def test_to_go_on_it_needs_a_folder() -> None:
    with pytest.raises(InputError, match="resume=True requires out, the folder of the run to continue"):
        fit(model(), (X, Y), resume=True, progress=False)


def test_one_seed_is_one_result_and_leaves_the_random_state_alone() -> None:
    nets = [model(dropout=0.5) for _ in range(3)]
    state = torch.get_rng_state()
    runs = [
        fit(net, (X, Y), VALID, seed=seed, progress=False, epochs=2)
        for net, seed in zip(nets, (3, 3, 4), strict=True)
    ]
    assert torch.equal(state, torch.get_rng_state())
    assert same(nets[0], nets[1])
    assert [r["loss"] for r in runs[0].steps] == [r["loss"] for r in runs[1].steps]
    assert not same(nets[0], nets[2])


@pytest.mark.parametrize("form", ["arrays", "dataset"])
def test_every_form_of_rows_gives_the_same_run(form: str) -> None:
    rows: Any = (X.numpy(), Y.numpy()) if form == "arrays" else TensorDataset(X, Y)
    net, other = model(0.5), model(0.5)
    fit(net, (X, Y), epochs=2, progress=False)
    fit(other, rows, epochs=2, progress=False)
    assert same(net, other)


def test_a_dataloader_keeps_its_own_order_and_size() -> None:
    net, other = model(), model()
    fit(net, (X, Y), VALID, epochs=2, batch_size=10, shuffle=False, progress=False)
    loader: Any = DataLoader(TensorDataset(X, Y), batch_size=10)
    run = fit(other, loader, DataLoader(TensorDataset(*VALID), batch_size=7), epochs=2, progress=False)
    assert same(net, other)
    assert len(run.steps) == 12


def test_batches_in_parts_make_the_same_run(tmp_path: Path) -> None:
    options: dict[str, Any] = {"optimizer": sgd, "batch_size": 16, "schedule": "cosine", "clip": 0.5}
    net, other = model(), model()
    run = fit(net, (X, Y), VALID, **options, progress=False)
    parted = fit(
        other, (X, Y), VALID, **options, accumulate=np.int64(5), out=tmp_path / "run", progress=False
    )
    for p, q in zip(net.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-5)
    assert [s["lr"] for s in parted.steps] == [s["lr"] for s in run.steps]
    assert [s["loss"] for s in parted.steps] == pytest.approx([s["loss"] for s in run.steps], rel=1e-4)
    assert "accumulate = 5" in (tmp_path / "run" / "config.toml").read_text()


def test_a_dataloaders_batch_size_is_the_runs(tmp_path: Path) -> None:
    loader: Any = DataLoader(TensorDataset(X, Y), batch_size=40)
    fit(model(), loader, epochs=1, batch_size=0, accumulate=33, out=tmp_path / "run", progress=False)
    assert "batch_size = 40" in (tmp_path / "run" / "config.toml").read_text()
    with pytest.raises(InputError, match=r"^A batch of 40 rows cannot be taken in 41 parts; "):
        fit(model(), loader, epochs=1, accumulate=41, progress=False)


@pytest.mark.parametrize(
    ("every", "inside", "at_ends"),
    [
        ("1 epoch", [], [1, 2, 3]),
        ("step", [1, 2, 3, 5, 6, 7, 9, 10, 11], [1, 2, 3]),
        ("2 steps", [2, 6, 10], [1, 2, 3]),
        ("3 steps", [3, 6, 9], [3]),  # step 12 ends the third epoch
        ("5 steps", [5, 10], [3]),  # and the last step always validates
        ("2 epochs", [], [2, 3]),
        ("100 steps", [], [3]),
    ],
)
def test_validation_comes_as_often_as_asked(every: str, inside: list[int], at_ends: list[int]) -> None:
    run = fit(model(), (X, Y), VALID, batch_size=16, epochs=3, validate_every=every, progress=False)
    assert [r["step"] for r in run.records if r["kind"] == "valid"] == inside
    assert [r["epoch"] for r in run.epochs if "valid_loss" in r] == at_ends


def test_the_mean_of_an_epochs_accuracies() -> None:
    run = fit(model(), (X, Y), VALID, batch_size=16, epochs=1, validate_every="step", progress=False)
    values = [r["valid_accuracy"] for r in run.validations]
    assert len(values) == 4
    assert run.epochs[0]["valid_accuracy_mean"] == pytest.approx(sum(values) / 4)


def test_validating_changes_nothing() -> None:
    net, other = model(0.5), model(0.5)
    fit(net, (X, Y), progress=False)
    fit(other, (X, Y), VALID, validate_every="step", progress=False)
    assert same(net, other)


def test_the_schedule_is_stepped_after_each_batch() -> None:
    run = fit(model(), (X, Y), schedule="warm-up", warmup="4 steps", epochs=2, batch_size=20, progress=False)
    assert [r["lr"] for r in run.steps] == pytest.approx([0.01, 0.02, 0.03, 0.04, 0.05, 0.05])
    assert [r["lr"] for r in run.epochs] == pytest.approx([0.03, 0.05])
    made = fit(
        model(),
        (X, Y),
        schedule=lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.5),
        epochs=1,
        batch_size=20,
        progress=False,
    )
    assert [r["lr"] for r in made.steps] == [0.05, 0.025, 0.0125]


@pytest.mark.parametrize("form", ["tensors", "loader"])
def test_float64_is_the_models_to_keep(form: str) -> None:
    wide, rows = model().double(), (X.double(), Y)
    given = rows if form == "tensors" else DataLoader(TensorDataset(*rows), 32)
    run = fit(wide, given, rows, optimizer=sgd, shuffle=False, progress=False)
    net = model()
    narrow = fit(net, given, rows, optimizer=sgd, shuffle=False, progress=False)  # a model of float32
    assert run.steps[-1]["loss"] == pytest.approx(narrow.steps[-1]["loss"], rel=1e-4)
    assert all(p.dtype == torch.float64 for p in wide.parameters())


def test_a_regression_by_the_same_loop() -> None:
    y = X[:, :2] @ torch.tensor([[1.0], [2.0]]) + 3
    run = fit(nn.Linear(16, 1), (X, y), (X, y), epochs=30, progress=False)
    assert run.metric == "r2"
    assert run.last == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("weighed", [False, True])  # whether losses count by other than their rows
def test_no_step_waits_for_the_device(weighed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    loss = nn.CrossEntropyLoss(torch.arange(1.0, 4)) if weighed else None
    waits = []
    for name in ("item", "tolist", "__bool__", "__float__", "__int__", "cpu", "numpy"):
        real: Callable[..., Any] = getattr(Tensor, name)

        def counted(self: Tensor, *args: Any, real: Callable[..., Any] = real, name: str = name) -> Any:
            waits.append(name)
            return real(self, *args)

        monkeypatch.setattr(Tensor, name, counted)
    monkeypatch.setattr("surefoot.train.history._SECONDS", 1e9)
    fit(model(), (X, Y), VALID, loss=loss, batch_size=1, epochs=1, clip=1.0, progress=False)
    # targets looked at first, and for ignored ones, or for a batch that weighs anything; the losses, and
    # their weights; a validation, and the same of training rows
    assert waits == ["tolist", "tolist", "__bool__", *["tolist"] * weighed, "tolist", "tolist", "tolist"]


def test_bfloat16(tmp_path: Path) -> None:
    net, other = model(), model()
    run = fit(net, (X, Y), VALID, precision="bfloat16", progress=False)
    fit(other, (X, Y), VALID, progress=False)
    assert not same(net, other)
    assert run.epochs[-1]["train_loss"] < run.epochs[0]["train_loss"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"epochs": 0}, "The number of epochs must be at least 1, not 0."),
        (
            {"accumulate": 33},
            "A batch of 32 rows cannot be taken in 33 parts; accumulate at most as many parts as",
        ),
        ({"batch_size": -1}, "The batch size must be at least 1, not -1."),
        ({"precision": "half"}, "Unknown precision 'half'; known: bfloat16, float32."),
        (
            {"optimizer": "adam"},
            "The optimizer must be one over the model's parameters, or a function that makes one from them,"
            " not 'adam'.",
        ),
        (
            {"optimizer": lambda params: None},
            "The optimizer function returns None; it must return an optimizer.",
        ),
        (
            {"optimizer": sgd(nn.Linear(2, 2).parameters())},
            "The optimizer has none of the model's parameters, so the model would not change;",
        ),
        (
            {"schedule": lambda optimizer: ReduceLROnPlateau(optimizer)},
            "ReduceLROnPlateau.step requires metrics; fit calls step() after every batch without arguments",
        ),
        (
            {"schedule": StepLR(sgd(nn.Linear(2, 2).parameters()), 3)},
            "The schedule must be constant, cosine, step, one-cycle, warm-up, or a function that makes one"
            " from the optimizer, not a StepLR already made.",
        ),
        ({"loss": "mse"}, "Unknown loss 'mse'; known: cross-entropy, squared-error."),
        (
            {"schedule": "linear"},
            "Unknown schedule 'linear'; known: constant, cosine, one-cycle, step, warm-up.",
        ),
        ({"device": "quantum"}, "There is no device 'quantum' here; auto would use "),
        ({"valid": (X, Y[:3])}, "There are 60 inputs and 3 targets; each input requires one target."),
    ],
)
def test_what_fit_cannot_use(options: dict[str, Any], text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        fit(model(), (X, Y), **options, out=tmp_path / "run")
    assert str(caught.value).startswith(text)
    assert not (tmp_path / "run").exists()


class Spoilt(nn.Module):
    """Gives NaN from its `bad`th training batch on."""

    def __init__(self, bad: int) -> None:
        super().__init__()
        self.inner, self.bad, self.calls = model(), bad, 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += self.training
        output: Tensor = self.inner(x)
        return output * float("nan") if self.calls >= self.bad else output


def test_a_diverged_loss_names_its_step_and_keeps_the_last_good_model(tmp_path: Path) -> None:
    net, good = Spoilt(150), Spoilt(10**9)
    fit(good, (X, Y), optimizer=sgd, batch_size=6, epochs=10, progress=False)  # 100 steps
    with pytest.raises(RunDiverged) as caught:
        fit(net, (X, Y), VALID, optimizer=sgd, batch_size=6, epochs=20, progress=False, out=tmp_path / "run")
    assert str(caught.value) == (
        "The loss became NaN at step 150 (epoch 15); try a smaller lr than 0.1, such as 0.01,"
        f" or clip the gradient's norm to 1; the model of step 100 is kept in {tmp_path / 'run'}."
    )
    assert same(net, good)
    assert caught.value.run.status == "diverged"
    assert caught.value.run.steps[-1]["step"] == 149
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        ".lock",
        "best.safetensors",
        "config.toml",
        "curves.png",
        "environment.json",
        "metrics.jsonl",
        "model.safetensors",
    }


def test_weights_that_blow_up_keep_good_ones() -> None:
    net = model()
    with pytest.raises(RunDiverged, match=r"such as 1e\+19"):
        fit(net, (X, Y), VALID, optimizer=lambda p: SGD(p, lr=1e20), progress=False)
    assert all(p.isfinite().all() for p in net.parameters())


def test_only_the_validation_loss_diverges() -> None:
    bad = (torch.full((4, 16), float("inf")), Y[:4])
    text = (
        r"The validation loss became NaN at step 2 \(epoch 1\); in the validation rows, the inputs of"
        " row 0 hold inf, as do 3 more rows; the model"
    )
    with pytest.raises(RunDiverged, match=text):
        fit(model(), (X, Y), bad, batch_size=30, progress=False)


def test_inputs_that_are_nan_are_blamed() -> None:
    with pytest.raises(RunDiverged) as caught:
        fit(model(), (X * float("nan"), Y), progress=False)
    assert str(caught.value) == (
        "The loss became NaN at step 1 (epoch 1); the inputs of row 0 hold NaN, as do 59 more rows; the"
        " model of step 0 is kept."
    )


@pytest.mark.parametrize("form", [TensorDataset, lambda x, y: DataLoader(TensorDataset(x, y), 32)])
@pytest.mark.parametrize("what", ["inputs", "targets"])
def test_nan_in_rows_that_are_read_one_by_one_is_blamed(form: Any, what: str) -> None:
    x, y = X.clone(), X[:, :1].clone()
    (x if what == "inputs" else y)[40, 0] = float("nan")
    text = rf"^The loss became NaN at step 2 \(epoch 1\); the {what} of that step's batch hold NaN; the model"
    with pytest.raises(RunDiverged, match=text):
        fit(nn.Linear(16, 1), form(x, y), shuffle=False, progress=False)


def test_no_row_of_a_loader_is_blamed_for_a_model() -> None:
    with pytest.raises(RunDiverged, match=r"at step 7 \(epoch 2\); try a smaller lr"):
        fit(Spoilt(7), DataLoader(TensorDataset(X, Y), 10), optimizer=sgd, progress=False)


def test_inputs_that_are_nan_are_blamed_whatever_the_targets() -> None:
    with pytest.raises(RunDiverged, match="the inputs of row 0 hold NaN"):
        fit(nn.Linear(16, 1), (X * torch.nan, 5000 * X[:, :1]), progress=False)


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        ("x", torch.nan, r"; the inputs of row 41 hold NaN; the model"),
        ("x", 1e30, r"; the inputs are as large as 1e\+30: scale them to about 1; the model"),
        ("y", torch.inf, r"; the targets of row 41 hold inf; the model"),
        ("y", torch.nan, r"; the targets of row 41 hold NaN; the model"),
    ],
)
def test_a_bad_number_in_a_later_batch_is_found(where: str, value: float, said: str) -> None:
    x, y = X.clone(), X[:, :1].clone()
    (x if where == "x" else y)[41, 0] = value
    with pytest.raises(RunDiverged, match=said):
        fit(nn.Linear(16, 1), (x, y), batch_size=10, shuffle=False, progress=False)


def test_the_optimizer_is_made_of_the_model_on_its_device() -> None:
    called = []

    class Moved(nn.Linear):
        def to(self, *args: Any, **kwargs: Any) -> Moved:
            called.append("to")
            return super().to(*args, **kwargs)

    def made(params: Any) -> SGD:
        called.append("made")
        return sgd(params)

    fit(Moved(16, 3), (X, Y), optimizer=made, epochs=1, progress=False)
    assert called == ["to", "made"]


def test_targets_that_are_too_large_are_blamed() -> None:
    y = 300_000 + 80_000 * X[:, :1]
    said = r"the targets are as large as \d{3},\d{3}, which makes steps too large"
    with pytest.raises(RunDiverged, match=said):
        fit(nn.Linear(16, 1), (X, y), optimizer=lambda p: SGD(p, lr=1.0), epochs=50, progress=False)


def interrupting(after: int) -> Iterator[None]:
    for _ in range(after):
        yield
    signal.raise_signal(signal.SIGINT)
    while True:
        yield


@pytest.mark.parametrize(("after", "step", "epochs"), [(5, 6, 1), (3, 4, 1), (0, 1, 0)])
def test_ctrl_c_ends_after_the_step(tmp_path: Path, after: int, step: int, epochs: int) -> None:
    ticks = interrupting(after)

    def loss(output: Tensor, target: Tensor) -> Tensor:
        if torch.is_grad_enabled():  # else it is tried before the first step
            next(ticks)
        return functional.cross_entropy(output, target)

    net, other = model(), model()
    with pytest.raises(Interrupted) as caught:
        fit(net, (X, Y), optimizer=sgd, loss=loss, batch_size=15, progress=False, out=tmp_path / "run")
    assert str(caught.value) == (
        f"Stopped at step {step} of 20; the results so far are saved in {tmp_path / 'run'}."
    )
    run = caught.value.run
    assert (len(run.steps), len(run.epochs), run.status) == (step, epochs, "interrupted")
    optimizer = sgd(other.parameters())
    parts = [part for epoch in (1, 2) for part in order(60, 0, epoch).split(15)]
    for part in parts[:step]:
        optimizer.zero_grad()
        functional.cross_entropy(other(X[part]), Y[part]).backward()
        optimizer.step()
    assert same(net, other)
    assert (tmp_path / "run" / "model.safetensors").exists()


def test_ctrl_c_in_the_very_last_step_is_too_late() -> None:
    ticks = interrupting(3)

    def loss(output: Tensor, target: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            next(ticks)
        return functional.cross_entropy(output, target)

    run = fit(model(), (X, Y), loss=loss, batch_size=15, epochs=1, progress=False)
    assert run.status == "finished"


def test_fit_works_outside_the_main_thread() -> None:
    runs = []
    thread = threading.Thread(target=lambda: runs.append(fit(model(), (X, Y), progress=False)))
    thread.start()
    thread.join()
    assert runs[0].status == "finished"


def test_a_failure_saves_what_was_done(tmp_path: Path) -> None:
    class Late(nn.Linear):
        calls = 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += self.training
            if self.calls == 10:
                raise RuntimeError("out of memory, say")
            return super().forward(x)

    net = Late(16, 3)
    with pytest.raises(RuntimeError, match="out of memory, say"):
        fit(net, (X, Y), VALID, batch_size=15, epochs=5, out=tmp_path / "run", progress=False)
    run = Run.load(tmp_path / "run")
    assert (len(run.steps), len(run.epochs), run.status) == (9, 2, "failed")
    for name in ("model.safetensors", "best.safetensors", "curves.png"):
        assert (tmp_path / "run" / name).is_file()
    kept = nn.Linear(16, 3)
    safetensors.torch.load_model(kept, tmp_path / "run/model.safetensors")
    assert same(kept, net)
    again = fit(Late(16, 3), (X, Y), VALID, batch_size=15, epochs=2, out=tmp_path / "run2", progress=False)
    assert again.status == "finished"


def test_a_failure_inside_the_model_is_the_users_to_see() -> None:
    class Broken(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("my own mistake")

    with pytest.raises(RuntimeError, match="my own mistake"):
        fit(Broken(16, 3), (X, Y))


def test_a_second_run_with_the_same_optimizer_begins_with_its_lr() -> None:
    net = model()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
    rates = [
        [r["lr"] for r in fit(net, (X, Y), optimizer=optimizer, schedule="cosine", epochs=1).steps]
        for _ in "ab"
    ]
    assert rates[0] == rates[1]
    assert rates[0][0] == 0.5
    assert optimizer.param_groups[0]["lr"] == 0.5
    with pytest.raises(InputError):  # after the schedule was made
        fit(net, (X, Y), optimizer=optimizer, schedule="warm-up", epochs=9, out=__file__, progress=False)
    assert optimizer.param_groups[0]["lr"] == 0.5


def test_with_a_loss_of_ones_own_the_best_is_the_least(tmp_path: Path) -> None:
    y = (X[:, :1] > 0).float()
    run = fit(
        nn.Linear(16, 1),
        (X, y),
        (X[:20], y[:20]),
        loss=nn.BCEWithLogitsLoss(),
        epochs=4,
        out=tmp_path / "run",
        progress=False,
    )
    losses = [r["valid_loss"] for r in run.epochs]
    assert run.best == run.epochs[losses.index(min(losses))]
    assert "valid_r2" not in run.epochs[0]
    assert run.closing.startswith(f"validation loss {losses[-1]:.4f} ")
    assert Run.load(tmp_path / "run").best == run.best
    with safetensors.safe_open(tmp_path / "run/best.safetensors", "pt") as file:
        assert f'"loss": {min(losses)!r}' in file.metadata()["surefoot"]


def test_numbers_and_folders_as_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    run = fit(model(), (X, Y), seed=np.int64(3), epochs=1, out="~/runs/one", progress=False)  # type: ignore[arg-type]
    assert run.folder == tmp_path / "runs/one"


def test_the_folder_tells_what_was_run(tmp_path: Path) -> None:
    run = fit(model(), (X, Y), VALID, epochs=2, batch_size=20, progress=False, out=tmp_path / "run")
    text = (tmp_path / "run" / "config.toml").read_text()
    assert 'model = "torch.nn.modules.container:Sequential"' in text
    assert "epochs = 2\n" in text
    assert 'optimizer = "sgd"\nlr = 0.05\nmomentum = 0.9\n' in text
    assert run.folder == tmp_path / "run"
    assert repr(run).startswith("<Run run: validation accuracy ")


def test_training_accuracy_is_that_of_the_first_rows_without_dropout() -> None:
    net = model(0.5)
    run = fit(net, (X, Y), VALID, epochs=2, progress=False)
    expected = (net.eval()(X[:20]).argmax(1) == Y[:20]).double().mean().item()
    assert run.epochs[-1]["train_accuracy"] == expected
    loader: Any = DataLoader(TensorDataset(X, Y), batch_size=10)
    assert "train_accuracy" not in fit(model(), loader, VALID, epochs=1, progress=False).epochs[-1]
    assert "train_accuracy" not in fit(model(), (X, Y), epochs=1, progress=False).epochs[-1]
    y = X[:, :1] + 3
    assert fit(nn.Linear(16, 1), (X, y), (X, y), epochs=20, progress=False).epochs[-1]["train_r2"] > 0.9


def test_the_step_is_made_for_a_whole_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def chosen(compile: str, job: Any, batch: Any, *given: Any, **named: Any) -> Any:
        seen.append(len(batch[0]))
        return choose.choose(compile, job, batch, *given, **named)

    monkeypatch.setattr("surefoot.train.training.choose", chosen)
    rows = torch.randn(2500, 16), torch.zeros(2500, dtype=torch.long)
    fit(model(), rows, optimizer=sgd, batch_size=2000, epochs=1)
    assert seen == [2000]  # more than are evaluated at once


def test_training_seconds_leave_out_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("surefoot.train.history.time.perf_counter", lambda: clock[0])

    class Slow(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            clock[0] += 1 if self.training else 100
            return super().forward(x)

    run = fit(Slow(16, 3), (X, Y), VALID, batch_size=15, epochs=2, validate_every="2 steps", progress=False)
    assert [(r["seconds"], r["train_seconds"]) for r in run.epochs] == [(304, 4), (304, 4)]


def test_the_first_loss_is_nan_in_a_folder(tmp_path: Path) -> None:
    with pytest.raises(RunDiverged, match=r"^The loss became NaN at step 1 \(epoch 1\); the inputs of row 0"):
        fit(model(), (X * torch.nan, Y), VALID, epochs=1, out=tmp_path / "run", progress=False)
    end = json.loads((tmp_path / "run/metrics.jsonl").read_text())
    assert end["why"].startswith("The loss became NaN at step 1 (epoch 1); the inputs of row 0")
    assert {**end, "why": ""} == {"kind": "end", "status": "diverged", "why": "", "lr": None}
    assert not (tmp_path / "run/curves.png").exists()


def test_a_long_run_of_what_cannot_be_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "LONG", 1)
    net = model()
    net.lock = threading.Lock()  # type: ignore[assignment]
    assert fit(net, (X, Y), epochs=1, progress=False).status == "finished"


def test_a_loss_of_ones_own_is_not_called_on_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "LONG", 1)
    calls = []

    def loss(output: Tensor, target: Tensor) -> Tensor:
        calls.append(len(output))
        return nn.functional.cross_entropy(output, target)

    fit(model(), (X, Y), loss=loss, epochs=1, batch_size=20, progress=False)
    assert len(calls) == 3


def test_it_trains_where_gradients_are_off() -> None:
    weights = []
    for off in (nullcontext, torch.no_grad, torch.inference_mode):
        net = model()
        with off():
            fit(net, (X.clone(), Y.clone()), (X.clone(), Y.clone()), epochs=1, progress=False)
        weights.append(torch.cat([p.detach().flatten() for p in net.parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert torch.equal(weights[0], weights[2])


def test_a_model_of_inference_tensors_is_refused() -> None:
    with torch.inference_mode():
        net = model()
    with pytest.raises(InputError, match=r"^The model's 0.weight was made under torch.inference_mode\(\)"):
        fit(net, (X, Y), progress=False)


def test_a_model_without_numbers_is_refused() -> None:
    with pytest.raises(InputError, match="The model's weight is on the device 'meta', which holds"):
        fit(nn.Linear(16, 3, device="meta"), (X, Y), progress=False)


def test_numpys_numbers_are_welcome() -> None:
    one, same = (
        fit(model(), (X, Y), epochs=whole(2), batch_size=whole(20), accumulate=whole(2), progress=False)
        for whole in (int, np.int64)
    )
    assert [r["loss"] for r in one.steps] == [r["loss"] for r in same.steps]


@pytest.mark.parametrize("stderr", [None, "a writer of somebody's own"])
def test_no_bar_where_there_is_no_terminal(stderr: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Writer:
        def write(self, text: str) -> None: ...

        def flush(self) -> None: ...

    monkeypatch.setattr("sys.stderr", stderr and Writer())
    assert fit(model(), (X, Y), epochs=1).status == "finished"


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_loss_that_writes_into_the_targets_is_told_before_it_does(shuffle: bool) -> None:
    y = X[:, :1].clone()

    def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return (output - target.mul_(2)).square().mean()

    with pytest.raises(InputError, match=r"^The loss changes the targets in place.*target.clone\(\)\.$"):
        fit(nn.Linear(16, 1), (X, y), (X, y), loss=loss, shuffle=shuffle, progress=False)
    assert torch.equal(y, X[:, :1])


def test_shares_of_classes_are_judged_by_their_loss() -> None:
    shares = torch.softmax(3 * X[:, :3], 1)
    run = fit(nn.Linear(16, 3), (X, shares), (X, shares), loss="cross-entropy", epochs=3, progress=False)
    assert run.metric == "loss"
    assert run.best is not None
    assert run.best["epoch"] == 3


def test_complex_targets_are_measured() -> None:
    z = X.to(torch.complex64)
    net = nn.Linear(16, 1, dtype=torch.complex64)
    rows = (z, z[:, :1])
    with pytest.raises(InputError, match=r"^The targets are complex, .* loss=lambda"):
        fit(net, rows, progress=False)
    run = fit(net, rows, rows, loss=lambda o, t: (o - t).abs().square().mean(), epochs=20, progress=False)
    assert run.metric == "loss"
    assert run.epochs[-1]["valid_loss"] < run.epochs[0]["valid_loss"]


class Pair(nn.Module):
    """Two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> Any:
        return self.layer(x), x


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            {"schedule": lambda optimizer: 3},
            "The schedule function returns an int; it must return a scheduler",
        ),
        ({"scaling": 3}, "The scaling must be a function of the inputs, not 3."),
        ({"scaling": lambda x: x.tolist()}, "The scaling returns a list; it must return a tensor."),
        ({"scaling": lambda x: x[:5]}, "The scaling returns 5 rows for 60; it must keep every row."),
        ({"train": (X, X[:, 0]), "loss": "cross-entropy"}, "The cross entropy expects class numbers, or a"),
        ({"train": (X.to_sparse(), Y)}, "The inputs are sparse; give them as x.to_dense()."),
        ({"train": (X.to("meta"), Y)}, "The inputs are on the device 'meta'."),
        ({"model": Pair()}, "The model returns a tuple, which the loss does not accept (TypeError: "),
        (
            {"model": nn.Linear(16, 1), "train": (X, X[:, 0]), "loss": nn.MSELoss()},
            "The model returns shape (n, 1), but the targets have shape (n,); torch's loss would "
            "broadcast them; give them as y.reshape(-1, 1), or loss='squared-error'.",
        ),
        (
            {
                "model": nn.Linear(16, 1),
                "train": (X, X[:, 0]),
                "loss": partial(functional.mse_loss, reduction="mean"),
            },
            "The model returns shape (n, 1), but the targets have shape (n,); torch's loss would broadcast",
        ),
        (
            {"model": nn.Linear(16, 2), "loss": partial(functional.cross_entropy, label_smoothing=0.1)},
            "The target of row",
        ),
        (
            {"model": nn.Linear(16, 2), "train": (X, X[:, :1]), "loss": functional.l1_loss},
            "The model returns shape (n, 2), but the targets have shape (n, 1); torch's loss "
            "would broadcast them; give as many outputs as targets, or your own loss that "
            "broadcasts on purpose.",
        ),
        (
            {"validate_every": 5},
            "validate-every must be a number of steps or epochs, such as '50 steps' or",
        ),
        (
            {"checkpoint_every": 5},
            "checkpoint-every must be a number of steps, epochs, seconds, minutes or hours, such as",
        ),
        ({"out": ""}, "The run folder must be a path, not ''."),
        ({"out": b"runs"}, "The run folder must be a path, not b'runs'."),
        ({"out": "a\0b"}, r"The run folder must be a path, not 'a\x00b'."),
    ],
    ids=range(17),
)
def test_what_cannot_be_used_is_told_in_a_sentence(
    more: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given: dict[str, Any] = {"model": model(), "train": (X, Y), "progress": False, **more}
    with pytest.raises(InputError) as caught:
        fit(**given)
    assert str(caught.value).startswith(said)
    assert not [*tmp_path.iterdir()]


def test_inputs_that_ask_for_a_gradient_are_trained_on_as_any() -> None:
    x = X.clone().requires_grad_()
    assert fit(model(), (x, Y), epochs=2, progress=False).status == "finished"
    assert x.grad is None


def test_rows_with_a_one_for_their_class_are_told() -> None:
    hot = functional.one_hot(Y, 3)
    with pytest.raises(InputError, match=r"if the targets are one-hot, give y.argmax\(1\)\.$"):
        fit(nn.Linear(16, 3), (X, hot), (X, hot), progress=False)


def test_rows_that_were_trained_on_before_are_not_blamed() -> None:
    """A number that a model copes with, or that was huge before it was scaled."""

    class Copes(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x.nan_to_num(0.0, 0.0, 0.0))

    x = X.clone()
    x[41, 0] = torch.inf
    with pytest.raises(RunDiverged, match="try a smaller lr than 3"):
        fit(Copes(16, 1), (x, X[:, :1]), optimizer=lambda p: SGD(p, lr=3.0), epochs=200, progress=False)
    with pytest.raises(RunDiverged, match=r"try a smaller lr than 1e\+06"):
        fit(
            nn.Linear(16, 1),
            (1e9 * X, X[:, :1]),
            scaling=lambda x: x / 1e9,
            optimizer=lambda p: SGD(p, lr=1e6),
            progress=False,
        )


def test_a_mistake_within_a_loss_of_ones_own_stays_what_it_is() -> None:
    with pytest.raises(TypeError, match="unsupported operand"):
        fit(Pair(), (X, Y), loss=lambda output, target: output[0].sum() + None, progress=False)


def test_a_model_may_write_into_rows_that_are_not_shuffled() -> None:
    x, y = torch.ones(8, 3), torch.zeros(8)
    net = nn.Sequential(nn.Dropout(0.5, inplace=True), nn.Linear(3, 1))
    fit(net, (x, y), shuffle=False, epochs=3, progress=False)
    assert x.eq(1).all()


@pytest.mark.parametrize("validate_every", ["1 epoch", "50 steps", "70 steps", "20 epochs"])
def test_the_last_good_weights_are_recent_however_it_validates(validate_every: str) -> None:
    count = 0

    def loss(output: Tensor, target: Tensor) -> Tensor:
        nonlocal count
        count += output.requires_grad
        return (output - target).square().mean() * (float("nan") if count == 1050 else 1)

    x = torch.linspace(-1, 1, 400)[:, None]
    with pytest.raises(RunDiverged, match="the model of step 1,000 is kept"):
        fit(nn.Linear(1, 1), (x, x), (x, x), loss=loss, batch_size=4, epochs=20, progress=False,
            validate_every=validate_every)  # fmt: skip


def classes(rows: int, ignored: slice = slice(0)) -> tuple[Tensor, Tensor]:
    x = torch.randn(rows, 4, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] > 1).long()
    y[ignored] = -100
    return x, y


WEIGHTS = torch.tensor([0.1, 2.0])
ENTROPIES: dict[str, Any] = {
    "own": None,
    "weights": nn.CrossEntropyLoss(WEIGHTS),
    "partial": partial(functional.cross_entropy, weight=WEIGHTS, label_smoothing=0.1),
    "log": nn.NLLLoss(WEIGHTS),
}


@pytest.mark.parametrize("accumulate", [1, 4])
@pytest.mark.parametrize("metric", ["accuracy", "loss"])
@pytest.mark.parametrize("name", ENTROPIES)
def test_a_validation_loss_is_that_of_all_rows_at_once(name: str, metric: str, accumulate: int) -> None:
    x, y = classes(1500, slice(1000, None))
    order = y.argsort(stable=True)  # so that batches differ in what is ignored, and in classes
    x, y = x[order], y[order]
    net = nn.Sequential(nn.Linear(4, 2), nn.LogSoftmax(1))
    loss = ENTROPIES[name]
    run = fit(net, classes(64), (x, y), loss=loss, metric=metric, epochs=1, accumulate=accumulate,
              progress=False)  # fmt: skip
    whole = (loss or functional.cross_entropy)(net(x), y)
    assert run.validations[-1]["valid_loss"] == pytest.approx(whole.item(), rel=1e-5)


@pytest.mark.parametrize("name", ENTROPIES)
def test_parts_of_a_cross_entropy_are_the_whole(name: str) -> None:
    """Whatever is ignored, and however classes are weighted: no warning, the same weights."""
    ends = []
    for accumulate in (1, 2, 4):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(4, 2), nn.LogSoftmax(1))
        fit(net, classes(96, slice(16, 45)), loss=ENTROPIES[name], shuffle=False, accumulate=accumulate,
            batch_size=32, epochs=3, progress=False)  # fmt: skip
        ends.append(net[0].weight.detach())
    torch.testing.assert_close(ends[1], ends[0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ends[2], ends[0], rtol=1e-5, atol=1e-6)


WEIGHTLESS: list[Any] = [
    nn.CrossEntropyLoss(torch.tensor([0.0, 1.0])),
    partial(functional.cross_entropy, weight=torch.tensor([0.0, 1.0])),
]


@pytest.mark.parametrize("accumulate", [1, 4])
@pytest.mark.parametrize("loss", WEIGHTLESS)
@pytest.mark.parametrize("loader", [False, True])
def test_a_batch_of_classes_that_weigh_nothing_counts_for_nothing(
    loss: Any, accumulate: int, loader: bool
) -> None:
    x, y = classes(64)
    order = y.argsort(stable=True)
    x, y = x[order], y[order]
    rows: Any = DataLoader(TensorDataset(x, y), batch_size=8) if loader else (x, y)
    net = nn.Linear(4, 2)
    run = fit(net, rows, (x, y), loss=loss, shuffle=False, accumulate=accumulate, batch_size=8, epochs=2,
              progress=False)  # fmt: skip
    weightless = [bool((part == 0).all()) for part in y.split(8)] * 2
    assert any(weightless)
    assert [step["loss"] is None for step in run.steps] == weightless
    assert bool(net.weight.isfinite().all())
    assert run.last == (net(x).argmax(1) == y).double().mean()  # where they count as all others


def test_a_part_of_nothing_is_named_where_a_run_ends_by_it() -> None:
    def loss(output: Tensor, target: Tensor) -> Tensor:
        return functional.cross_entropy(output, target, ignore_index=0)

    options: Any = {"loss": loss, "epochs": 1, "batch_size": 64, "progress": False}
    assert fit(nn.Linear(4, 2), classes(64), **options).status == "finished"
    said = "; or, with accumulate=16, a part of that batch may have nothing to average; the model of"
    with pytest.warns(UserWarning, match="accumulate=16 it cannot"), pytest.raises(RunDiverged, match=said):
        fit(nn.Linear(4, 2), classes(64), accumulate=16, **options)


SMOOTHED = torch.tensor([0.0, 1.0])


@pytest.mark.parametrize(
    "loss",
    [
        nn.CrossEntropyLoss(SMOOTHED, label_smoothing=0.1),
        partial(functional.cross_entropy, weight=SMOOTHED, label_smoothing=0.1),
    ],
)
def test_rows_that_weigh_nothing_have_their_share_where_they_are_smoothed(loss: Any) -> None:
    """In whole batches and in parts, some of which weigh nothing; a batch that does counts for nothing."""
    x, y = classes(64)
    order = y.argsort(stable=True)
    ends = []
    for accumulate in (1, 4, 32):
        torch.manual_seed(0)
        net = nn.Linear(4, 2)
        run = fit(net, (x[order], y[order]), loss=loss, shuffle=False, accumulate=accumulate, batch_size=32,
                  epochs=2, progress=False)  # fmt: skip
        assert [step["loss"] is None for step in run.steps] == [True, False] * 2
        ends.append(net.weight.detach())
    for end in ends[1:]:
        torch.testing.assert_close(end, ends[0], rtol=1e-5, atol=1e-6)


def test_a_subclass_that_computes_the_same_weighs_the_same() -> None:
    class Ours(nn.CrossEntropyLoss):
        def __init__(self) -> None:
            super().__init__(WEIGHTS)

    class Other(nn.CrossEntropyLoss):
        def forward(self, output: Tensor, target: Tensor) -> Tensor:
            return super().forward(output, target)

    ends = []
    for loss in (nn.CrossEntropyLoss(WEIGHTS), Ours(), Other(WEIGHTS)):
        torch.manual_seed(0)
        net = nn.Linear(4, 2)
        fit(net, classes(96), loss=loss, accumulate=4, epochs=3, progress=False)
        ends.append(net.weight.detach())
    assert torch.equal(ends[0], ends[1])
    assert not torch.allclose(ends[0], ends[2])  # who knows what that does


def test_targets_that_all_weigh_nothing_are_refused() -> None:
    x, y = classes(64)
    with pytest.raises(
        InputError, match=r"All targets to train on belong to classes with weight 0 in the loss \(0\), so"
    ):
        fit(nn.Linear(4, 2), (x, 0 * y), (x, y), loss=WEIGHTLESS[0], progress=False)
    with pytest.raises(InputError, match="All targets to validate on belong to classes with weight"):
        fit(nn.Linear(4, 2), (x, y), (x, 0 * y), loss=WEIGHTLESS[0], progress=False)


def test_a_smoothed_row_counts_though_its_class_weighs_nothing() -> None:
    x, y = classes(64)
    nets = [nn.Linear(4, 2), nn.Linear(4, 2)]
    nets[1].load_state_dict(nets[0].state_dict())
    loss = nn.CrossEntropyLoss(torch.tensor([0.0, 1.0]), label_smoothing=0.1)
    fit(nets[0], (x, y), loss=loss, epochs=1, batch_size=64, progress=False)
    own = partial(functional.cross_entropy, weight=loss.weight, label_smoothing=0.1)
    fit(nets[1], (x, y), loss=lambda *given: own(*given), epochs=1, batch_size=64, progress=False)
    torch.testing.assert_close(nets[0].weight, nets[1].weight)


def test_the_random_states_outside_stay_whatever_draws() -> None:
    class Draws(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            random.random()
            np.random.rand()
            return super().forward(x)

    net = Draws(4, 1)
    rows = torch.ones(8, 4), torch.zeros(8)
    before = random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()
    runs = [
        fit(deepcopy(net), rows, rows, scaling=lambda x: x + torch.randn_like(x), epochs=2, progress=False)
        for _ in range(2)
    ]
    assert (random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()) == before
    assert runs[0].validations[-1]["valid_loss"] == runs[1].validations[-1]["valid_loss"]


def test_what_is_not_trained_gathers_no_gradients() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    x = torch.ones(8, 2)
    once = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    once.load_state_dict(net.state_dict())
    fit(net, (x, x[:, 0]), optimizer=SGD(net[1].parameters(), lr=0.0), batch_size=8, epochs=4,
        progress=False)  # fmt: skip
    (once(x) - x[:, :1]).square().mean().backward()
    torch.testing.assert_close(net[0].weight.grad, once[0].weight.grad)


def test_a_scaling_in_place_leaves_the_rows() -> None:
    x, y = torch.ones(8, 4), torch.zeros(8)
    fit(nn.Linear(4, 1), (x, y), (x, y), scaling=lambda v: v.sub_(3), epochs=1, progress=False)
    assert x.eq(1).all()


def test_bytes_for_a_model_of_float64() -> None:
    x = torch.randint(0, 256, (8, 4), dtype=torch.uint8)
    rows = (x, torch.zeros(8, dtype=torch.float64))
    assert fit(nn.Linear(4, 1).double(), rows, epochs=1, progress=False).status == "finished"


def test_bytes_that_are_not_scaled_are_told_before_training(capsys: pytest.CaptureFixture[str]) -> None:
    x = torch.randint(200, 256, (8, 4), dtype=torch.uint8)
    x[0, 0] = 255
    rows = (x, torch.arange(8) % 2)
    for scaling, shown, told in [(None, True, 1), (lambda x: x / 255, True, 0), (None, False, 0)]:
        fit(nn.Linear(4, 2), rows, rows, epochs=1, optimizer=slow, scaling=scaling, progress=shown)
        out = capsys.readouterr().out
        assert out.count("The inputs are bytes as large as 255") == told
        assert not told or out.startswith("The inputs")


def slow(params: Any) -> SGD:
    return SGD(params, lr=1e-6)
