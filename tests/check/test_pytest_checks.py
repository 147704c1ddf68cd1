"""surefoot.checks: one pytest test for each clause, ending as the verdict says."""

import functools
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from surefoot.check.choose import clauses
from surefoot.check.pytest_checks import _tell, checks
from surefoot.check.report.line import line
from surefoot.check.report.words import echoes
from surefoot.check.run import check
from surefoot.errors import InputError

MUTANTS = Path(__file__).parents[1] / "mutants"


@checks(torch.optim.Adagrad, only=["closure", "state", "compiles"])
def test_adagrad_keeps_these(check):
    check()


@checks(
    torch.optim.SGD,
    only=["skipped-step", "grad-kept"],
    expected_failures={"skipped-step": "fused: an overflow at first leaves memory as it was"},
    options={"foreach": False},
)
def test_expected_failures_are_xfails(check):
    check()


@checks(torch.optim.Adagrad, only="closure, hooks")
def test_clauses_may_be_one_string(check, request):
    assert request.node.callspec.id.removeprefix("Adagrad-") in (
        "hooks",
        *(f"closure-{x}" for x in ("called", "once", "loss", "first")),
    )
    check()


def test_only_what_is_asked_for_is_listed():
    listed = [p.id for p in checks(torch.optim.SGD, quick=True, skip=["state"]).args[1]]
    report = check(torch.optim.SGD, quick=True, skip=["state"])
    assert listed == [f"SGD-{v.clause.id}" for v in report.verdicts]
    assert "SGD-rule" in listed
    assert not {f"SGD-{id}" for id in ("resume", "sizes", "pickles", "compiles")} & set(listed)


@checks(torch.optim.LBFGS, only=["rule", "late"])
def test_what_follows_no_rule_is_skipped(check, request):
    with pytest.raises(pytest.skip.Exception) as skipped:
        check()
    said = {"rule": "step() needs a closure", "late": "the test of `rule` gives the reason"}
    assert said[request.node.callspec.id.removeprefix("LBFGS-")] in str(skipped.value)


def test_unknown_clause_is_refused():
    with pytest.raises(InputError, match="Unknown clause 'spares'; did you mean 'sparse'"):
        checks(torch.optim.SGD, expected_failures={"spares": "not supported"})


@pytest.mark.parametrize(
    ("optimizer", "how", "said"),
    [
        (None, {}, "surefoot.checks takes an optimizer class or 'file.py:Class'; None is neither."),
        (torch.optim.SGD, {"expect_fail": {}}, "Unknown keyword 'expect_fail' of surefoot.checks"),
        (
            torch.optim.SGD,
            {"expected_failures": "sparse"},
            "expected_failures must map each clause to a reason",
        ),
        (
            torch.optim.SGD,
            {"expected_failures": ["sparse"]},
            "expected_failures must map each clause to a reason",
        ),
    ],
)
def test_what_checks_cannot_take_is_refused_where_it_decorates(optimizer, how, said):
    with pytest.raises(InputError) as caught:
        checks(optimizer, **how)
    assert str(caught.value).startswith(said)


def test_check_refuses_expected_failures_without_reasons_too():
    with pytest.raises(InputError, match=r"must map each clause to a reason, as in .* but it is 'sparse'"):
        check(torch.optim.SGD, "torch", expected_failures="sparse")


@pytest.mark.parametrize("how", [{"only": ["closre"]}, {"skip": "closure, closre"}])
def test_unknown_names_to_examine_or_leave_out_are_refused(how):
    with pytest.raises(InputError, match="Unknown clause 'closre'; did you mean 'closure"):
        checks(torch.optim.SGD, **how)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"quick": True, "deep": True}, "quick and deep cannot be combined"),
        ({"only": ["closure"], "skip": ["closure"]}, "only=closure and skip=closure leave no clause"),
        ({"skip": sorted({c.group for c in clauses().values()})}, "skip=.* leaves no clause to examine"),
    ],
)
@pytest.mark.parametrize("make", [check, checks])
def test_a_check_of_nothing_is_refused(make, how, said):
    with pytest.raises(InputError, match=said):
        make(torch.optim.SGD, **how)


@checks(torch.optim.SGD, only=["closure-loss"], skip=None)
def test_nothing_to_leave_out_may_be_none(check):
    check()


def test_only_none_is_all():
    others = {c.group for c in clauses().values()} - {"closure"}
    assert {v.clause.group for v in check(torch.optim.SGD, only=None, skip=sorted(others)).verdicts} == {
        "closure"
    }


def test_a_group_is_no_expected_failure():
    with pytest.raises(InputError, match="'state' is a group of clauses"):
        checks(torch.optim.SGD, expected_failures={"state": "later"})


