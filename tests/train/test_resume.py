"""A resumed run equals the uninterrupted one bit for bit: weights, state, metrics, order of data."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import MultiStepLR
from torch.utils.data import DataLoader, Dataset, RandomSampler, TensorDataset, WeightedRandomSampler

from surefoot import SGD
from surefoot.errors import InputError
from surefoot.train.folder import RunFolder
from surefoot.train.loop import fit
from surefoot.train.run import Interrupted, Run, RunDiverged

torch.manual_seed(0)
X = torch.randn(50, 6)
Y = (X @ torch.randn(6, 3)).argmax(1)
VALID = (X[:20], Y[:20])
STEPS = 5  # in an epoch
LAST = 3 * STEPS


@pytest.fixture(autouse=True)
def _no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than all else here."""
    monkeypatch.setattr(Run, "png", lambda self: b"")


def model() -> nn.Module:
    with torch.random.fork_rng([]):
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3))


def sgd(params: Any) -> SGD:
    return SGD(params, lr=0.1, momentum=0.9, nesterov=True)


class Noisy(Dataset[tuple[Tensor, Tensor]]):
    """Its rows change whenever they are read, with all three random states."""

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        noise = random.random() + np.random.random() + float(torch.rand(()))
        return X[row] + 0.1 * noise, Y[row]


def own_generator() -> DataLoader[Any]:
    """Draws the order from the generator itself, again and again, and more than an epoch needs."""
    generator = torch.Generator().manual_seed(5)
    dataset: Any = TensorDataset(X, Y)
    return DataLoader(dataset, 10, sampler=RandomSampler(dataset, generator=generator), generator=generator)


def weighted() -> DataLoader[Any]:
    dataset: Any = Noisy()
    return DataLoader(dataset, 10, sampler=WeightedRandomSampler(torch.arange(1.0, 51).tolist(), 50))


def workers() -> DataLoader[Any]:
    dataset: Any = Noisy()
    return DataLoader(dataset, 10, shuffle=True, num_workers=1)


ROWS: dict[str, Callable[[], Any]] = {
    "tensors": lambda: (X, Y),
    "dataset": Noisy,
    "loader": lambda: DataLoader(TensorDataset(X, Y), 10, shuffle=True),
    "own generator": own_generator,
    "weighted": weighted,
    "workers": workers,
}


def stopping(after: int, number: int = signal.SIGINT) -> Callable[[Tensor, Tensor], Tensor]:
    """A loss that is there for a signal to come within its step number `after`."""
    count = 0

    def loss(output: Tensor, target: Tensor) -> Tensor:
        nonlocal count
        if torch.is_grad_enabled():
            count += 1
            if count == after:
                signal.raise_signal(number)
        return functional.cross_entropy(output, target)

    return loss


def run(
    out: Path, rows: str = "tensors", *, stop: int = 0, number: int = signal.SIGINT, **options: Any
) -> tuple[nn.Module, Run]:
    net = model()
    settings = {"optimizer": sgd, "epochs": 3, "batch_size": 10, "progress": False, **options}
    return net, fit(net, ROWS[rows](), VALID, loss=stopping(stop, number), out=out, **settings)


def metrics(out: Path) -> list[dict[str, Any]]:
    """All that metrics.jsonl says, but how long it took."""
    lines = (out / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if "seconds" not in k} for line in lines]


