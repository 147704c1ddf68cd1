"""One check from end to end: find the optimizer, examine it, report."""

from __future__ import annotations

import gc
import itertools
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from surefoot.check.choose import not_asked, planned
from surefoot.check.protocol import IN_BACKWARD, Options, Plan, Signature
from surefoot.check.sandbox.sandbox import Sandbox
from surefoot.check.sandbox.server import NO_SANDBOX, apart, get_server
from surefoot.check.untouched import UNTOUCHED, untouched
from surefoot.check.verdict import NOT_APPLICABLE, REFUSED, Clause, Report, Verdict
from surefoot.errors import InputError, unknown
from surefoot.loading import before_torch, parted

if TYPE_CHECKING:
    from surefoot.check.subject.patient import Here
    from surefoot.rules import Rule

__all__ = ["check"]


def check(
    optimizer: str | Callable[..., Any],
    rule: str | Rule | None = None,
    *,
    options: Options | None = None,
    decay: str | None = None,
    quick: bool = False,
    deep: bool = False,
    only: str | Sequence[str] | None = None,
    skip: str | Sequence[str] | None = None,
    expected_failures: Mapping[str, str] | None = None,
    seed: int = 0,
    sandbox: bool | None = None,
    progress: Callable[[Clause | None], None] | None = None,
) -> Report:
    """Examine an optimizer: its arithmetic against a rule, and the contract that all optimizers must keep.

    Args:
        optimizer: the class, or `"file.py:Class"`, or `"module:Class"`; or `"file.py"` that has but one.
        rule: the rule it claims to follow, e.g. "torch" or "keras"; by default it is guessed, and said.
        options: constructor options to use throughout, e.g. `{"foreach": True}`; the others are varied.
        decay: where weight decay enters, if not where the rule, named or guessed, has it.
        quick: only what catches most mistakes, in a second or two beyond importing torch.
        deep: also what takes long, such as torch.compile.
        only: ids of clauses, or groups of them, to examine; "homework" is what a class's homework is held
            to; commas separate several.
        skip: ids or groups to leave out.
        expected_failures: id → reason; such a failure does not count.
        seed: makes the random part of the scripts reproducible.
        sandbox: run the optimizer in a process of its own; by default what is named by a string is, where
            the system can, and a class is not.
        progress: called with each clause once it is judged, and with None at the end.

    Returns:
        The Report: `print` it, or look at `report.ok` and `report.failures`.

    Raises:
        InputError: there is no such optimizer, rule, option or clause, or none is left to examine.

    Example:
        >>> import torch
        >>> check(torch.optim.SGD, "torch", only=["hooks", "closure"]).ok
        True
    """
    own = apart(optimizer, sandbox)
    if own:
        get_server()  # imports torch while this process does
    before_torch()
    plan = planned(only, skip, expected_failures, quick=quick, deep=deep, seed=seed)
    if isinstance(optimizer, str) and own:
        patients = _Patients(Sandbox(optimizer, options))
    else:
        from surefoot.check.subject.load import load
        from surefoot.check.subject.patient import Here

        patients = _Patients(Here(load(optimizer), options))
    patient = patients.first
    began = time.perf_counter()
    notes: list[str] = []
    if isinstance(optimizer, str) and sandbox is None and not own:
        notes.append(f"{NO_SANDBOX}: it ran in this one, without limits on time and memory.")
    verdicts: list[Verdict] = []
    try:
        _refuse(patient.signature, patient.given, options or {})
        notes += _filled_in(patient)
        against, coming = _examinations(patients, plan, rule, decay, notes)
        for verdict in coming:
            verdicts.append(verdict)
            if options and verdict.note.startswith(REFUSED):
                raise _unmade(patient.signature.name, options, verdict.note.removeprefix(REFUSED))
            if progress:
                progress(verdict.clause)
        if printed := patients.printed():
            count = len(printed)
            notes.append(f"It printed {count} line{'s' * (count > 1)}, first: {printed[0][:200]}")
        notes += filter(None, [not_asked(plan)])
    finally:
        if progress:
            progress(None)
        patients.close()
    return Report(
        subject=_subject(optimizer, patient.signature.name),
        rule=against,
        verdicts=tuple(verdicts),
        options=dict(options or {}),
        notes=tuple(notes),
        seconds=time.perf_counter() - began,
    ).expecting(expected_failures or {})


def _subject(optimizer: str | Callable[..., Any], name: str) -> str:
    """What was examined, as the user named it; where only its file was named, with its class."""
    if not isinstance(optimizer, str):
        return name
    return optimizer if parted(optimizer)[1] else f"{optimizer}:{name}"


