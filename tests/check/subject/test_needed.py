"""Options without a default: usual values for those that are known by name."""

import subprocess
import sys

import pytest
import torch

from surefoot import check, identify
from surefoot.check.subject.load import load
from surefoot.check.subject.needed import usual_values

HOMEWORK = """
import torch


class SGD(torch.optim.Optimizer):
    def __init__(self, params, eta, beta, l2):
        super().__init__(params, dict(eta=eta, beta=beta, l2=l2))

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    d = p.grad + group["l2"] * p
                    b = self.state[p].get("b")
                    self.state[p]["b"] = b = d if b is None else group["beta"] * b + d
                    p -= group["eta"] * b
        return loss
"""


@pytest.fixture
def homework(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(*change):
        (tmp_path / "needs.py").write_text(HOMEWORK.replace(*change) if change else HOMEWORK)
        return "needs.py:SGD"

    return write


@pytest.mark.parametrize(
    ("required", "offered", "expected"),
    [
        ("eta beta l2", "", {"eta": 0.25, "beta": 0.9, "l2": 0}),
        ("alpha", "lr", {"alpha": 0.99}),  # RMSprop's
        ("alpha beta1 beta2", "", {"alpha": 0.25, "beta1": 0.9, "beta2": 0.999}),  # Adam's paper
        ("learning_rate rho", "eps", {"learning_rate": 0.25, "rho": 0.9}),
        ("LR nesterov betas", "", {"LR": 0.25, "nesterov": False, "betas": (0.9, 0.999)}),
        ("rate model", "lr", {}),
        ("tau decay delta nu damping", "lr", {}),  # each is something else somewhere
    ],
)
def test_values_by_name(required, offered, expected):
    required, offered = required.split(), offered.split()
    assert usual_values(required, [*offered, *required]) == expected


def test_they_are_defaults_to_whoever_reads_the_signature(homework):
    signature = load(homework()).signature
    assert (signature.required, signature.options) == ((), {"eta": 0.25, "beta": 0.9, "l2": 0})
    assert signature.call({"beta": 0.5}) == {"eta": 0.25, "beta": 0.5, "l2": 0}


@pytest.mark.parametrize("sandbox", [True, False])
def test_optimizer_that_needs_all_of_its_options_is_examined(homework, sandbox):
    report = check(homework(), quick=True, sandbox=sandbox)
    assert report.ok
    assert report.rule == "torch"
    assert (
        "These options have no default, so usual values were used: eta=0.25, beta=0.9, l2=0." in report.notes
    )
    report = check("needs.py:SGD", options={"eta": 0.1, "beta": 0.5, "l2": 0.5}, only="rule")
    assert report.ok
    assert not any("no default" in note for note in report.notes)


def test_options_that_are_needed_are_varied(homework):
    # only with decay, which its usual value has off
    report = check(homework('+ group["l2"] * p', '- group["l2"] * p'), "torch", only="rule")
    assert [v.clause.id for v in report.failures] == ["rule"]
    assert "l2" in report["rule"].repro


@pytest.mark.parametrize("only", ["rule", "grad-kept"])
def test_reproduction_gives_what_is_needed(homework, only):
    wrong = {
        "rule": ("else group", "else 2 * group"),
        "grad-kept": ("d = p.grad +", "d = p.grad.mul_(2) +"),
    }
    report = check(homework(*wrong[only]), "torch", only=only)
    assert [v.clause.id for v in report.failures] == [only], str(report)
    done = subprocess.run([sys.executable, "-c", report[only].repro], capture_output=True, text=True)
    assert "AssertionError" in done.stderr, done.stderr


def test_a_name_that_tells_nothing_has_to_be_given(homework):
    from surefoot.errors import InputError

    with pytest.raises(InputError, match=r"SGD needs a value for depth, which .* --option depth=VALUE"):
        check(homework("l2):", "l2, depth):"), quick=True)


def test_identify_says_what_was_taken(homework):
    found = identify(homework())
    assert found.options == {"eta": 0.25, "beta": 0.9, "l2": 0}
    assert "torch" in [fit.name for fit in found.fits]


def test_function_with_needed_options_is_made_with_them():
    def make(params, lr, momentum):
        return torch.optim.SGD(params, lr, momentum, weight_decay=0.5)

    assert load(make).signature.held == {
        "dampening": 0, "weight_decay": 0.5, "nesterov": False, "maximize": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "asserts"),
    [("betas", "b1, b2, b3 = betas"), ("momentum", "assert momentum > 1"), ("eps", "eps()")],
)
def test_usual_values_that_are_refused_are_asked_for(homework, options, asserts):
    from surefoot.errors import InputError

    init = f"    def __init__(self, params, {options}):\n        {asserts}\n"
    name = homework("    def __init__(self, params, eta, beta, l2):\n", init)
    with pytest.raises(InputError, match=rf"SGD needs a value for {options}, which has no default"):
        check(name, quick=True)


def test_usual_values_are_tried_on_a_matrix_too(homework):
    name = homework("l2):\n", "l2):\n        assert params[0].dim() == 2\n")
    assert load(name).signature.filled == {"eta": 0.25, "beta": 0.9, "l2": 0}
