"""Nothing correct is called wrong: optimizers in many styles, and surefoot's own in every set of options.

Whatever is drawn by seed is in three clauses, so beyond seed 0 these alone are examined.
"""

import re
from pathlib import Path

import pytest
import torch

import surefoot
from surefoot.check.contract import CLAUSES
from surefoot.check.run import check
from surefoot.check.verdict import DIFFERS, NOT_APPLICABLE, PASSED

CORRECT = sorted((Path(__file__).parent / "correct").glob("*.py"))
DRAWN = ("sizes", "long", "later")
SEEDS = range(1, 10)


def named(file):
    """`file.py:Class` of the optimizer that a file is about."""
    classes = re.findall(r"^class (\w+)\(torch\.optim", file.read_text(encoding="utf-8"), re.MULTILINE)
    return f"{file}:{classes[-1]}"


@pytest.mark.parametrize(
    "file",
    # the others in their long form alone, below
    [
        pytest.param(file, id=file.stem, marks=pytest.mark.slow if at % 2 else ())
        for at, file in enumerate(CORRECT)
    ],
)
def test_a_quick_check_of_a_correct_optimizer_is_clean(file):
    report = check(named(file), quick=True)
    assert report.ok, str(report)
    assert report.rule is not None
    assert report["rule"].outcome in (PASSED, DIFFERS)


@pytest.mark.slow
@pytest.mark.parametrize("file", CORRECT, ids=lambda file: file.stem)
def test_a_correct_optimizer_is_clean(file):
    report = check(named(file))
    assert report.ok, str(report)
    for seed in SEEDS:
        report = check(named(file), only=DRAWN, seed=seed)
        assert report.ok, str(report)


CONVENTIONS = {"torch": {}, "keras": {"convention": "keras"}, "ema": {"convention": "ema"}}
DECAYS = {"l2": {}, "decoupled": {"decoupled_weight_decay": True, "weight_decay": 0.125}}
PATHS = (
    {},
    {"foreach": True},
    {"foreach": False},
    {"fused": True},
    {"capturable": True},
    {"flatten": True},
    {"flatten": True, "fused": True},
    {"kahan": True},
)
PRECISIONS = (
    {"state_dtype": torch.float32},
    {"state_dtype": torch.bfloat16},
    {"state_dtype": torch.float32, "kahan": True},
)
every_convention = pytest.mark.parametrize("convention", CONVENTIONS)
every_decay = pytest.mark.parametrize("decay", DECAYS)
# Keras's step has no kernel for flat memory, which is refused beside it
SETS = {
    f"{convention} {' '.join(path) or 'default'}": (convention, path)
    for convention in CONVENTIONS
    for path in PATHS
    if (convention, path.get("flatten")) != ("keras", True)
}
every_set = pytest.mark.parametrize(("convention", "path"), SETS.values(), ids=SETS)


def examined(convention, decay, path, **how):
    """Check surefoot.SGD with these options; a convention, or a dtype of the state, needs momentum."""
    options = {**CONVENTIONS[convention], **DECAYS[decay], **path}
    if options.keys() & {"convention", "state_dtype"}:
        options["momentum"] = 0.5
    return check(surefoot.SGD, options=options, **how)


def outcomes(report):
    return {v.outcome for v in report.verdicts}


def blue_or_green(convention, decay):
    """What `rule` says: Keras's own decay is decoupled, so with L2 it is Keras's but for that."""
    return {DIFFERS} if (convention, decay) == ("keras", "l2") else {PASSED}


@every_convention
@every_decay
def test_a_quick_check_of_every_convention_is_clean(convention, decay):
    report = examined(convention, decay, {}, quick=True)
    assert report.ok, str(report)
    assert report["rule"].outcome in blue_or_green(convention, decay)
    assert report.rule.partition("(")[0] == convention


@pytest.mark.slow
@every_decay
@every_set
def test_arithmetic_is_clean_with_every_set_of_options(convention, decay, path):
    report = examined(convention, decay, path, only=["arithmetic"])
    assert outcomes(report) == blue_or_green(convention, decay) | {PASSED}, str(report)
    for seed in SEEDS:
        report = examined(convention, decay, path, only=DRAWN, seed=seed)
        assert outcomes(report) == {PASSED}, str(report)


@pytest.mark.slow
@every_convention
@pytest.mark.parametrize("path", PRECISIONS, ids=lambda path: " ".join(map(str, path.values())))
def test_a_state_of_low_precision_is_as_precise_as_that(convention, path):
    for seed in (0, *SEEDS):
        report = examined(convention, "l2", path, only=DRAWN if seed else ["arithmetic"], seed=seed)
        assert outcomes(report) <= {PASSED, DIFFERS}, str(report)


@pytest.mark.slow
@every_set
def test_the_contract_is_kept_with_every_set_of_options(convention, path):
    groups = {c.group for c in CLAUSES.values()}
    report = examined(convention, "l2", path, only=[*groups])
    assert outcomes(report) <= {PASSED, NOT_APPLICABLE}, str(report)
    assert report["steps"].outcome == PASSED


@pytest.mark.parametrize("name", ["torch.optim:SGD", "surefoot:SGD"])
def test_a_differentiable_step_is_for_other_parameters(name):
    report = check(name, options={"differentiable": True}, quick=True)
    assert outcomes(report) <= {PASSED, NOT_APPLICABLE}, str(report)