def _refuse(signature: Signature, given: Options, options: Options) -> None:
    """Refuse an option that there is not, and go without none that must be given."""
    taken = [*signature.options, *signature.required]
    for option in options:
        if option not in taken and not signature.swallows:
            raise unknown(f"option of {signature.name}", option, taken)
    for option in signature.required:
        if option not in given:
            raise InputError(
                f"{signature.name} needs a value for {option}, which has no default; pass --option "
                f"{option}=VALUE (in Python options={{{option!r}: VALUE}})."
            )
    signature.refuse_words(options)


def _unmade(name: str, options: Options, said: str) -> InputError:
    """What to say of a constructor that refuses the options that the user gave."""
    from surefoot.check.contract.mending import of_constructor

    given = ", ".join(f"{option}={value!r}" for option, value in options.items())
    said = said.rstrip(".")
    hint = f" {mend}" if (mend := of_constructor(said)) else ""
    return InputError(f"{name} cannot be constructed with {given}: {said}.{hint}")


def _filled_in(patient: Here | Sandbox) -> list[str]:
    """Which values were taken for options that have no default."""
    taken = {o: v for o, v in patient.signature.filled.items() if o != "lr" and o not in patient.given}
    values = ", ".join(f"{o}={v!r}" for o, v in taken.items())
    return [f"These options have no default, so usual values were used: {values}."] if taken else []


class _Patients:
    """The optimizer, and in the sandbox, where two are examined at the same time, its twin."""

    def __init__(self, first: Here | Sandbox) -> None:
        self.first, self.twin = first, first
        self.interval = sys.getswitchinterval()
        # clauses that count what is alive, or collect it, need not go through all that was there before
        self.frozen = not isinstance(first, Sandbox) and not gc.get_freeze_count()
        if self.frozen:
            gc.freeze()

    @property
    def apart(self) -> list[Sandbox]:
        return [p for p in dict.fromkeys((self.first, self.twin)) if isinstance(p, Sandbox)]

    def split(self) -> None:
        """Make a twin, where it can have a process of its own."""
        if isinstance(self.first, Sandbox):
            self.twin = self.first.twin()
            sys.setswitchinterval(self.interval / 20)  # the thread that waits for answers is to be woken soon

    @property
    def patched(self) -> list[str] | None:
        """What its module replaced in torch and surefoot; None if it runs here, where nobody can look."""
        return [name for p in self.apart for name in p.patched] if self.apart else None

    def printed(self) -> list[str]:
        return [line for p in self.apart for line in p.printed().splitlines()]

    def close(self) -> None:
        sys.setswitchinterval(self.interval)
        if self.frozen:
            gc.unfreeze()
        for p in self.apart:
            p.close()


def _examinations(
    patients: _Patients, plan: Plan, rule: str | Rule | None, decay: str | None, notes: list[str]
) -> tuple[str | None, Iterator[Verdict]]:
    """Prepare all that is examined; returns the rule's name, and the verdicts as they come."""
    from surefoot.check import contract
    from surefoot.check.arithmetic import examine as arithmetic

    if patients.first.signature.in_backward:  # no clause asks backward() for its gradients
        left = filter(plan.wants, (*arithmetic.CLAUSES.values(), *contract.CLAUSES.values()))
        return None, (c.verdict(NOT_APPLICABLE, note=IN_BACKWARD) for c in left)
    kept = contract.examine(patients.first, plan)
    if kept.aside:
        notes.append(kept.aside)
    against: str | None = None
    computed: Iterator[Verdict] = iter(())
    contracted = kept.verdicts
    if any(plan.wants(c) for c in arithmetic.CLAUSES.values()):
        if any(plan.wants(c) for c in contract.CLAUSES.values()):
            patients.split()
        if patients.twin is not patients.first:
            contracted = _meanwhile(contracted)
        examination = arithmetic.examine(patients.twin, plan, rule, decay)
        against = examination.rule.name if examination.rule else None
        computed = examination.verdicts
        if examination.rule:  # else the verdict says why there is none
            notes.append(f"Rule: {examination.why}")
        notes += [examination.aside] * bool(examination.aside)

    def last() -> Iterator[Verdict]:  # when all has been asked
        if plan.wants(UNTOUCHED):
            yield untouched(patients.first, patients.patched)

    return against, itertools.chain(computed, contracted, last())


def _meanwhile(verdicts: Iterator[Verdict]) -> Iterator[Verdict]:
    """Make verdicts in a thread of their own, from now on; what it raises is raised where they are read."""
    made: queue.SimpleQueue[Verdict | BaseException | None] = queue.SimpleQueue()

    def make() -> None:
        try:
            for verdict in verdicts:
                made.put(verdict)
            made.put(None)
        except BaseException as error:
            made.put(error)

    threading.Thread(target=make, daemon=True).start()

    def read() -> Iterator[Verdict]:
        while (verdict := made.get()) is not None:
            if isinstance(verdict, BaseException):
                raise verdict
            yield verdict

    return read()
