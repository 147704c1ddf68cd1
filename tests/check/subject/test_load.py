"""Finding an optimizer, and reading how it is called."""

import sys
from pathlib import Path

import pytest
import torch

from surefoot.check.contract import CLAUSES
from surefoot.check.contract.repro import reproduction
from surefoot.check.identify import identify
from surefoot.check.run import check
from surefoot.check.subject.load import function, load, optimizers
from surefoot.check.verdict import DIFFERS
from surefoot.errors import InputError
from surefoot.loading import load_file
from surefoot.options import parse_options


def test_signature_of_torch_sgd():
    signature = load("torch.optim:SGD").signature
    assert signature.name == "SGD"
    assert signature.options["momentum"] == 0
    assert signature.required == ()
    assert not signature.swallows
    assert not signature.needs_closure
    assert signature.imports == "from torch.optim import SGD"


class Scaffold(torch.optim.SGD):
    def step(self, server, client):
        pass


class Passes(torch.optim.SGD):
    def step(self, *args, **kwargs):
        return super().step(*args, **kwargs)


def test_arguments_of_step_that_nobody_can_make_up_are_asked_for():
    with pytest.raises(
        InputError, match=r"^Scaffold.step\(\) requires server and client, which surefoot cannot"
    ):
        load(Scaffold)
    assert not load(Passes).signature.needs_closure


class TakesLoss(torch.optim.SGD):
    def step(self, loss):
        super().step()
        return loss


def test_a_loss_that_must_be_given_is_no_closure():
    with pytest.raises(
        InputError, match=r"^TakesLoss.step\(\) requires loss, which surefoot cannot .* supplies it\.$"
    ):
        load(TakesLoss)


def test_closure_that_must_be_given_is_seen():
    assert load("torch.optim:LBFGS").signature.needs_closure


def test_file_is_found_under_its_own_name(tmp_path, monkeypatch):
    (tmp_path / "neighbour.py").write_text("RATE = 0.5\n")
    (tmp_path / "homework.py").write_text(
        "import torch\nfrom neighbour import RATE\n"
        "class SGD(torch.optim.SGD):\n    def __init__(self, params, depth, lr=RATE, **more):\n        pass\n"
    )
    monkeypatch.chdir(tmp_path.parent)
    subject = load(f"{tmp_path.name}/homework.py:SGD")
    assert subject.make.__module__ == "homework"
    assert subject.signature.required == ("depth",)
    assert subject.signature.options == {"lr": 0.5}
    assert subject.signature.swallows
    assert f'sys.path.insert(0, "{tmp_path.name}")' in subject.signature.imports


def test_file_named_as_a_module_does_not_hide_it(tmp_path, monkeypatch):
    (tmp_path / "random.py").write_text("import torch\nclass SGD(torch.optim.SGD):\n    pass\n")
    monkeypatch.chdir(tmp_path)
    subject = load("random.py:SGD")
    assert subject.make.__module__ == "checked_random"
    import random

    assert random.random() < 1