def check_same(one: Path, other: Path) -> None:
    for name in ("model.safetensors", "best.safetensors"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    assert metrics(one) == metrics(other)


@pytest.mark.parametrize("rows", ROWS)
def test_stopped_and_resumed_it_is_the_same_run(tmp_path: Path, rows: str) -> None:
    run(tmp_path / "whole", rows)
    stops = [7] if rows == "workers" else range(1, LAST) if rows == "tensors" else [1, 5, 8, 14]
    for stop in stops:
        out = tmp_path / f"stopped-{stop}"
        with pytest.raises(Interrupted) as caught:
            run(out, rows, stop=stop)
        assert caught.value.run.records[-1]["step"] == stop
        _, resumed = run(out, rows, resume=True)
        check_same(tmp_path / "whole", out)
        assert [r["step"] for r in resumed.steps] == list(range(1, LAST + 1))
        assert resumed.status == "finished"


def test_stopped_again_and_again(tmp_path: Path) -> None:
    run(tmp_path / "whole", validate_every="2 steps")
    out = tmp_path / "often"
    for _ in range(LAST - 1):  # each gets one step further
        with pytest.raises(Interrupted):
            run(out, stop=1, validate_every="2 steps", resume=True)
    run(out, stop=1, validate_every="2 steps", resume=True)
    check_same(tmp_path / "whole", out)
    environment = json.loads((out / "environment.json").read_text())
    assert len(environment["resumed"]) == LAST - 1


def test_the_schedule_goes_on(tmp_path: Path) -> None:
    for i, schedule in enumerate(("cosine", "one-cycle", "step", lambda o: MultiStepLR(o, [3, 8], 0.5))):
        options: dict[str, Any] = {"schedule": schedule} | ({"warmup": "4 steps"} if i in (0, 2) else {})
        run(tmp_path / f"whole-{i}", **options)
        for stop in (2, 5, 9):
            out = tmp_path / f"stopped-{i}-{stop}"
            with pytest.raises(Interrupted):
                run(out, stop=stop, **options)
            run(out, resume=True, **options)
            check_same(tmp_path / f"whole-{i}", out)


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
def test_any_optimizer_goes_on(tmp_path: Path, name: str) -> None:
    options: dict[str, Any] = {"optimizer": OPTIMIZERS[name], "checkpoint_every": "3 steps"}
    run(tmp_path / "whole", **options)
    with pytest.raises(Interrupted):
        run(tmp_path / "out", stop=8, **options)
    run(tmp_path / "out", resume=True, **options)
    check_same(tmp_path / "whole", tmp_path / "out")
    assert at_end(tmp_path / "whole") == at_end(tmp_path / "out")


def at_end(out: Path) -> Any:
    """The last checkpoint, but for times: weights, buffers, optimizer, schedule, random states."""
    with safe_open(out / "checkpoints" / f"step-{LAST:09}.safetensors", "pt") as file:
        state = json.loads(file.metadata()["surefoot"])["state"]
        parts = dict(state["dict"])
        history = dict(parts.pop("history")["dict"])
        del history["seconds"], history["evaluating"]
        return parts, history, {name: file.get_tensor(name).tolist() for name in file.keys()}  # noqa: SIM118


def test_buffers_wider_than_their_parameters(tmp_path: Path) -> None:
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

    run(tmp_path / "whole", optimizer=Wide)
    with pytest.raises(Interrupted):
        run(tmp_path / "out", stop=8, optimizer=Wide)
    run(tmp_path / "out", optimizer=Wide, resume=True)
    check_same(tmp_path / "whole", tmp_path / "out")


def test_without_a_folder_or_with_a_new_one_it_begins(tmp_path: Path) -> None:
    run(tmp_path / "whole")
    run(tmp_path / "new", resume=True)
    (tmp_path / "empty").mkdir()
    run(tmp_path / "empty", resume=True)
    check_same(tmp_path / "whole", tmp_path / "new")
    check_same(tmp_path / "whole", tmp_path / "empty")


def test_a_finished_run_is_handed_back(tmp_path: Path) -> None:
    net, first = run(tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    again, run_again = run(tmp_path / "out", stop=1, resume=True)
    assert all(map(torch.equal, net.state_dict().values(), again.state_dict().values()))
    assert run_again.records == first.records
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")} == before


def test_a_diverged_run_cannot_go_on(tmp_path: Path) -> None:
    options: dict[str, Any] = {"optimizer": lambda p: SGD(p, lr=1e30)}
    with pytest.raises(RunDiverged):
        run(tmp_path / "out", **options)
    with pytest.raises(InputError) as caught:
        run(tmp_path / "out", resume=True, **options)
    assert str(caught.value) == (
        f"The run in '{tmp_path / 'out'}' diverged, and would again; begin another in a new folder."
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"batch_size": 5}, "was begun with batch-size 10, not 5"),
        ({"clip": 1.0}, "was begun with clip none, not 1.0"),
        ({"seed": 1}, "was begun with seed 0, not 1"),
    ],
)
def test_a_run_goes_on_with_what_it_was_begun_with(tmp_path: Path, options: Any, said: str) -> None:
    out = tmp_path / "out"
    with pytest.raises(Interrupted):
        run(out, stop=4)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(InputError) as caught:
        run(out, resume=True, **options)
    assert str(caught.value) == (
        f"The run in '{out}' {said}; resume it with the same, or choose a new folder."
    )
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    run(out, resume=True, checkpoint_every="1 step")  # how often is nothing that changes it


