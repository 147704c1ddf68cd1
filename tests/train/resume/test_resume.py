"""A resumed run equals the uninterrupted one bit for bit: weights, state, metrics, order of data."""

from __future__ import annotations

import contextlib
import copy
import itertools
import json
import random
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import MultiStepLR
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    TensorDataset,
    WeightedRandomSampler,
)

import surefoot
from surefoot import SGD
from surefoot.errors import InputError
from surefoot.loading import load_file
from surefoot.train import evaluations
from surefoot.train.run import Interrupted, RunDiverged


@pytest.fixture(autouse=True)
def _each_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """However little time an evaluation takes."""
    monkeypatch.setattr(evaluations, "_SHORT", 0.0)


class Noisy(Dataset[tuple[Tensor, Tensor]]):
    """Its rows change whenever they are read, with all three random states."""

    def __init__(self, job: Any) -> None:
        self.x, self.y = job.rows

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        noise = random.random() + np.random.random() + float(torch.rand(()))
        return self.x[row] + 0.1 * noise, self.y[row]


class Plain(Dataset[tuple[Tensor, Tensor]]):
    """Rows that are the same each time."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y = x.tolist(), y.tolist()

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        return torch.tensor(self.x[row]), torch.tensor(self.y[row])


def own_generator(job: Any) -> DataLoader[Any]:
    """Draws the order from the generator itself, again and again, and more than an epoch needs."""
    generator = torch.Generator().manual_seed(5)
    dataset: Any = TensorDataset(*job.rows)
    return DataLoader(dataset, 10, sampler=RandomSampler(dataset, generator=generator), generator=generator)


def weighted(job: Any) -> DataLoader[Any]:
    return DataLoader(Noisy(job), 10, sampler=WeightedRandomSampler(torch.arange(1.0, 51).tolist(), 50))


class Shuffled:
    """Makes batches by a generator of its own."""

    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(3)

    def __len__(self) -> int:
        return 5

    def __iter__(self) -> Any:
        return iter(torch.randperm(50, generator=self.generator).split(10))


class Buffer(IterableDataset[tuple[Tensor, Tensor]]):
    """Shuffles as it goes: each row is drawn when it is asked for."""

    def __init__(self, job: Any) -> None:
        self.x, self.y = job.rows

    def __len__(self) -> int:
        return len(self.x)

    def __iter__(self) -> Any:
        pool: list[int] = []
        for i in range(len(self.x)):
            pool.append(i)
            if len(pool) > 20:
                yield self.drawn(pool)
        while pool:
            yield self.drawn(pool)

    def drawn(self, pool: list[int]) -> tuple[Tensor, Tensor]:
        i = int(torch.randint(1000, ())) + random.randrange(1000) + int(np.random.randint(1000))
        row = pool.pop(i % len(pool))
        return self.x[row], self.y[row]


class Pool(Sampler[int]):
    """Draws each row when it is asked for."""

    def __len__(self) -> int:
        return 50

    def __iter__(self) -> Any:
        pool = list(range(50))
        while pool:
            yield pool.pop(int(torch.randint(len(pool), ())))


ROWS: dict[str, Callable[[Any], Any]] = {
    "tensors": lambda job: job.rows,
    "dataset": Noisy,
    "loader": lambda job: DataLoader(TensorDataset(*job.rows), 10, shuffle=True),
    "own generator": own_generator,
    "weighted": weighted,
    "own batches": lambda job: DataLoader(Noisy(job), batch_sampler=Shuffled()),  # type: ignore[arg-type]
    "buffer": lambda job: DataLoader(Buffer(job), 10),
    "pool": lambda job: DataLoader(Noisy(job), 10, sampler=Pool()),
    "pool and workers": lambda job: DataLoader(Noisy(job), 10, sampler=Pool(), num_workers=1),
    "workers": lambda job: DataLoader(Noisy(job), 10, shuffle=True, num_workers=1),
}


@pytest.mark.parametrize("rows", ROWS)
def test_stopped_and_resumed_it_is_the_same_run(job: Any, tmp_path: Path, rows: str) -> None:
    job.run(tmp_path / "whole", train=ROWS[rows](job))
    stops = [7] if "workers" in rows else range(1, job.last + 1) if rows == "tensors" else [1, 5, 8, 14]
    for stop in stops:
        out = tmp_path / f"stopped-{stop}"
        with pytest.raises(Interrupted) as caught:
            job.run(out, train=ROWS[rows](job), stop=stop)
        assert caught.value.run.records[-1]["step"] == stop
        _, resumed = job.run(out, train=ROWS[rows](job), resume=True)
        assert job.same(tmp_path / "whole", out)
        assert [r["step"] for r in resumed.steps] == list(range(1, job.last + 1))
        assert resumed.status == "finished"


@pytest.mark.parametrize("form", [TensorDataset, lambda *rows: DataLoader(TensorDataset(*rows), 10), Plain])
def test_other_rows_are_refused_in_every_form(job: Any, tmp_path: Path, form: Any) -> None:
    x, y = job.rows
    with pytest.raises(Interrupted):
        job.run(tmp_path, train=form(x, y), stop=7)
    with pytest.raises(InputError, match=r"was started with other rows to train on: .*checksum"):
        job.run(tmp_path, train=form(x + 1, y), resume=True)
    job.run(tmp_path, train=form(x.clone(), y), resume=True)


def test_rows_to_validate_on_that_are_shuffled(job: Any, tmp_path: Path) -> None:
    """Float sums depend on their order, and noise on what was drawn."""

    def valid() -> Any:
        generator = torch.Generator().manual_seed(7)
        return DataLoader(Noisy(job), 8, shuffle=True, generator=generator)

    options = {"validate_every": "2 steps", "checkpoint_every": "3 steps"}
    job.run(tmp_path / "whole", valid=valid(), **options)
    for stop in (4, 9):
        out = tmp_path / f"stopped-{stop}"
        with pytest.raises(Interrupted):
            job.run(out, valid=valid(), stop=stop, **options)
        job.run(out, valid=valid(), resume=True, **options)
        assert job.same(tmp_path / "whole", out)


def test_a_class_that_has_changed_is_told(job: Any, tmp_path: Path) -> None:
    file = tmp_path / "mine_to_change.py"
    file.write_text("import torch\nclass Mine(torch.nn.Linear):\n    pass\n")
    module = load_file(file, "mine_to_change")
    out = tmp_path / "out"
    with pytest.raises(Interrupted):
        job.run(out, model=module.Mine(6, 3), stop=7)
    file.write_text(file.read_text() + "# another thought\n")
    with pytest.raises(Interrupted):
        job.run(out, model=module.Mine(6, 3), resume=True, stop=2)
    file.write_text(file.read_text().replace("pass", "bias = 7"))
    said = r"^the Python of the model's class is not what it was when the run was begun; going on"
    for stop in (2, 0):  # whoever resumes it again is told again
        with pytest.warns(UserWarning, match=said), contextlib.suppress(Interrupted):
            job.run(out, model=module.Mine(6, 3), resume=True, stop=stop)


LOOKED_AT = 2 + 4 * 2  # rows of a data set, before the first batch


class Dying(Dataset[tuple[Tensor, Tensor]]):
    """Rows whose worker ends, by the signal that the run is sent as well, when it is asked for the last."""

    def __init__(self, job: Any, asked: int) -> None:
        self.x, self.y = job.rows
        self.asked = asked

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        self.asked -= 1
        if self.asked == 0:
            signal.raise_signal(signal.SIGTERM)
            raise RuntimeError("DataLoader worker (pid(s) 1, 2) exited unexpectedly")
        return self.x[row], self.y[row]


@pytest.mark.parametrize("step", [0, 3, 5, 7, 10])
def test_workers_that_end_before_a_batch_comes(job: Any, tmp_path: Path, step: int) -> None:
    """Rows are looked at before the first batch, two of them and four twice; all batches are of 10."""

    def rows(asked: int = -1) -> Any:
        return DataLoader(Dying(job, asked), 10, shuffle=True)

    job.run(tmp_path / "whole", train=rows())
    out = tmp_path / "out"
    with pytest.raises(Interrupted, match=rf"^Stopped at step {step} of 15; ") as caught:
        job.run(out, train=rows(LOOKED_AT + 10 * step + 1))
    assert caught.value.exit_code == 143
    assert caught.value.goes_on == (step > 0)
    assert caught.value.run.status == "interrupted"
    job.run(out, train=rows(), resume=True)
    assert job.same(tmp_path / "whole", out)


def test_stopped_while_it_validates(job: Any, tmp_path: Path) -> None:
    def valid(asked: int = -1) -> Any:
        return DataLoader(Dying(job, asked), 10)

    options = {"validate_every": "2 steps", "checkpoint_every": "1 step"}
    job.run(tmp_path / "whole", valid=valid(), **options)
    out = tmp_path / "out"
    for asked in (50 + 20, 20):  # within the validation of step 4, and again when it is made anew
        with pytest.raises(
            Interrupted, match=r"^Stopped at step 4 of 15; the results so far are saved"
        ) as caught:
            job.run(out, valid=valid(LOOKED_AT + asked), resume=True, **options)
        assert caught.value.goes_on
    job.run(out, valid=valid(), resume=True, **options)
    assert job.same(tmp_path / "whole", out)


def evaluating(*after: int) -> Any:
    """A loss for signals to come while it is evaluated, which is counted from the first step on."""
    count, trained = 0, False

    def loss(output: Tensor, target: Tensor) -> Tensor:
        nonlocal count, trained
        trained |= torch.is_grad_enabled()
        if trained and not torch.is_grad_enabled():
            count += 1
            if count in after:
                signal.raise_signal(signal.SIGTERM)
        return functional.cross_entropy(output, target)

    return loss


def one_generator(job: Any) -> dict[str, Any]:
    """Rows to train and to validate on whose order and noise come from the same random numbers."""
    generator = torch.Generator().manual_seed(7)
    loaders = [DataLoader(Noisy(job), size, shuffle=True, generator=generator) for size in (10, 20)]
    return {"train": loaders[0], "valid": loaders[1]}


def in_memory(job: Any) -> dict[str, Any]:
    return {"valid": DataLoader(Noisy(job), 20)}


@pytest.mark.parametrize(
    ("rows", "calls", "steps"),
    [
        # three calls a validation, after steps 2, 4 … 14 and 15
        (one_generator, [1, 3, 13, 15, 22], [2, 2, 10, 10, 15]),
        # and one more, of training rows, at each epoch's end
        (in_memory, [14, 16, 26], [10, 10, 15]),
    ],
)
def test_stopped_within_an_evaluation(
    job: Any, tmp_path: Path, rows: Any, calls: list[int], steps: list[int]
) -> None:
    """It is broken off, and made anew from the random numbers that it began with."""
    options = {"validate_every": "2 steps", "checkpoint_every": "1 epoch"}
    job.run(tmp_path / "whole", **rows(job), **options, loss=evaluating())
    for call, step in zip(calls, steps, strict=True):
        out = tmp_path / f"stopped-{call}"
        with pytest.raises(Interrupted, match="the results so far are saved in") as caught:
            job.run(out, **rows(job), **options, loss=evaluating(call))
        assert caught.value.run.steps[-1]["step"] == step
        job.run(out, **rows(job), **options, loss=evaluating(), resume=True)
        assert job.same(tmp_path / "whole", out)


def test_stopped_again_and_again(job: Any, tmp_path: Path) -> None:
    job.run(tmp_path / "whole", validate_every="2 steps")
    out = tmp_path / "often"
    for _ in range(job.last):  # each gets one step further
        with pytest.raises(Interrupted):
            job.run(out, stop=1, validate_every="2 steps", resume=True)
    job.run(out, validate_every="2 steps", resume=True)
    assert job.same(tmp_path / "whole", out)
    environment = json.loads((out / "environment.json").read_text())
    assert len(environment["resumed"]) == job.last


def test_batches_in_parts_go_on(job: Any, tmp_path: Path) -> None:
    """Dropout and batch norm draw and count by parts; the last batch's are shorter."""
    options = {"batch_size": 14, "accumulate": 4}
    job.run(tmp_path / "whole", **options)
    for stop in (1, 3, 4, 6, 11):
        out = tmp_path / f"stopped-{stop}"
        with pytest.raises(Interrupted):
            job.run(out, stop=4 * stop, **options)  # the loss is there four times a step
        assert job.run(out, resume=True, **options)[1].status == "finished"
        assert job.same(tmp_path / "whole", out)