def test_in_a_project_of_its_own(tmp_path):
    """Each outcome: failed, passed, skipped, failed as expected, and an expected failure that passes."""
    (tmp_path / "test_mine.py").write_text(
        "import surefoot\n"
        f"SUBJECT = {str(MUTANTS / 'lr_written_back.py')!r} + ':SGD'\n"
        "@surefoot.checks(SUBJECT,\n"
        "    only=['nothing-else', 'hooks', 'schedulers', 'compiles', 'closure-loss'],\n"
        "    expected_failures={'schedulers': 'known', 'closure-loss': 'passes in truth'})\n"
        "def test_mine(check):\n    check()\n"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-rA",
        "-q",
        "--rootdir",
        tmp_path,
        tmp_path,
    ]
    run = subprocess.run(command, capture_output=True, text=True, timeout=110, cwd=tmp_path)
    assert "FAILED test_mine.py::test_mine[SGD-nothing-else] - Failed: " in run.stdout
    assert "{lr: 0.03125" in run.stdout
    assert "PASSED test_mine.py::test_mine[SGD-hooks]" in run.stdout
    assert "XFAIL test_mine.py::test_mine[SGD-schedulers]" in run.stdout
    assert "[XPASS(strict)]" in run.stdout
    assert "2 failed, 1 passed, 1 skipped, 1 xfailed" in run.stdout


def test_summary_and_junit_say_which_optimizer_which_clause_and_why(tmp_path):
    (tmp_path / "test_mine.py").write_text(
        "import surefoot\n"
        f"SUBJECT = {str(MUTANTS / 'lr_written_back.py')!r} + ':SGD'\n"
        "@surefoot.checks(SUBJECT, 'torch', only=['nothing-else'])\ndef test_mine(check):\n    check()\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml", "a.xml"]
    wide = {**os.environ, "COLUMNS": "300"}
    run = subprocess.run(
        [*command, f"--rootdir={tmp_path}"],
        capture_output=True,
        text=True,
        timeout=110,
        cwd=tmp_path,
        env=wide,
    )
    why = line(check(f"{MUTANTS / 'lr_written_back.py'}:SGD", "torch", only=["nothing-else"]).failures[0])
    assert f"FAILED test_mine.py::test_mine[SGD-nothing-else] - Failed: {why}\n" in run.stdout
    (case,) = ElementTree.parse(tmp_path / "a.xml").iter("testcase")
    assert case.get("name") == "test_mine[SGD-nothing-else]"
    assert case.find("failure").get("message").splitlines()[0] == f"Failed: {why}"


@pytest.mark.parametrize(
    ("optimizer", "name"),
    [
        ("hw/ada.py:Mine", "Mine-rule"),
        ("hw/ada.py", "ada.py-rule"),
        (functools.partial(torch.optim.SGD), "partial-rule"),
    ],
)
def test_ids_name_what_is_examined(optimizer, name):
    assert [p.id for p in checks(optimizer, only="rule").args[1]] == [name]


def test_clauses_have_ids_of_their_own():
    from surefoot.check import contract
    from surefoot.check.arithmetic import examine as arithmetic

    assert not set(arithmetic.CLAUSES) & set(contract.CLAUSES)
    assert len(clauses()) == len(arithmetic.CLAUSES) + len(contract.CLAUSES) + 1


class Captured(torch.optim.SGD):
    """The lr is the constructor's, and tensors are not looked for."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr=lr)
        self.lr = lr

    def step(self, closure=None):
        for p in (p for group in self.param_groups for p in group["params"] if p.grad is not None):
            p.data.sub_(self.lr * p.grad)


def test_what_shows_a_fault_again_tells_of_the_one_that_names_it():
    report = check(Captured, only=["live-options", "tensor-lr"])
    again = next(v for v in report.failures if echoes(v))
    with pytest.raises(pytest.fail.Exception) as caught:
        _tell(report, again.clause.id, {})
    (named,) = (v for v in report.failures if not echoes(v))
    assert f"✗ {named.clause.id}: " in str(caught.value)
    assert named.repro.splitlines()[-1] in str(caught.value)


def test_what_only_shows_an_expected_fault_again_is_expected_too():
    named, again = "live-options", "tensor-lr"
    report = check(Captured, only=[named, again])
    assert {v.clause.id: echoes(v) for v in report.failures} == {named: False, again: True}
    with pytest.raises(pytest.xfail.Exception, match="captured"):
        _tell(report, again, {named: "captured"})
    assert [v.clause.id for v in report.expecting({again: "x"}).failures] == [named]
    marked = report.expecting({named: "captured"})
    assert not marked.failures
    assert marked[again].expected_failure == "captured"


class TwoFaults(Captured):
    """The lr is the constructor's; and where a gradient is missing it raises."""

    @torch.no_grad()
    def step(self, closure=None):
        for p in (p for group in self.param_groups for p in group["params"]):
            p.sub_(self.lr * p.grad)


def test_of_two_faults_in_a_group_the_one_that_shows_again_is_named_everywhere():
    report = check(TwoFaults, "torch", only=["changed-lr", "late", "reused"])
    told = {v.clause.id: v.same_as for v in report.failures}
    assert told == {"changed-lr": "", "late": "", "reused": "late"}
    with pytest.raises(pytest.fail.Exception) as caught:
        _tell(report, "reused", {})
    assert "✗ late: " in str(caught.value)
    assert "✗ changed-lr: " not in str(caught.value)
    assert report.expecting({"late": "known"})["reused"].expected_failure == "known"
    assert report.expecting({"changed-lr": "known"})["reused"].failed
