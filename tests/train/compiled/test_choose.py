"""Which engine runs, and what is said of it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import surefoot
from surefoot.train.compiled import fingerprint, graph, package
from surefoot.train.compiled.choose import choose, hint, obstacle, steps_at_once
from surefoot.train.compiled.grouped import Grouped
from surefoot.train.steps.engine import Job


@pytest.fixture
def on_cuda():
    """A batch that says it is on a GPU, wherever this is."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        return torch.empty(4, 6, device="cuda"), torch.empty(4, 3, device="cuda")


@pytest.mark.parametrize(
    ("every", "k"),
    [(1, 1), (2, 2), (3, 3), (4, 4), (6, 3), (7, 1), (10, 5), (12, 4), (19, 1), (20, 5), (251, 5)],
)
def test_groups_fit_between_validations(every, k):
    assert steps_at_once(every) == k


def test_what_stands_in_the_way():
    w = nn.Linear(2, 1)
    batch = torch.zeros(4, 2), torch.zeros(4, 1)

    def why(optimizer=None, autocast=None, batch=batch, **options):
        optimizer = optimizer or surefoot.SGD(w.parameters(), **{"lr": 0.1, **options})
        return obstacle(Job(w, nn.functional.mse_loss, optimizer, None, autocast), batch)

    assert why() is None
    assert why(momentum=0.9, nesterov=True, weight_decay=0.1, decoupled_weight_decay=True) is None
    assert why(optimizer=torch.optim.Adam(w.parameters())) == "its optimizer is Adam, not surefoot.SGD"
    assert why(autocast=torch.autocast("cpu", torch.bfloat16)) == "it runs under autocast"
    assert why(momentum=0.9, convention="keras") == "its optimizer follows convention='keras'"
    assert why(kahan=True) == "its optimizer has kahan=True"
    assert why(kahan=True, momentum=0.9, convention="ema") == "its optimizer follows convention='ema'"
    others = surefoot.SGD([*w.parameters(), torch.zeros(1)])
    assert why(optimizer=others) == "its optimizer trains tensors that are not the model's"
    hooked = surefoot.SGD(w.parameters(), lr=0.1)
    hooked.register_step_post_hook(lambda *_: None)
    assert why(optimizer=hooked) == "its optimizer has hooks"
    assert why(batch=None) == "there is no full batch of rows in memory"
    assert why(batch=(batch[0].to("meta"), batch[1])) == "it runs on meta"


class Kept(nn.Module):
    """A loss with a tensor of its own, which a step may change, in place or not."""

    def __init__(self, change):
        super().__init__()
        self.register_buffer("mean", torch.zeros(3))
        self.change = change

    def forward(self, output, target):
        if self.change == "in place":
            self.mean += output.detach().mean(0)
        elif self.change:
            self.mean = self.mean + output.detach().mean(0)
        return nn.functional.cross_entropy(output - self.mean, target)


@pytest.mark.parametrize("change", ["in place", "anew", ""])
def test_a_loss_that_a_step_changes_runs_eagerly(job, monkeypatch, change):
    """Its state would be a program's constant, and tracing the program would move it."""
    monkeypatch.setattr("surefoot.train.compiled.choose._program", lambda *_, **__: None)
    model, optimizer, x, y = job()
    loss, said = Kept(change), []
    choose("on", Job(model, loss, optimizer), (x[0], y[0]), every=5, last=10, say=said.append)
    told = ["The training step runs eagerly: its loss has state that a step changes."]
    assert said == (told if change else [])
    assert not loss.mean.any()


def test_a_graph_takes_the_optimizers_own_step(on_cuda):
    w = nn.Linear(2, 1)
    cast = torch.autocast("cpu", torch.bfloat16)

    def why(autocast=None, **options):
        optimizer = surefoot.SGD(w.parameters(), **{"lr": 0.1, **options})
        return obstacle(Job(w, nn.functional.mse_loss, optimizer, None, autocast), on_cuda)

    assert why(cast) is None
    assert why(momentum=0.9, convention="keras", kahan=True, capturable=True) is None
    assert why(differentiable=True) == "its optimizer has differentiable=True"


@pytest.mark.parametrize(
    ("mode", "last", "ran"),
    [("off", 10**9, "off"), ("auto", 99, "off"), ("auto", 100, "on"), ("on", 1, "on")],
)
def test_on_a_gpu_the_step_is_captured(job, on_cuda, monkeypatch, mode, last, ran):
    model, optimizer, _, _ = job()
    step, said = object(), []
    monkeypatch.setattr(graph, "captured", lambda job, batch: step)
    job = Job(model, nn.functional.cross_entropy, optimizer)
    chosen, what = choose(mode, job, on_cuda, every=250, last=last, say=said.append)
    assert ((chosen is step), what, said) == (ran == "on", ran, [])


def test_what_a_gpu_does_not_capture_runs_eagerly_with_a_warning(job, on_cuda, monkeypatch):
    model, optimizer, _, _ = job()
    job = Job(model, nn.functional.cross_entropy, optimizer)

    def failing(job, batch):
        raise RuntimeError("operation not permitted when stream is capturing\nand advice")

    for found, text in (
        (failing, "The training step could not be captured and runs eagerly: operation not permitted when"),
        (
            lambda job, batch: "off by 1",
            "The captured step differs from the eager one, so steps run eagerly: off by 1.",
        ),
        (
            graph.captured,
            "The training step could not be captured and runs eagerly: ",
        ),  # a GPU that is not here
    ):
        monkeypatch.setattr(graph, "captured", found)
        with pytest.warns(UserWarning, match=f"^{text}"):
            assert choose("on", job, on_cuda, every=250, last=10, say=print)[1] == "off"
    assert not optimizer.state