def test_the_schedule_goes_on(job: Any, tmp_path: Path) -> None:
    for i, schedule in enumerate(("cosine", "one-cycle", "step", lambda o: MultiStepLR(o, [3, 8], 0.5))):
        options: dict[str, Any] = {"schedule": schedule} | ({"warmup": "4 steps"} if i in (0, 2) else {})
        job.run(tmp_path / f"whole-{i}", **options)
        for stop in (2, 5, 9):
            out = tmp_path / f"stopped-{i}-{stop}"
            with pytest.raises(Interrupted):
                job.run(out, stop=stop, **options)
            job.run(out, resume=True, **options)
            assert job.same(tmp_path / f"whole-{i}", out)


OPTIMIZERS = {
    "SGD, tensor lr": lambda p: SGD(p, lr=torch.tensor(0.05), momentum=0.9),
    "SGD, kahan": lambda p: SGD(p, lr=0.05, momentum=0.9, state_dtype=torch.float64, kahan=True),
    "torch SGD": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.01, amsgrad=True),
    "NAdam": torch.optim.NAdam,
    "RMSprop": lambda p: torch.optim.RMSprop(p, momentum=0.9, centered=True),
    "Rprop": torch.optim.Rprop,
    "LBFGS": lambda p: torch.optim.LBFGS(p, history_size=3, max_iter=3),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_any_optimizer_goes_on(job: Any, tmp_path: Path, name: str) -> None:
    options: dict[str, Any] = {"optimizer": OPTIMIZERS[name], "checkpoint_every": "3 steps"}
    job.run(tmp_path / "whole", **options)
    with pytest.raises(Interrupted):
        job.run(tmp_path / "out", stop=8, **options)
    job.run(tmp_path / "out", resume=True, **options)
    assert job.same(tmp_path / "whole", tmp_path / "out")
    assert at_end(tmp_path / "whole") == at_end(tmp_path / "out")


