"""A metric of the user's own: told of all rows at once, under its name, the larger the better."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.metrics import f1_score
from torch import Tensor, nn
from torch.utils.data import DataLoader

from surefoot.cli import main
from surefoot.errors import InputError
from surefoot.train import fit
from surefoot.train.objective.scoring import name_of
from surefoot.train.run import Run

X = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] + X[:, 1] > 1).long()


def f1(outputs: Tensor, targets: Tensor) -> Tensor:
    guess = outputs.argmax(1)
    both = (guess & targets).sum()
    return 2 * both / (guess.sum() + targets.sum())


def trained(metric: Any, **more: Any) -> Run:
    torch.manual_seed(0)
    options = {"epochs": 3, "progress": False, **more}
    return fit(nn.Linear(4, 2), (X[:60], Y[:60]), (X[60:], Y[60:]), metric=metric, **options)


def test_it_is_of_all_rows_and_not_the_mean_of_batches(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    seen = []

    def counted(outputs: Tensor, targets: Tensor) -> float:
        assert not torch.is_grad_enabled()
        seen.append(len(outputs))
        return float(f1(outputs, targets))

    run = fit(
        model, (X[:60], Y[:60]), (X[60:], Y[60:]), metric=counted, epochs=3, batch_size=7, progress=False
    )
    with torch.no_grad():
        wanted = f1_score(Y[60:], model(X[60:]).argmax(1))
    assert run.last == pytest.approx(wanted)
    assert set(seen) == {40}
    assert run.epochs[-1]["valid_counted"] == run.last
    assert run.epochs[-1]["train_counted"] > 0  # as of accuracy, of as many training rows


def test_it_is_shown_under_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = trained(f1, out=tmp_path / "run", progress=True)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split() == ["epoch", "training", "loss", "validation", "loss", "f1", "time"]
    assert run.closing.startswith(f"validation f1 {run.last:.4f}")
    back = Run.load(tmp_path / "run")
    assert (back.metric, back.last, back.best) == ("f1", run.last, run.best)
    assert [axes.get_ylabel() for axes in run.plot().axes] == ["loss", "f1"]


def test_of_the_loss_alone_there_is_one_column_and_one_panel(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its mean over the validations of an epoch is no metric."""
    run = trained("loss", out=tmp_path / "run", validate_every="1 steps")
    assert "valid_loss_mean" in run.epochs[-1]
    back = Run.load(tmp_path / "run")
    assert (back.metric, back.last, repr(back)) == ("loss", run.last, repr(run))
    assert [axes.get_ylabel() for axes in back.plot().axes] == ["loss"]
    assert main(["runs", str(tmp_path)]) == 0
    assert f"loss {back.say(back.best['valid_loss'])}" in capsys.readouterr().out  # type: ignore[index]


def test_more_is_better() -> None:
    values = iter([0.0, 3.0, 3.0, 2.0, 2.0, 1.0, 1.0])  # after each epoch of validation and training rows
    best = trained(lambda outputs, targets: next(values)).best
    assert best is not None
    assert (best["valid_metric"], best["epoch"]) == (3.0, 2)


def test_where_it_is_not_defined_there_is_none() -> None:
    run = trained(lambda outputs, targets: float("nan"))
    assert run.last is None
    assert run.best is None


def test_what_it_is_called() -> None:
    class Top:
        def __call__(self, outputs: Tensor, targets: Tensor) -> float:
            return 0.0

    def loss(outputs: Tensor, targets: Tensor) -> float:
        return 0.0

    assert [name_of(m) for m in (f1, functools.partial(f1), Top(), lambda o, t: 0.0, loss)] == [
        "f1", "f1", "Top", "metric", "metric"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        (nn.MSELoss, "; not the class MSELoss; create an instance."),
        (3, "The metric must be one of 'accuracy', 'r2', 'loss', or a function of the outputs and targets of "
            "all validation rows, the larger the better; not 3."),
        (lambda o, t: o, "The metric returned a tensor of shape (40, 2); it must return a number."),
        (lambda o, t: None, "The metric returned NoneType; it must return a number."),
    ],
)  # fmt: skip
def test_what_is_none(metric: Any, said: str) -> None:
    with pytest.raises(InputError) as caught:
        trained(metric)
    assert str(caught.value).endswith(said)


def test_outputs_that_are_no_tensor() -> None:
    class Pair(nn.Linear):
        def forward(self, x: Tensor) -> Any:
            return super().forward(x), x

    def loss(output: Any, target: Tensor) -> Tensor:
        return nn.functional.cross_entropy(output[0], target)

    with pytest.raises(InputError, match=r"^The metric f1 requires one tensor .* returns a tuple"):
        fit(Pair(4, 2), (X, Y), (X, Y), loss=loss, metric=f1, epochs=1, progress=False)


def test_batches_of_different_lengths() -> None:
    class Sums(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).transpose(1, 2)

    rows = [(torch.randn(n, 4), torch.zeros(n, dtype=torch.int64)) for n in (3, 5)]
    loader = DataLoader(rows, batch_size=1)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"their batches have shapes \(n, 2, 3\) and \(n, 2, 5\)\. Pad them"):
        fit(Sums(4, 2), loader, loader, metric=f1, epochs=1, progress=False)


def test_what_it_raises_costs_no_work_and_a_run_goes_on_with_the_same_alone(tmp_path: Path) -> None:
    calls = []

    def score(outputs: Tensor, targets: Tensor) -> Tensor:
        calls.append(1)
        if len(calls) == 4:  # of training rows in epoch 2
            raise ZeroDivisionError("nothing was guessed")
        return f1(outputs, targets)

    options: dict[str, Any] = {"out": tmp_path / "run", "checkpoint_every": "1 epoch"}
    with pytest.raises(ZeroDivisionError, match="nothing was guessed"):
        trained(score, **options)
    with pytest.raises(InputError, match="was started with another metric: score, not accuracy"):
        trained("accuracy", resume=True, **options)
    whole, resumed = trained(score), trained(score, resume=True, **options)
    assert [e["valid_score"] for e in resumed.epochs] == [e["valid_score"] for e in whole.epochs]
