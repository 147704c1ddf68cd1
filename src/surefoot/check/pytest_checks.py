"""The checks as pytest tests: one for each clause."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from surefoot.check.choose import clauses, planned
from surefoot.check.run import check
from surefoot.check.verdict import FAILED, NOT_APPLICABLE, Report
from surefoot.errors import InputError, unknown
from surefoot.loading import parted

if TYPE_CHECKING:
    import pytest

__all__ = ["checks"]

# the others are parameters of `checks` itself, or tell who waits how far it is
_TAKEN = inspect.signature(check).parameters.keys() - {"optimizer", "rule", "expected_failures", "progress"}


def checks(
    optimizer: str | Callable[..., Any],
    rule: Any = None,
    *,
    expected_failures: Mapping[str, str] | None = None,
    **how: Any,
) -> pytest.MarkDecorator:
    """Make one pytest test for each clause, which fails, passes or is skipped as its verdict says.

    The optimizer is examined once, when the first of the tests runs. A test's id names its class and the
    clause, as `test_mine[SGD-late]`; a failure begins with its diagnosis, which pytest's summary shows.

    Args:
        optimizer: the class, or `"file.py:Class"`, or `"module:Class"`.
        rule: the rule it claims to follow.
        expected_failures: id → reason; such a test is an xfail, and it is an error if it passes. So are those
            that show no other fault.
        how: what `surefoot.check` takes besides: options, decay, quick, deep, only, skip, seed, sandbox.

    Returns:
        A decorator for a test function with the one argument `check`, which calls it.

    Raises:
        InputError: a keyword that `surefoot.check` does not take, no optimizer, or expected failures that are
            no mapping; there is no clause, or in `only` and `skip` no group of clauses, of a name given; or
            no clause is left.

    Example:
        >>> import torch
        >>> known = {"shapes": "divides by the number of elements"}
        >>> @checks(torch.optim.Adafactor, expected_failures=known)
        ... def test_adafactor(check):
        ...     check()
    """
    import pytest

    for name in how:
        if name not in _TAKEN:
            raise unknown("keyword of surefoot.checks", name, {*_TAKEN, "expected_failures"})
    if not isinstance(optimizer, str) and not callable(optimizer):
        raise InputError(
            f"surefoot.checks takes an optimizer class or 'file.py:Class'; {optimizer!r} is neither."
        )
    named = {k: how[k] for k in ("only", "skip", "quick", "deep") if k in how}
    plan = planned(expected=expected_failures, **named)
    expected = expected_failures or {}
    name = _name(optimizer)

    @functools.cache
    def report() -> Report:
        return check(optimizer, rule, **how)

    def test(id: str) -> Callable[[], None]:
        def examine() -> None:
            __tracebackhide__ = True
            _tell(report(), id, expected)

        return examine

    cases = [
        pytest.param(
            test(id),
            id=f"{name}-{id}",
            marks=[pytest.mark.xfail(strict=True, reason=expected[id])] if id in expected else [],
        )
        for id, clause in clauses().items()
        if plan.wants(clause)
    ]
    return pytest.mark.parametrize("check", cases)


def _name(optimizer: str | Callable[..., Any]) -> str:
    """What a test calls the optimizer: its class or, where only a file is named, that."""
    if isinstance(optimizer, str):
        where, name = parted(optimizer)
        return name or os.path.basename(where)
    return str(getattr(optimizer, "__name__", type(optimizer).__name__))


def _tell(report: Report, id: str, expected: Mapping[str, str]) -> None:
    """End a test as its clause was judged; the first line of a failure is its diagnosis."""
    import pytest

    from surefoot.check.report import text
    from surefoot.check.report.line import line
    from surefoot.check.report.words import told_by

    __tracebackhide__ = True
    verdict = next((v for v in report.verdicts if v.clause.id == id), None)
    if verdict is None:
        pytest.skip("not examined; the test of `rule` gives the reason")
    if verdict.outcome == NOT_APPLICABLE:
        pytest.skip(verdict.note)
    marked = report.expecting(expected)[id].expected_failure if expected else None
    if marked is not None and id not in expected:  # it shows what an expected one has told
        pytest.xfail(marked)
    if verdict.outcome == FAILED:
        told = (*told_by(verdict, report.verdicts), verdict)  # what it refers to comes first
        # with a traceback, which is the test's own line: a summary shows the first line of no other failure
        pytest.fail(f"{line(verdict, report.verdicts)}\n\n{text(replace(report, verdicts=told))}")
