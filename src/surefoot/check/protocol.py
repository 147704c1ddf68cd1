"""How a check asks the optimizer under test: what is to be examined, and who answers.

Both parts of a check, arithmetic and contract, have a function `examine(patient, plan, …)` that returns an
Examination, whose verdicts are made while they are read. They never touch the optimizer: they ask the
Patient, who may live in another process, and judge its answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from surefoot.check.homework import HOMEWORK, NAME
from surefoot.errors import InputError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from surefoot.check.verdict import Clause, Verdict
    from surefoot.rules import Rule
    from surefoot.trace import Script, Trace

__all__ = [
    "DEFAULT_DTYPE",
    "IN_BACKWARD",
    "LR",
    "MATRICES_ONLY",
    "MISFIT",
    "SAYS_SO",
    "Answer",
    "Died",
    "Examination",
    "Options",
    "Patient",
    "Plan",
    "Raised",
    "Signature",
]

# what a step may raise to say that it does not do something; anything else is a fault
SAYS_SO = ("NotImplementedError", "RuntimeError", "ValueError", "AssertionError")

# how a step says that it is for matrices alone; what torch says of shapes that do not fit is no refusal
MATRICES_ONLY = re.compile(
    r"\b(supports?|supported|only|requires?)\b.*(\dd\b|dim|matri|shape)|(\b\dd\b|\bdim|\bmatri).*\bonly\b",
    re.I,
)

# how torch says that shapes do not fit, as where a buffer is another parameter's
MISFIT = re.compile(
    r"must match the size of tensor|match the broadcast shape|shapes? .*cannot be|size mismatch"
)

DEFAULT_DTYPE = "torch.get_default_dtype()"  # among the names of what was replaced: it is another one

LR = 0.25  # short in binary, and large enough to show

IN_BACKWARD = "It steps in hooks, while backward() runs, so it ignores gradients that are set directly."

Options: TypeAlias = Mapping[str, Any]  # for the constructor: numbers, booleans, strings, tuples
Answer: TypeAlias = dict[str, Any]  # plain data, as JSON can hold it


@dataclass(frozen=True)
class Plan:
    """How much to examine.

    Args:
        seed: makes everything random reproducible.
        quick: only what catches most mistakes.
        deep: also what takes long: torch.compile, two processes.
        only: ids of clauses or groups, or "homework"; empty means all.
        skip: ids of clauses or groups to leave out.
    """

    seed: int = 0
    quick: bool = False
    deep: bool = False
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()

    def wants(self, clause: Clause) -> bool:
        """Whether a clause is to be examined, going by --quick, --only and --skip."""
        if self.quick and not clause.quick:
            return False
        named = {clause.id, clause.group, *([NAME] if clause.id in HOMEWORK else [])}
        return (not self.only or bool(named & set(self.only))) and not named & set(self.skip)


@dataclass(frozen=True)
class Signature:
    """How the optimizer's class is called.

    Args:
        name: the class's name.
        options: option → default, for all that have one; where JSON cannot hold it, the string of its repr.
        required: the options without a default, except the parameters themselves and those filled in.
        filled: options without a default whose names tell what they are → a usual value; in `options`, too.
        held: hyperparameters that a function gives the optimizer it makes, and takes no option for.
        keys: option → what the groups call it, where that is another name; see `surefoot.trace.keys`.
        swallows: whether `**kwargs` takes any name.
        needs_closure: whether step() cannot be called without a closure.
        calls_none: whether step() says that it does without a closure, and then calls None.
        in_backward: whether parameters are stepped, or their gradients taken, while backward() runs.
        leaves: the lines of step() that leave a loop → whether only under a condition.
        imports: the line that makes the class known in a reproduction, e.g. "from torch.optim import SGD".
    """

    name: str
    options: Options = field(default_factory=dict)
    required: tuple[str, ...] = ()
    filled: Options = field(default_factory=dict)
    held: Options = field(default_factory=dict)
    keys: Mapping[str, Any] = field(default_factory=dict)
    swallows: bool = False
    needs_closure: bool = False
    calls_none: bool = False
    in_backward: bool = False
    leaves: Mapping[str, bool] = field(default_factory=dict)
    imports: str = ""

    def given(self, options: Options) -> dict[str, Any]:
        """What every question starts from: the options that the user gave, and an lr that shows."""
        given = dict(options)
        if "lr" in self.options or "lr" in self.required:
            given.setdefault("lr", LR)
        return given

    def refuse_words(self, given: Options) -> None:
        """Refuse a word for an option that is on or off: as a string, even "no" would switch it on."""
        for option, value in given.items():
            if isinstance(value, str) and isinstance(self.options.get(option), bool):
                raise InputError(f"{option} is {value!r}; it must be True or False.")

    def call(self, given: Options) -> dict[str, Any]:
        """The options that a call needs, of which the user gave some."""
        return {**self.filled, **given}


class Patient(Protocol):
    """The optimizer under test, here or in a process of its own.

    Every question may raise `Died`: the process is gone, was stopped, or did not answer in time. The patient
    is then alive again for the next question.
    """

    @property
    def signature(self) -> Signature:
        """How its class is called."""

    @property
    def given(self) -> Options:
        """The options the user gave, and an lr if the class takes one; every question starts from them."""

    def observe(self, probe: str, case: Options, options: Options) -> Answer:
        """Run a contract probe by its name; `options` are added to the given ones."""

    def tolerate(self, kind: str) -> None:
        """Set aside what every step() raises after its update, so that the rest can be examined."""

    def hurried(self, seconds: float) -> AbstractContextManager[None]:
        """Allow less time for an answer, for a while."""

    def record(
        self, script: Script, options: Options | None = None, dtype: str = "float64", *, ones: bool = False
    ) -> Trace:
        """Play a script; the groups' own options win over `options`, and those over the given ones.

        Meanwhile torch.empty makes NaN; or `ones`, by which it is told apart from what makes NaN itself.

        Raises:
            Raised: the optimizer raised an exception; it says which, and where.
            Died: see above.
        """


@dataclass(frozen=True)
class Examination:
    """An examination about to be made: its verdicts as they come, and what is to be said beside them.

    Args:
        verdicts: made while they are read.
        aside: what had to be set aside for it, or which options it is silent about.
        rule: of arithmetic, what the optimizer is held against.
        why: of arithmetic, why that rule or none.
    """

    verdicts: Iterator[Verdict] = field(repr=False)
    aside: str = ""
    rule: Rule | None = None
    why: str = ""


class Raised(Exception):
    """The optimizer under test raised: `kind` is the exception's type, `said` its text, `line` where.

    While a script was recorded, `action` and `step` say during what, as in `surefoot.trace.OptimizerRaised`.
    """

    def __init__(self, kind: str, said: str, line: str = "", action: str = "", step: int = 0) -> None:
        super().__init__(f"{kind}: {said}" if said else kind)
        self.kind, self.said, self.line, self.action, self.step = kind, said, line, action, step


class Died(Exception):
    """The process of the optimizer under test ended, or had to be ended; its text is a whole sentence."""