def test_another_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        run(tmp_path / "out", stop=4)
    other = nn.Sequential(nn.Linear(6, 3))
    with pytest.raises(InputError, match=r"step-000000004.safetensors' is of another model: Error"):
        fit(other, (X, Y), VALID, epochs=3, batch_size=10, optimizer=sgd, out=tmp_path / "out", resume=True)


def test_a_half_written_line_is_repaired(tmp_path: Path) -> None:
    run(tmp_path / "whole")
    out = tmp_path / "out"
    with pytest.raises(Interrupted):
        run(out, stop=8)
    with open(out / "metrics.jsonl", "a") as file:
        file.write('{"kind": "step", "step": 9}\n{"kind": "st')
    (out / "checkpoints" / ".step-000000009.safetensors.partial").write_bytes(b"half")
    run(out, resume=True)
    check_same(tmp_path / "whole", out)
    assert not list(out.rglob("*.partial"))


def test_killed_before_its_first_checkpoint_it_begins_anew(tmp_path: Path) -> None:
    run(tmp_path / "whole")
    out = tmp_path / "out"
    with pytest.raises(Interrupted):
        run(out, stop=3, checkpoint_every="never")
    assert not (out / "checkpoints").exists()
    run(out, resume=True)
    check_same(tmp_path / "whole", out)


def test_killed_while_its_folder_was_made(tmp_path: Path) -> None:
    run(tmp_path / "whole")
    out = tmp_path / "out"
    out.mkdir()
    (out / "environment.json").write_text("{}")
    (out / ".config.toml.partial").write_text("epochs =")
    run(out, resume=True)
    check_same(tmp_path / "whole", out)


@pytest.mark.parametrize("harm", ["cut", "noise", "metrics"])
def test_the_checkpoint_before_is_there_if_the_last_is_harmed(tmp_path: Path, harm: str) -> None:
    run(tmp_path / "whole")
    out = tmp_path / "out"
    with pytest.raises(Interrupted):
        run(out, stop=8, checkpoint_every="1 step")
    newest = sorted((out / "checkpoints").iterdir())[-1]
    if harm == "cut":
        os.truncate(newest, 100)
    elif harm == "noise":
        newest.write_bytes(b"\xff" * 1000)
    else:  # of metrics.jsonl the end is lost
        size = (out / "metrics.jsonl").stat().st_size
        os.truncate(out / "metrics.jsonl", size - 70)
    with pytest.warns(UserWarning, match=r"000000008.safetensors' cannot be used: .*; going on from step 7"):
        run(out, resume=True)
    check_same(tmp_path / "whole", out)


def test_no_checkpoint_can_be_used(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(Interrupted):
        run(out, stop=8)
    (out / "metrics.jsonl").unlink()
    with pytest.raises(InputError) as caught:
        run(out, resume=True)
    path = out / "checkpoints" / "step-000000008.safetensors"
    assert str(caught.value) == (
        f"There is nothing to resume from: the checkpoint '{path}' cannot be used:"
        " metrics.jsonl ends before it."
    )
    assert path.exists()


def test_two_runs_cannot_write_one_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    folder = RunFolder(out)
    folder.create()
    (out / "config.toml").unlink()
    for resume in (False, True):
        with pytest.raises(InputError) as caught:
            run(out, resume=resume)
        assert str(caught.value) in (
            f"The folder '{out}' is being written by another run; wait for its end, or choose a new folder.",
            f"The folder '{out}' is not empty; a run needs a new one.",
        )
    folder.close()
    run(out, resume=True)


def test_a_run_that_fails_lets_go_of_its_folder(tmp_path: Path) -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("my own mistake")

    for _ in range(2):
        with pytest.raises(RuntimeError, match="my own mistake"):
            fit(Broken(), (X, Y), out=tmp_path / "out", resume=True)


def test_sigterm_stops_like_ctrl_c(tmp_path: Path) -> None:
    run(tmp_path / "whole")
    with pytest.raises(Interrupted) as caught:
        run(tmp_path / "out", stop=7, number=signal.SIGTERM)
    assert caught.value.exit_code == 143
    run(tmp_path / "out", resume=True)
    check_same(tmp_path / "whole", tmp_path / "out")
