"""Packages: built once, loaded only if they are ours, and under a key of everything that matters."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import surefoot
from surefoot.train.compiled import package
from surefoot.train.compiled.choose import choose
from surefoot.train.compiled.program import Program
from surefoot.train.steps.engine import Job
from surefoot.train.steps.threads import by

from .conftest import K


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """One that is quick: the n-th package that it writes holds the number n."""
    import torch._inductor

    monkeypatch.setenv("SUREFOOT_CACHE", str(tmp_path))
    numbers = itertools.count(1)

    def compiled(exported, package_path, inductor_configs):
        Path(package_path).write_text(str(next(numbers)))

    monkeypatch.setattr(torch.export, "export", lambda graph, example: None)
    monkeypatch.setattr(torch._inductor, "aoti_compile_and_package", compiled)
    monkeypatch.setattr(package, "_loaded", lambda path: SimpleNamespace(run=path.read_text()))


def test_loaded_only_while_it_is_ours(compiler):
    folder = package.folder()
    package.store(Program(None, [], (), ()), "name")
    (file,) = folder.glob("name-*.pt2")
    assert package.load("name") is not None
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    assert package.load("name") is None  # anybody might have put it there
    folder.chmod(0o700)
    file.chmod(0o622)
    assert package.load("name") is None
    file.chmod(0o600)
    assert package.load("name") is not None
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + b"?")
    assert package.load("name") is None  # not what was written down
    file.write_bytes(whole)
    note = folder / "name.json"
    about = note.read_text()
    note.write_text("{")
    assert package.load("name") is None
    note.write_text(json.dumps({"sha256": "0"}))
    assert package.load("name") is None
    note.write_text(about)
    assert package.load("name") is not None


def test_what_nobody_will_load_is_dropped_after_a_day(compiler):
    program, folder = Program(None, [], (), ()), package.folder()
    package.store(program, "other")
    package.store(program, "name")
    (replaced,) = folder.glob("name-*.pt2")
    killed, note = folder / "tmp_killed.pt2", folder / "name.json.123"
    for file in (killed, note):
        file.write_text("")
    package.store(program, "name")
    assert all(file.exists() for file in (replaced, killed, note))  # another process may be at it
    for file in folder.iterdir():
        os.utime(file, (0, 0))
    package.store(program, "name")
    assert not any(file.exists() for file in (replaced, killed, note))
    assert package.load("other").run == "1"
    assert package.load("name").run == "4"
    assert len(list(folder.iterdir())) == 4


def test_two_that_compile_at_once_leave_a_whole_package(compiler, monkeypatch):
    program, replace = Program(None, [], (), ()), os.replace

    def replace_while_another_stores(source, target):
        replace(source, target)
        monkeypatch.setattr(os, "replace", replace)
        package.store(program, "name")

    monkeypatch.setattr(os, "replace", replace_while_another_stores)
    package.store(program, "name")
    assert package.load("name").run == "1"


def test_a_umask_that_lets_a_group_write_is_no_obstacle(compiler):
    before = os.umask(0o002)
    try:
        package.store(Program(None, [], (), ()), "name")
    finally:
        os.umask(before)
    assert package.load("name").run == "1"


def test_nothing_is_compiled_for_a_folder_that_others_may_write_to(job, tmp_path, monkeypatch):
    monkeypatch.setenv("SUREFOOT_CACHE", str(tmp_path))
    package.folder().chmod(0o777)
    monkeypatch.setattr(package, "store", lambda program, name: pytest.fail("half a minute for nothing"))
    model, optimizer, x, y = job()
    ours = Job(model, nn.functional.cross_entropy, optimizer)
    with pytest.warns(
        UserWarning, match="^Other users can write to .*compiled; the training step runs eagerly.$"
    ):
        assert choose("on", ours, (x[0], y[0]), every=K, last=1000, say=lambda line: None)[1] == "off"


class Other(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, x):
        return self.layer(x)


def test_the_key_holds_everything_that_matters(monkeypatch):
    def key(
        model=None,
        loss=nn.functional.cross_entropy,
        size=8,
        k=3,
        clip=None,
        accumulate=1,
        dtype=torch.float32,
        **options,
    ):
        model = (model or nn.Linear(6, 3)).to(dtype)
        optimizer = surefoot.SGD(model.parameters(), **{"lr": 0.1, "momentum": 0.9, **options})
        x, y = torch.zeros(k, size, 6, dtype=dtype), torch.zeros(k, size, dtype=torch.long)
        return package.key(Job(model, loss, optimizer, clip, None, accumulate), x, y)

    keys = [
        key(),
        key(model=nn.Linear(6, 4)),
        key(model=nn.Sequential(nn.Linear(6, 3))),
        key(model=nn.Sequential(nn.Linear(6, 3), nn.Dropout(0.1))),
        key(model=nn.Sequential(nn.Linear(6, 3), nn.Dropout(0.2))),
        key(model=Other()),
        key(model=nn.Linear(6, 3).requires_grad_(False)),
        key(loss=nn.functional.nll_loss),
        key(loss=nn.CrossEntropyLoss()),
        key(loss=nn.CrossEntropyLoss(ignore_index=1)),
        key(size=9),
        key(k=4),
        key(clip=1.0),
        key(accumulate=2),
        key(dtype=torch.float64),
        key(momentum=0),
        key(nesterov=True),
        key(dampening=0.5),
        key(weight_decay=0.1),
        key(weight_decay=0.1, decoupled_weight_decay=True),
        key(maximize=True),
    ]
    assert len(set(keys)) == len(keys)
    assert key(lr=0.2) == key(momentum=0.5) == keys[0]  # inputs, not constants
    drawn = package.by_bits()
    monkeypatch.setattr(package, "by_bits", lambda: not drawn)
    assert key() != keys[0]
    monkeypatch.setattr(package, "by_bits", lambda: drawn)
    several = []
    for count in (2, 3, 4):
        with by(count):
            several.append(key())
    # a program goes by as many as there are when it runs, but is written in another way for two
    assert several[0] != several[1] == several[2]


def test_the_key_holds_the_source_of_a_users_model(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    text = "from torch import nn\nclass Net(nn.Linear):\n"
    text += "    def forward(self, x):\n        return x @ self.weight.T"
    keys = []
    for name, tail in (("net_one", ""), ("net_two", " * 2")):
        (tmp_path / f"{name}.py").write_text(text + tail)
        model = __import__(name).Net(6, 3)
        optimizer = surefoot.SGD(model.parameters(), lr=0.1)
        job = Job(model, nn.functional.cross_entropy, optimizer)
        keys.append(package.key(job, torch.zeros(3, 8, 6), torch.zeros(3, 8).long()))
    assert keys[0] != keys[1]


@pytest.mark.parametrize(
    "loader",
    [
        lambda path, name, alone, runners, device: (path, name, alone, runners, device),
        lambda path, name, alone: (path, name, alone),
        lambda path, name: (path, name),
    ],
)
def test_each_version_of_torch_is_asked_in_its_own_way(loader, monkeypatch):
    monkeypatch.setattr(torch._C._aoti, "AOTIModelPackageLoader", loader)
    assert package._loaded("a.pt2")[:2] == ("a.pt2", "model")


def test_a_version_that_is_asked_in_no_known_way(monkeypatch):
    monkeypatch.setattr(torch._C._aoti, "AOTIModelPackageLoader", lambda: None)
    with pytest.raises(RuntimeError, match="has no known way to load packages"):
        package._loaded("a.pt2")
