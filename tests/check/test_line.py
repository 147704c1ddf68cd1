"""A failure in one line."""

from __future__ import annotations

import pytest

from surefoot.check.report.line import diagnosis, line
from surefoot.check.verdict import Clause, Report

RULE = Clause("rule", "arithmetic", "every step follows the rule")
KEPT = Clause("grad-kept", "gradients", "step() leaves p.grad as it was")


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"note": "3 of 3 runs deviate from the rule", "where": "step 1, tensor w"}, None),
        (
            {"note": "x", "diagnosis": "The root is left out. This reproduces the failure exactly."},
            "The root is left out.",
        ),
        ({"note": "x", "diagnosis": "One line\nand another."}, "One line and another."),
        (
            {
                "note": "6 of 6 runs raise an exception",
                "expected": "a step without an exception",
                "got": "KeyError: 'v'\nline 18: state['v']",
                "where": "step 1",
            },
            "KeyError: 'v', line 18: state['v']",
        ),
        (
            {"note": "E: no", "expected": "no exception", "got": "E: no", "where": "line 3: raise E"},
            "E: no, line 3: raise E",
        ),
        (
            {"note": "lr=-1.0 is rejected", "expected": "True", "got": "False"},
            "not true: lr=-1.0 is rejected",
        ),
    ],
)
def test_a_failure_is_said_by_its_diagnosis_or_by_what_came(told, said):
    verdict = RULE.verdict("failed", **told)
    assert line(verdict) == (said or "3 of 3 runs deviate from the rule; step 1, tensor w")


def test_what_shows_a_fault_again_says_what_the_one_that_told_it_says():
    first = RULE.verdict("failed", note="x", diagnosis="The step goes uphill.")
    again = KEPT.verdict("failed", note="y", diagnosis="This is the same fault as in rule.", same_as="rule")
    assert line(again, (first, again)) == "The step goes uphill."
    assert diagnosis(Report("x", "torch", (first, again))) == "rule: The step goes uphill."


def test_a_report_says_its_first_failure_and_how_many_more():
    kept, wrong = KEPT.verdict("passed"), RULE.verdict("failed", note="x")
    assert diagnosis(Report("x", "torch", (kept,))) == ""
    assert diagnosis(Report("x", "torch", (wrong,))) == "rule: x"
    assert diagnosis(Report("x", "torch", (wrong, KEPT.verdict("failed")))) == "rule: x (and 1 more failure)"
    assert diagnosis(Report("x", None, (RULE.verdict("not applicable"), kept))) == (
        "the arithmetic was not judged"
    )
