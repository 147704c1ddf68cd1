"""Which optimizers are meant where a file is named, and no class in it."""

from __future__ import annotations

import pytest

from surefoot.check.run import check
from surefoot.check.subject.load import in_file
from surefoot.errors import InputError

STEP = "    def step(self):\n        for g in self.param_groups: self.one(g)\n"
SGD = "class SGD(torch.optim.SGD): ...\n"


@pytest.mark.parametrize(
    ("source", "names"),
    [
        (SGD, ["SGD"]),
        (SGD + "class Adam(torch.optim.Adam): ...\n", ["SGD", "Adam"]),
        (SGD + "Mine = SGD\n", ["SGD"]),
        (SGD + "class Nesterov(SGD): ...\n", ["SGD", "Nesterov"]),
        (SGD + "class Trainer:\n    def step(self): self.n = 1\n", ["SGD"]),
        (SGD + "class _Helper(torch.optim.SGD): ...\n", ["SGD"]),
        ("class Common(torch.optim.Optimizer): ...\nclass A(Common):\n    def step(self): return 1\n", ["A"]),
        (
            f"class Common(torch.optim.Optimizer):\n{STEP}    def one(self, g): raise NotImplementedError\n"
            "class A(Common):\n    def one(self, g): return 1\n",
            ["A"],
        ),
        (f"class BaseSGD(torch.optim.Optimizer):\n{STEP}class A(BaseSGD):\n    pass\n", ["A"]),
        ("class Own:\n    def __init__(self, params): ...\n    def step(self): ...\n", ["Own"]),
        (
            "class Base:\n    def step(self): pass\nclass Own(Base):\n    def step(self): return abs(1)\n",
            ["Own"],
        ),
        ("class Decay:\n    def __init__(self, optimizer): ...\n    def step(self): ...\n", []),
        ("class Net(torch.nn.Module):\n    def step(self): ...\n", []),
        ("from torch.optim import SGD\n", []),
    ],
)
def test_helpers_and_bases_are_not_meant(tmp_path, source, names):
    (tmp_path / "mine.py").write_text(f"import torch\n{source}")
    assert in_file(str(tmp_path / "mine.py")) == names


@pytest.mark.parametrize("sandbox", [True, False])
def test_the_only_optimizer_of_a_file_need_not_be_named(tmp_path, monkeypatch, sandbox):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "only_one.py").write_text(f"import torch\n{SGD}")
    report = check("only_one.py", "torch", only="zero-grad", sandbox=sandbox)
    assert report.subject == "only_one.py:SGD"
    assert report.ok
    (tmp_path / "two.py").write_text(f"import torch\n{SGD}class Adam(torch.optim.Adam): ...\n")
    with pytest.raises(InputError, match=r"It has Adam, SGD; --all checks them all"):
        check("two.py", only="zero-grad", sandbox=sandbox)