def at_end(out: Path) -> Any:
    """The last checkpoint, but for times: weights, buffers, optimizer, schedule, random states."""
    with safe_open(out / "checkpoints" / "step-000000015.safetensors", "pt") as file:
        state = json.loads(file.metadata()["surefoot"])["state"]
        parts = dict(state["dict"])
        history = dict(parts.pop("history")["dict"])
        del history["seconds"], history["evaluating"]
        return parts, history, {name: file.get_tensor(name).tolist() for name in file.keys()}  # noqa: SIM118


def test_buffers_wider_than_their_parameters(job: Any, tmp_path: Path) -> None:
    """An optimizer's state is cast to the parameters' dtype when torch loads it."""

    class Wide(torch.optim.Optimizer):
        def __init__(self, params: Any) -> None:
            super().__init__(params, {"lr": 0.05})

        @torch.no_grad()
        def step(self, closure: Any = None) -> None:  # type: ignore[override]
            for p in self.param_groups[0]["params"]:
                state = self.state[p]
                state.setdefault("wide", p.double())
                state.setdefault("label", "wide")  # torch cannot load a text either
                state["wide"] -= 0.05 * p.grad
                p.copy_(state["wide"])

    job.run(tmp_path / "whole", optimizer=Wide)
    with pytest.raises(Interrupted):
        job.run(tmp_path / "out", stop=8, optimizer=Wide)
    job.run(tmp_path / "out", optimizer=Wide, resume=True)
    assert job.same(tmp_path / "whole", tmp_path / "out")