def test_a_file_of_ones_own_comes_before_a_module_of_that_name(tmp_path, monkeypatch):
    (tmp_path / "antigravity.py").write_text("import torch\nclass SGD(torch.optim.SGD):\n    pass\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    try:
        assert load("antigravity:SGD").make.__name__ == "SGD"
    finally:
        sys.modules.pop("antigravity", None)


def test_file_whose_name_has_a_dot(tmp_path, monkeypatch):
    (tmp_path / "my.opt.py").write_text("import torch\nclass SGD(torch.optim.SGD):\n    pass\n")
    monkeypatch.chdir(tmp_path)
    assert load("my.opt.py:SGD").make.__module__ == "checked_my_opt"


def test_class_is_taken_as_it_is():
    class Mine(torch.optim.SGD):
        pass

    subject = load(Mine)
    assert subject.make is Mine
    assert subject.signature.name == "Mine"


def test_optimizers_of_a_module():
    found = optimizers("torch.optim")
    assert "torch.optim:SGD" in found
    assert "torch.optim:Optimizer" not in found
    with pytest.raises(InputError, match="has no subclass"):
        optimizers("torch.nn.functional")


def test_a_file_loaded_twice_is_told_alike(tmp_path):
    (tmp_path / "twice_loaded.py").write_text("import torch\nclass SGD(torch.optim.SGD): ...\n")
    where = f"{tmp_path}/twice_loaded.py:SGD"
    before = list(sys.path)
    try:
        first, second = load(where), load(where)
        assert first.signature.imports == second.signature.imports
        assert second.make.__module__ == "twice_loaded"
        assert sys.path.count(str(tmp_path)) == 1
    finally:
        sys.path[:] = before


def test_a_dtype_reaches_the_optimizer_in_its_own_process():
    report = check("surefoot:SGD", options=parse_options(["state_dtype=torch.float32"]), only=["rule"])
    assert report["rule"].outcome == DIFFERS  # within float32 rounding, as asked for
    with pytest.raises(InputError, match="cannot be sent to the process"):
        check("torch.optim:SGD", options={"lr": object()})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (3, "3 is of type int; it must be an optimizer class"),
        (torch.optim.SGD([torch.zeros(1)]), r"SGD is of type SGD; it must be an optimizer class"),
        (torch.nn.Linear, r"Linear is not an optimizer: the class has no step\(\)"),
        (
            "SGD",
            "'SGD' names no file or module; write file.py:SGD or package.module:SGD, as in torch.optim:SGD.",
        ),
        ("torch", "'torch' names no class; write file.py:Class or package.module:Class."),
        (r"C:\sgd.py", r"sgd.py' names no class; write file.py:Class or package.module:Class."),
        (r"C:\sgd.py:SGD", r"There is no file C:\\sgd.py."),
    ],
)
def test_what_is_no_class_of_an_optimizer_is_refused(given, said):
    with pytest.raises(InputError, match=said):
        load(given)


