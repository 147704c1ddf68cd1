"""Files that a user names are modules: each runs once, under a name of its own."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch import nn

from surefoot.check import check
from surefoot.check.subject.load import load
from surefoot.loading import user_module
from surefoot.rules import get
from surefoot.train.resolve import resolve

ALL = """
import surefoot
import torch

print("ran")

class Net(torch.nn.Linear):
    home = "HOME"

class Plain(torch.optim.Optimizer):
    home = "HOME"

    def __init__(self, params, lr=0.1):
        super().__init__(params, dict(lr=lr))

    @torch.no_grad()
    def step(self, closure=None):
        for p in self.param_groups[0]["params"]:
            if p.grad is not None:
                p -= self.param_groups[0]["lr"] * p.grad

@surefoot.rule
def halved(w, g, *, lr):
    return w - lr / 2 * g
"""


@pytest.fixture(autouse=True)
def modules_and_path(tmp_path: Path) -> Iterator[None]:
    """What files were imported as, and where from, is forgotten."""
    modules, path = {*sys.modules}, [*sys.path]
    yield
    for name in {*sys.modules} - modules:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path.resolve())):
            del sys.modules[name]
    sys.path[:] = path


def _files(folder: Path, *homes: str) -> list[str]:
    """Files of one name, each in a folder of its own."""
    for home in homes:
        (folder / home).mkdir()
        (folder / home / "of_one_name.py").write_text(ALL.replace("HOME", home))
    return [f"{folder / home / 'of_one_name.py'}" for home in homes]


def test_a_file_runs_once_whoever_asks_for_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (file,) = _files(tmp_path, "a")
    net, rule = resolve(f"{file}:Net", "model", nn.Module), get(f"{file}:halved")
    module = user_module(file)
    assert (load(f"{file}:Plain").make, net, rule) == (module.Plain, module.Net, module.halved)
    assert capsys.readouterr().out == "ran\n"
    assert module.__name__ == "of_one_name"


def test_a_file_that_has_changed_runs_again(tmp_path: Path) -> None:
    (file,) = _files(tmp_path, "a")
    first = resolve(f"{file}:Net", "model", nn.Module)
    assert resolve(f"{file}:Net", "model", nn.Module) is first
    Path(file).write_text(Path(file).read_text().replace('home = "a"', 'home = "b"'))
    second = resolve(f"{file}:Net", "model", nn.Module)
    assert (first.home, second.home) == ("a", "b")
    assert first.__module__ == second.__module__


def test_files_of_one_name_in_several_folders_do_not_replace_each_other(tmp_path: Path) -> None:
    files = _files(tmp_path, "a", "b", "c")
    found = [user_module(file) for file in files]
    assert len({module.__name__ for module in found}) == 3
    for file, module, home in zip(files, found, "abc", strict=True):
        assert sys.modules[module.__name__] is user_module(file) is module
        assert load(f"{file}:Plain").make is module.Plain
        assert get(f"{file}:halved") is module.halved
        net = pickle.loads(pickle.dumps(module.Net(2, 1)))
        assert type(net) is module.Net
        assert net.home == home


def test_a_file_that_fails_runs_again(tmp_path: Path) -> None:
    file = tmp_path / "fails_at_first.py"
    file.write_text("import sys\nsys.tries = getattr(sys, 'tries', 0) + 1\n1 / (sys.tries - 1)\n")
    with pytest.raises(ZeroDivisionError):
        user_module(str(file))
    assert "fails_at_first" not in sys.modules
    assert user_module(str(file)).sys.tries == 2
    del sys.tries  # type: ignore[attr-defined]


def test_the_process_that_examines_finds_the_right_one(tmp_path: Path) -> None:
    files = _files(tmp_path, "a", "b")
    assert load(f"{files[0]}:Plain").make.__module__ == "of_one_name"
    for file in reversed(files):
        assert check(f"{file}:Plain", only=["pickles"]).ok


def test_a_file_finds_its_own_neighbour_and_no_file_of_that_name_from_elsewhere(tmp_path: Path) -> None:
    for home, lr in (("s1", 1), ("s2", 2)):
        (tmp_path / home).mkdir()
        (tmp_path / home / "model_of_one_name.py").write_text(f"class LR:\n    value = {lr}\n")
    (tmp_path / "s2" / "opt_of_s2.py").write_text("from model_of_one_name import LR\n")
    first = user_module(f"{tmp_path}/s1/model_of_one_name.py")
    opt = user_module(f"{tmp_path}/s2/opt_of_s2.py")
    assert opt.LR.value == 2
    assert type(pickle.loads(pickle.dumps(first.LR()))) is first.LR
    assert user_module(f"{tmp_path}/s1/model_of_one_name.py") is first
    assert user_module(f"{tmp_path}/s2/model_of_one_name.py").LR.value == 2
    (tmp_path / "s2" / "opt_alone.py").write_text("import model_that_s2_lacks\n")
    (tmp_path / "s1" / "model_that_s2_lacks.py").write_text("")
    user_module(f"{tmp_path}/s1/model_that_s2_lacks.py")
    with pytest.raises(ModuleNotFoundError):
        user_module(f"{tmp_path}/s2/opt_alone.py")
    assert "model_that_s2_lacks" in sys.modules


def test_a_file_that_names_itself_and_others_is_found_as_far_as_it_has_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s2").mkdir()
    first, second = tmp_path / "names_itself.py", tmp_path / "s2" / "names_the_first.py"
    text = "from surefoot.loading import user_module\nprint(__name__)\nclass Net: pass\n"
    first.write_text(text + f"own, other = user_module(__file__), user_module({str(second)!r})\n")
    second.write_text(text + f"other = user_module({str(first)!r}).Net\n")
    module = user_module(str(first))
    assert module.own is module is sys.modules["names_itself"]
    assert module.other.other is module.Net
    assert capsys.readouterr().out == "names_itself\nnames_the_first\n"