def test_without_a_folder_or_with_a_new_one_it_begins(job: Any, whole: Path, tmp_path: Path) -> None:
    job.run(tmp_path / "new", resume=True)
    (tmp_path / "empty").mkdir()
    job.run(tmp_path / "empty", resume=True)
    assert job.same(whole, tmp_path / "new")
    assert job.same(whole, tmp_path / "empty")


def test_a_finished_run_is_handed_back(job: Any, tmp_path: Path) -> None:
    net, first = job.run(tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    again, run_again = job.run(tmp_path / "out", stop=1, resume=True)
    assert all(map(torch.equal, net.state_dict().values(), again.state_dict().values()))
    assert run_again.records == first.records
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")} == before


def test_a_finished_run_of_other_things_is_not_handed_back(job: Any, tmp_path: Path) -> None:
    x, y = job.rows
    job.run(tmp_path)
    for other, said in (
        ({"train": (x + 1, y)}, "other rows to train on"),
        ({"valid": (x[:19], y[:19])}, "other rows to validate on"),
        ({"loss": functional.nll_loss}, "another loss"),
    ):
        with pytest.raises(InputError, match=f"was started with {said}: "):
            job.run(tmp_path, resume=True, **other)
    file = tmp_path / "environment.json"
    file.write_text(json.dumps({k: v for k, v in json.loads(file.read_text()).items() if k != "given"}))
    assert job.run(tmp_path, train=(x + 1, y), resume=True)[1].status == "finished"  # edited away


def test_what_compiling_would_save_is_not_said_again(
    job: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("surefoot.train.compiled.choose.LONG", 1)
    monkeypatch.setattr("surefoot.train.compiled.choose.hint", lambda *_: "Compiling would save much.")
    options = {"loss": "cross-entropy", "progress": True}
    job.run(tmp_path / "out", **options)
    assert "would save much" in capsys.readouterr().out
    job.run(tmp_path / "out", resume=True, **options)
    assert "would save much" not in capsys.readouterr().out


def test_a_diverged_run_cannot_go_on(job: Any, tmp_path: Path) -> None:
    options: dict[str, Any] = {"optimizer": lambda p: SGD(p, lr=1e30)}
    with pytest.raises(RunDiverged):
        job.run(tmp_path / "out", **options)
    with pytest.raises(InputError) as caught:
        job.run(tmp_path / "out", resume=True, **options)
    with pytest.raises(InputError) as command:  # it does not ask for fit(resume=True), which refuses it too
        surefoot.train.resume(tmp_path / "out")
    assert str(command.value) == str(caught.value)
    assert str(caught.value) == (
        f"The run in '{tmp_path / 'out'}' diverged, and resuming would only repeat that. The loss became"
        " NaN at step 2 (epoch 1); try a smaller lr than 1e+30, such as 1e+29, or clip the gradient's norm to"
        " 1. Start another with fit() in a new folder."
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"batch_size": 5}, "was started with batch-size 10, not 5"),
        ({"clip": 1.0}, "was started with clip none, not 1.0"),
        ({"accumulate": 2}, "was started with accumulate 1, not 2"),
        ({"seed": 1}, "was started with seed 0, not 1"),
    ],
)
def test_a_run_goes_on_with_what_it_was_begun_with(job: Any, tmp_path: Path, options: Any, said: str) -> None:
    out = tmp_path / "out"
    with pytest.raises(Interrupted):
        job.run(out, stop=4)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(InputError) as caught:
        job.run(out, resume=True, **options)
    assert str(caught.value) == (
        f"The run in '{out}' {said}; resume it with the same, or choose a new folder."
    )
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    job.run(out, resume=True, checkpoint_every="1 step")  # how often is nothing that changes it