def test_a_hint_only_where_it_would_save_something():
    assert hint(1e-3, 1000) is None
    assert hint(1e-3, 239_000) is None
    assert hint(1e-3, 320_000) == "--compile on (in Python compile='on') would save about 50 s."
    assert hint(1e-2, 320_000) == "--compile on (in Python compile='on') would save about 13 minutes."


def chosen(job, said, mode="on", batch=..., last=10, **options):
    model, optimizer, x, y = job(**options) if callable(job) else job
    batch = (x[0], y[0]) if batch is ... else batch
    step, ran = choose(
        mode, Job(model, nn.functional.cross_entropy, optimizer), batch, every=250, last=last, say=said.append
    )
    return isinstance(step, Grouped), ran


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SUREFOOT_CACHE", str(tmp_path))


class Reads(nn.Linear):
    def forward(self, x):
        return super().forward(x) * x.sum().item()


def test_off_is_eager_and_says_nothing_of_a_short_run(job):
    said: list[str] = []
    assert chosen(job, said, "off", last=10_000) == (False, "off")
    assert chosen(job, said, "auto", last=10) == (False, "off")  # would not pay for itself
    assert said == []


def test_off_says_what_compiling_would_save_in_a_long_run(job):
    said: list[str] = []
    assert chosen(job, said, "off", last=10**9) == (False, "off")
    assert len(said) == 1
    assert said[0].startswith("--compile on (in Python compile='on') would save about ")


def test_what_stands_in_the_way_is_said_if_it_was_asked_for(job):
    said: list[str] = []
    assert chosen(job, said, "on", None) == (False, "off")
    assert said == ["The training step runs eagerly: there is no full batch of rows in memory."]
    assert chosen(job, said, "auto", None) == (False, "off")
    assert len(said) == 1


def test_what_cannot_be_traced_is_said_once_and_runs_eagerly(job):
    _, _, x, y = job()
    model, said = Reads(6, 3), []
    assert chosen((model, surefoot.SGD(model.parameters()), x, y), said) == (False, "off")
    assert len(said) == 2
    assert said[1].startswith("The training step runs eagerly: its step could not be traced (")


def test_a_loss_that_refers_to_too_much_is_said_and_runs_eagerly(job, monkeypatch):
    monkeypatch.setattr(fingerprint, "_MOST", 10)
    said: list[str] = []
    assert chosen(job, said) == (False, "off")
    assert said == [
        "The training step runs eagerly: its model or loss refers to too many objects to inspect."
    ]


class Mute(nn.Linear):
    def __repr__(self):
        raise RuntimeError("no text")


def test_a_model_that_fails_where_it_is_looked_at_runs_eagerly(job):
    _, _, x, y = job()
    model = Mute(6, 3)
    with pytest.warns(
        UserWarning, match="^The training step could not be compiled and runs eagerly: no text"
    ):
        assert chosen((model, surefoot.SGD(model.parameters()), x, y), []) == (False, "off")


def test_a_program_that_is_wrong_is_not_used(job, monkeypatch):
    made = model, optimizer, _, _ = job()
    momenta = tuple(n for n, p in model.named_parameters() if p.requires_grad and "unused" not in n)
    wrong = package.Package(lambda inputs: [torch.ones(5)], momenta, ())
    monkeypatch.setattr(package, "load", lambda name: wrong)
    before = {name: t.clone() for name, t in model.state_dict().items()}
    with pytest.warns(
        UserWarning, match="^The compiled step differs from the eager one, so steps run eagerly: "
    ):
        assert chosen(made, []) == (False, "off")
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
    assert not optimizer.state


def test_a_failing_compiler_is_a_warning(job, monkeypatch):
    def fail(*_):
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(package, "store", fail)
    with pytest.warns(UserWarning, match="^The training step could not be compiled and runs eagerly: no "):
        assert chosen(job, []) == (False, "off")


@pytest.mark.parametrize(
    "lacks",
    [
        "a.cpp:1:10: fatal error: 'omp.h' file not found",  # as on a Mac without OpenMP
        "a.cpp(1): fatal error C1083: Cannot open include file: 'omp.h'",
    ],
)
def test_what_a_compiler_writes_is_told_in_one_line(job, monkeypatch, lacks):
    written = f"CppCompileError: C++ compile error\n\nCommand:\ncc a.cpp\n\nOutput:\n{lacks}\n{lacks}"

    def fail(*_):
        raise RuntimeError(written)

    monkeypatch.setattr(package, "store", fail)
    with pytest.warns(UserWarning, match="eagerly: ") as told:
        assert chosen(job, []) == (False, "off")
    assert str(told[0].message).partition("eagerly: ")[2] == f"CppCompileError: C++ compile error: {lacks}"


def test_a_package_that_torch_does_not_load_is_a_warning(job, monkeypatch):
    def fail(_):
        raise RuntimeError("of another version")

    monkeypatch.setattr(package, "load", fail)
    with pytest.warns(UserWarning, match="could not be compiled and runs eagerly: of another version"):
        assert chosen(job, []) == (False, "off")