@pytest.mark.parametrize("source", ["def half(w, g, b=0): ...", "half = surefoot.rules.get('torch')"])
def test_a_formula_is_told_where_it_belongs(tmp_path, monkeypatch, source):
    (tmp_path / "mine.py").write_text(f"import surefoot.rules\n{source}\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"not an optimizer\. .*`surefoot explain mine\.py:half …`"):
        load("mine.py:half")


def test_a_default_that_no_float_can_be_is_no_number():
    class Bounded(torch.optim.SGD):
        def __init__(self, params, lr=0.1, most=10**400, at_all=10**5000):
            super().__init__(params, lr)

    options = load(Bounded).signature.options
    assert options == {"lr": 0.1, "most": hex(10**400), "at_all": hex(10**5000)}


def test_where_there_is_no_optimizer_functions_are_named(tmp_path, monkeypatch):
    (tmp_path / "models.py").write_text("from torch import nn\ndef make():\n    return nn.Linear(2, 1)\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"Unknown function 'mk' in models\.py.* [Kk]nown: make\.$"):
        load("models.py:mk")


def test_where_there_is_nothing_no_list_is_promised(tmp_path, monkeypatch):
    (tmp_path / "empty.py").write_text("class Other:\n    pass\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"^There is no optimizer 'SGD' in empty\.py, nor any other\.$"):
        load("empty.py:SGD")
    with pytest.raises(InputError, match=r"^There is no function 'make' in empty\.py, nor any other\.$"):
        function("empty.py:make")


def test_what_a_file_imports_is_not_its_own(tmp_path, monkeypatch):
    source = "from torch.optim import SGD, Optimizer\nclass Mine(SGD):\n    pass\nclass Other:\n    pass\n"
    (tmp_path / "imports.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    assert optimizers("imports.py") == ["imports.py:Mine"]
    with pytest.raises(InputError, match=r"did you mean 'Mine'\? Known: Mine\.$"):
        load("imports.py:Mime")
    assert load("imports.py:SGD").make is torch.optim.SGD


def test_class_that_cannot_step_is_no_optimizer(tmp_path, monkeypatch):
    (tmp_path / "other.py").write_text("class Other:\n    pass\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"other\.py:Other is not an optimizer: the class has no step"):
        load("other.py:Other")


@pytest.mark.parametrize("examine", [check, identify])
@pytest.mark.parametrize("named", ["torch.optim:SGD", torch.optim.SGD])
def test_a_word_for_what_is_on_or_off_is_refused_before_torch_takes_it(examine, named):
    with pytest.raises(InputError, match=r"^nesterov is 'yes'; it must be True or False\.$"):
        examine(named, options={"momentum": 0.5, "nesterov": "yes"})


class Hidden(torch.optim.SGD):
    """Its defaults are in **kwargs."""

    def __init__(self, params, **options):
        options.setdefault("lr", 0.05)
        super().__init__(params, **options)


def test_defaults_that_kwargs_hide_are_read_off():
    options = load(Hidden).signature.options
    assert (options["lr"], options["momentum"], options["nesterov"]) == (0.05, 0, False)
    assert "foreach" not in options  # it is not a hyperparameter
    assert check(Hidden, only=["arithmetic"]).ok


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (
            "make",
            "'make' names no file or module; write file.py:make or package.module:make, as in "
            "homework.py:make.",
        ),
        ("mine.py", "'mine.py' names no function; write file.py:function or package.module:function."),
        ("mine.py:mke", "Unknown function 'mke' in mine.py; did you mean 'make'?"),
        ("mine.py:three", "mine.py:three is of type int; it must be a function."),
        ("nowhere.py:make", "There is no file nowhere.py."),
    ],
)
def test_a_function_that_cannot_be_found_is_told_as_one(tmp_path, monkeypatch, named, said):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(
        "import torch\nclass SGD(torch.optim.SGD): pass\nthree = 3\ndef make(): return 3\n"
    )
    with pytest.raises(InputError) as caught:
        function(named)
    assert str(caught.value).startswith(said)
    assert function("mine.py:make")() == 3


STEPLESS = """
import torch

class Inside(torch.optim.Optimizer):
    def __init__(self, params, lr=0.1):
        super().__init__(params, dict(lr=lr))

        def step(self, closure=None):
            pass

class Misspelt(torch.optim.Optimizer):
    def __init__(self, params, lr=0.1):
        super().__init__(params, dict(lr=lr))

    def stepp(self, closure=None):
        pass

class Bare(torch.optim.Optimizer):
    def __init__(self, params, lr=0.1):
        super().__init__(params, dict(lr=lr))

class OnTheObject(torch.optim.Optimizer):
    def __init__(self, params, lr=0.1):
        super().__init__(params, dict(lr=lr))
        self.step = lambda closure=None: None
"""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Inside", "it is defined inside __init__; indent it like __init__ itself."),
        ("Misspelt", "is stepp() meant to be step()?"),
        ("Bare", "is it indented inside another function, or misspelt?"),
    ],
)
def test_a_class_without_a_step_of_its_own_is_one_sentence(tmp_path, monkeypatch, name, said):
    (tmp_path / "stepless.py").write_text(STEPLESS)
    monkeypatch.chdir(tmp_path)
    cls = getattr(load_file(tmp_path / "stepless.py", "stepless"), name)
    for _ in range(2):
        with pytest.raises(InputError) as caught:
            load(cls)
        assert str(caught.value) == f"{name} does not define step(): {said}"
        cls([torch.ones(1)])  # torch then wraps the step of its class
    assert load("stepless.py:OnTheObject").signature.options == {"lr": 0.1}


RIGHT = """
import torch

class Momentum(torch.optim.Optimizer):
    def __init__(self, params, lr=0.1):
        super().__init__(params, dict(lr=lr))

    @torch.no_grad()
    def step(self, closure=None):
        for p in self.param_groups[0]["params"]:
            p -= self.param_groups[0]["lr"] * p.grad
"""


def test_the_reproduction_of_pickles_fails_only_where_pickling_does(tmp_path, monkeypatch):
    """The name of the file is no module's, so that it cannot be imported in a line."""
    (tmp_path / "1st.py").write_text(RIGHT)
    monkeypatch.chdir(tmp_path)
    signature = load("1st.py:Momentum").signature
    pickles = CLAUSES["pickles"]
    exec(reproduction(pickles.probe, signature, {}, {}, 0), {"__name__": "pasted"})
    wrong = RIGHT.replace('self.param_groups[0]["lr"]', "self.lr")
    (tmp_path / "1st.py").write_text(
        wrong.replace("        super()", "        self.lr = lr\n        super()")
    )
    with pytest.raises(AttributeError, match="no attribute 'lr'"):
        exec(reproduction(pickles.probe, signature, {}, {}, None), {"__name__": "pasted"})
    assert "runpy" in reproduction(CLAUSES["steps"].probe, signature, {}, {}, None)