def test_another_model_is_told(job: Any, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        job.run(tmp_path / "out", stop=4)
    other = nn.Sequential(nn.Linear(6, 3))
    # torch says it in many lines; in a sentence the first of them has room
    what = r"step-000000004.safetensors' is of another model: [^\n]+, and \d+ more\.$"
    with pytest.raises(InputError, match=what):
        job.run(tmp_path / "out", model=other, resume=True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"optimizer": lambda p: torch.optim.Adam(p)},
            "was started with optimizer 'surefoot.optim.sgd:SGD', not",
        ),
        (
            {"optimizer": lambda p: SGD(p, lr=0.5, momentum=0.9, nesterov=True)},
            "was started with lr 0.1, not 0.5",
        ),
        (
            {"loss": functional.nll_loss},
            "was started with another loss: stopping.<locals>.loss, not nll_loss",
        ),
        ({"scaling": torch.Tensor.float}, "was started with another scaling: none, not"),
        ({"metric": "loss"}, "was started with another metric: accuracy, not loss"),
    ],
)
def test_what_is_given_anew_is_as_it_was(job: Any, tmp_path: Path, options: Any, said: str) -> None:
    with pytest.raises(Interrupted):
        job.run(tmp_path / "out", stop=4)
    with pytest.raises(InputError) as caught:
        job.run(tmp_path / "out", resume=True, **options)
    assert said in str(caught.value)


def test_what_a_loss_was_given_is_as_it_was(job: Any, tmp_path: Path) -> None:
    """Else the numbers of a checkpoint would take the place of those that were given, without a word."""
    weights = torch.tensor([1.0, 2.0, 3.0])
    same = [nn.CrossEntropyLoss(weights), partial(functional.cross_entropy, label_smoothing=0.1)]
    others = [
        nn.CrossEntropyLoss(weights / 2),
        nn.CrossEntropyLoss(weights, ignore_index=1),
        partial(functional.cross_entropy, label_smoothing=0.2),
    ]
    for at, loss in enumerate(same):
        out, net, passes = tmp_path / str(at), job.model(), itertools.count(1)

        def stop(*_: Any, passes: Any = passes) -> None:
            if torch.is_grad_enabled() and next(passes) == 7:
                signal.raise_signal(signal.SIGINT)

        net.register_forward_hook(stop)
        with pytest.raises(Interrupted):
            job.run(out, model=net, loss=loss)
        for other in others:
            with pytest.raises(InputError, match="was started with another loss: "):
                job.run(out, resume=True, loss=other)
        job.run(out, resume=True, loss=copy.deepcopy(loss))


def test_a_short_evaluation_is_made_to_its_end(
    job: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluations, "_SHORT", 60.0)
    out, options = tmp_path / "run", {"validate_every": "2 steps", "accumulate": 2}  # four calls each
    job.run(tmp_path / "whole", **options, loss=evaluating())
    with pytest.raises(Interrupted) as caught:
        job.run(out, **options, loss=evaluating(7))
    run = caught.value.run
    assert (run.steps[-1]["step"], run.validations[-1]["step"]) == (4, 4)
    job.run(out, **options, loss=evaluating(), resume=True)
    assert job.same(tmp_path / "whole", out)
