"""One check from end to end: find the optimizer, examine it, report."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from surefoot.check.sandbox import UNTOUCHED, Sandbox, available
from surefoot.check.verdict import FAILED, NOT_APPLICABLE, PASSED, Clause, Options, Plan, Report, Verdict
from surefoot.errors import InputError, unknown

if TYPE_CHECKING:
    from surefoot.check.patient import Here
    from surefoot.rules import Rule

__all__ = ["check", "clauses"]


def check(
    optimizer: str | Callable[..., Any],
    rule: str | Rule | None = None,
    *,
    options: Options | None = None,
    decay: str | None = None,
    quick: bool = False,
    deep: bool = False,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    expected_failures: Mapping[str, str] | None = None,
    seed: int = 0,
    sandbox: bool | None = None,
    progress: Callable[[Clause | None], None] | None = None,
) -> Report:
    """Examine an optimizer: its arithmetic against a rule, and the contract that all optimizers must keep.

    Args:
        optimizer: the class, or `"file.py:Class"`, or `"module:Class"`.
        rule: the rule it claims to follow, e.g. "torch" or "keras"; by default it is guessed, and said.
        options: constructor options to use throughout, e.g. `{"foreach": True}`; the others are varied.
        decay: where weight decay enters, if not where the rule has it.
        quick: only what catches most mistakes, in at most a second.
        deep: also what takes long, such as torch.compile.
        only: ids of clauses, or groups of them, to examine.
        skip: ids or groups to leave out.
        expected_failures: id → reason; such a failure does not count.
        seed: makes the random part of the scripts reproducible.
        sandbox: run the optimizer in a process of its own; by default what is named by a string is, and a
            class is not.
        progress: called with each clause once it is judged, and with None at the end.

    Returns:
        The Report: `print` it, or look at `report.ok` and `report.failures`.

    Raises:
        InputError: there is no such optimizer, rule, option or clause.

    Example:
        >>> import torch
        >>> check(torch.optim.SGD, "torch", only=["hooks", "closure"]).ok
        True
    """
    expected = expected_failures or {}
    known = clauses()
    for name in (*only, *skip, *expected):
        if name not in {*known, *(c.group for c in known.values())}:
            raise unknown("clause", name, known)
    plan = Plan(seed=seed, quick=quick, deep=deep, only=tuple(only), skip=tuple(skip))
    patient = _patient(optimizer, options or {}, sandbox)
    began = time.perf_counter()
    notes: list[str] = []
    verdicts: list[Verdict] = []
    try:
        taken = [*patient.signature.options, *patient.signature.required]
        for option in () if patient.signature.swallows else (o for o in options or {} if o not in taken):
            raise unknown(f"option of {patient.signature.name}", option, taken)
        for option in (o for o in patient.signature.required if o not in patient.given):
            raise InputError(f"{patient.signature.name} needs the option {option!r}; none was given.")
        against, coming = _examinations(patient, plan, rule, decay, notes)
        for verdict in coming:
            verdicts.append(verdict)
            if progress:
                progress(verdict.clause)
        if isinstance(patient, Sandbox) and (printed := patient.printed()):
            count = len(printed.splitlines())
            notes.append(
                f"It printed {count} line{'s' * (count > 1)}, first: {printed.splitlines()[0][:200]}"
            )
    finally:
        if progress:
            progress(None)
        if isinstance(patient, Sandbox):
            patient.close()
    return Report(
        subject=optimizer if isinstance(optimizer, str) else patient.signature.name,
        rule=against,
        verdicts=tuple(verdicts),
        options=dict(options or {}),
        notes=tuple(notes),
        seconds=time.perf_counter() - began,
    ).expecting(expected)


def clauses() -> dict[str, Clause]:
    """Return every clause there is, by id, in the order of examination."""
    from surefoot.check import arithmetic, contract

    found: dict[str, Clause] = dict(arithmetic.CLAUSES)
    return {**found, **contract.CLAUSES, UNTOUCHED.id: UNTOUCHED}


def _patient(optimizer: str | Callable[..., Any], options: Options, sandbox: bool | None) -> Here | Sandbox:
    if isinstance(optimizer, str) and sandbox is not False and available():
        return Sandbox(optimizer, options)
    if sandbox:
        raise InputError(
            "A sandbox needs the optimizer as file.py:Class or module:Class, and a POSIX system."
        )
    from surefoot.check.load import load
    from surefoot.check.patient import Here

    return Here(load(optimizer), options)


def _examinations(
    patient: Here | Sandbox, plan: Plan, rule: str | Rule | None, decay: str | None, notes: list[str]
) -> tuple[str | None, Iterator[Verdict]]:
    """Prepare all that is examined; returns the rule's name, and the verdicts as they come."""
    from surefoot.check import arithmetic, contract

    kept = contract.examine(patient, plan)
    if kept.aside:
        notes.append(kept.aside)
    against: str | None = None
    computed: Iterator[Verdict] = iter(())
    if any(plan.wants(c) for c in arithmetic.CLAUSES.values()):
        examination = arithmetic.examine(patient, plan, rule, decay)
        against = examination.rule.name if examination.rule else None
        computed = examination.verdicts
        notes.append(f"Rule: {examination.why}")
    return against, itertools.chain(computed, kept.verdicts, _untouched(patient, plan))


def _untouched(patient: Here | Sandbox, plan: Plan) -> Iterator[Verdict]:
    """Judge what the optimizer's module did to torch and surefoot."""
    if not plan.wants(UNTOUCHED):
        return
    if not isinstance(patient, Sandbox):
        yield UNTOUCHED.verdict(NOT_APPLICABLE, note="seen only from outside, when it runs in the sandbox")
    elif not patient.patched:
        yield UNTOUCHED.verdict(PASSED)
    else:
        name = patient.patched[0]
        place = name if name.startswith("torch.") else "torch"
        yield UNTOUCHED.verdict(
            FAILED,
            note=f"it replaces {', '.join(patient.patched[:5])}",
            expected=f"{name} as torch has it",
            got=f"another {name}",
            repro=f"import torch\nbefore = {place}\n{patient.signature.imports}\nassert {place} is before\n",
        )
