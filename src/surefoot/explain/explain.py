"""`explain`: a rule, or several, on a problem, every number of every step worked out as one would by hand."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from fractions import Fraction
from typing import Any

from surefoot.errors import InputError
from surefoot.explain.explanation import Explanation
from surefoot.explain.forms.digits import choose
from surefoot.explain.given import check_digits, check_options, read_fixed, read_rules, read_script
from surefoot.explain.momentum import closing_line
from surefoot.explain.parting import for_rule, part_from_optimizer, part_rules
from surefoot.explain.problem.autograd import compare_with_autograd
from surefoot.explain.problem.node import ROUNDED
from surefoot.explain.problem.parse import parse
from surefoot.explain.problem.problem import Problem
from surefoot.explain.worked import Worked, work_out
from surefoot.rules import Rule
from surefoot.rules.numbers import to_mpmath
from surefoot.trace import OptimizerRaised, Script, Trace, record, replay
from surefoot.trace.values import Number

__all__ = ["explain"]

# fractions grow with each step; beyond this, 50 digits serve unless fractions were asked for
_EXACT_STEPS = 30
Make = Callable[[Any], Number]


def explain(
    rule: str | Rule | Sequence[str | Rule] = "sgd",
    f: str | None = None,
    *,
    at: Mapping[str, Any],
    fixed: str | Collection[str] | Mapping[str, Any] | None = None,
    gradients: Sequence[Mapping[str, Any]] | None = None,
    steps: int | None = None,
    optimizer: Callable[..., Any] | None = None,
    exact: bool = False,
    digits: int | None = None,
    autograd: bool | None = None,
    **options: Any,
) -> Explanation:
    """Work out every number of every step of a rule, as one would by hand.

    For each step and tensor: gₜ = ∇f(wₜ₋₁), the rule's quantities, wₜ: each as formula, numbers, result.

    Args:
        rule: a rule or its name; a list sets conventions beside each other and marks where they first part.
        f: the function, an expression in the variables of `at`; see docs/explain.md for what it may have.
        at: name → start value: numbers or nested lists. A float means the decimal it prints as: 0.1 is 1/10.
        fixed: what no step changes, such as data: names of `at`, or further values, name → value.
        gradients: instead of f, for each step, name → gradient; a name left out has none at that step.
        steps: how many; by default 2, or as many as there are gradients or learning rates.
        optimizer: a torch optimizer's class, recorded on the same script and set beside the rule.
        exact: write fractions instead of rounded decimals.
        digits: decimals of results; by default so many that the first movements show. With exact they are
            those of the last sentence, on what momentum did.
        autograd: compare each gradient with torch's autograd; by default if torch is there already, since
            importing it takes seconds. An independent check without torch is always made.
        options: hyperparameters. One given as a list has a value for each step: `lr=[0.1, 0.1, 0.01]`.

    Returns:
        The Explanation: print it, show it in a notebook, or write it as Markdown, LaTeX, HTML, JSON, a frame.

    Raises:
        InputError: something given cannot be used, or a step cannot be computed; says what, and which step.

    Example:
        >>> from surefoot.explain import explain
        >>> print(explain("sgd", f="w**3", at={"w": 2}, lr=0.1, steps=1, autograd=False))
        PyTorch's SGD   γ = 0.1
        f = w³   w = 2   f(w₀) = 8.0000
        <BLANKLINE>
        w₁ is w after step 1, g₁ = ∇f(w₀).
        <BLANKLINE>
        Step 1
          w  g₁ = 3·w²      = 3·2²       = 12.0000
             w₁ = w₀ − γ·g₁ = 2 − 0.1·12 = 0.8000
             f(w₁) = 0.5120, was 8.0000
        <BLANKLINE>
        No momentum here (μ = 0): each step follows its own gradient and forgets it.
        <BLANKLINE>
        ∇f is exact, checked at each step by dual numbers.
    """
    rules = read_rules(rule)
    if not isinstance(at, Mapping):
        raise InputError(
            f"at must give each variable a start value, as in {{'a': [2, 3]}}, but it is {at!r}."
        )
    if (f is None) == (gradients is None):
        raise InputError("Give either f, an expression to differentiate, or gradients, and not both.")
    if f is None and fixed is not None:
        raise InputError("fixed holds what f has beside its variables; with gradients there is no f.")
    at, held = read_fixed(at, fixed)
    names = {unicodedata.normalize("NFKC", str(name)) for name in at}  # as parse reads them
    for hyper in (x for r in rules for x in r.hypers if x.is_number and not x.letter.isascii()):
        if hyper.letter in names and (hyper.name == "lr" or options.get(hyper.name)):
            raise InputError(
                f"{hyper.letter} stands for {hyper.name} here; give the variable another name, such as w."
            )
    problem = None if f is None else parse(f, at, held)
    script = read_script(at, problem, gradients, steps, options)
    check_options(rules, script, optimizer)
    number = _kind(rules, problem, script, exact)
    decimals = None if digits is None else check_digits(digits)
    recorded = None if optimizer is None else _record(script, optimizer)

    def work(number: Make) -> Explanation:
        with _precision(number):
            traces = [replay(for_rule(script, r), r, number) for r in rules]
            numerals = choose(traces, decimals, exact)
            worked = tuple(
                work_out(r, trace, problem, number, _values(problem, trace, number))
                for r, trace in zip(rules, traces, strict=True)
            )
            partings = [part_rules(script, rules[0], other, number) for other in rules[1:]]
            if recorded is not None:
                partings.append(part_from_optimizer(script, rules[0], recorded, number))
            return Explanation(
                script=script,
                problem=problem,
                worked=worked,
                recorded=recorded,
                partings=tuple(partings),
                theory=_theory(problem, worked[0]),
                closing=closing_line(rules[0], traces[0], problem, number, numerals),
                checks=compare_with_autograd(problem, traces, autograd, optimizer),
                numerals=numerals,
            )

    try:
        return work(number)
    except InputError:  # fractions may grow beyond reading, in a step or in f alone
        if exact or number is to_mpmath:
            raise
    return work(to_mpmath)


def _kind(rules: list[Rule], problem: Problem | None, script: Script, exact: bool) -> Make:
    """Fractions where everything has an exact reading and they stay short; else 50 digits."""
    reason = next((f"{r.name} takes square roots" for r in rules if not r.exact), "")
    if problem is not None and not problem.exact:
        reason = f"f = {problem.text} has {ROUNDED}"
    if exact and reason:
        raise InputError(
            f"Exact fractions are not possible, since {reason}; leave out exact for rounded numbers."
        )
    return to_mpmath if reason or (not exact and len(script.steps) > _EXACT_STEPS) else Fraction


def _precision(number: Make) -> AbstractContextManager[Any]:
    if number is not to_mpmath:
        return nullcontext()
    import mpmath

    return mpmath.workdps(50)  # type: ignore[no-any-return]


def _values(problem: Problem | None, trace: Trace, number: Make) -> tuple[Number | None, ...]:
    """Return f at the start and after each step."""
    if problem is None:
        return (None,) * (len(trace.steps) + 1)
    values: list[Number | None] = []
    for t, point in enumerate([trace.start, *(m.w for m in trace.steps)]):
        try:
            values.append(problem.value(point, number))
        except InputError as error:
            where = f"After step {t}" if t else "At the start"
            raise InputError(f"{where}: {error}") from None
    return tuple(values)


def _record(script: Script, optimizer: Callable[..., Any]) -> Trace:
    if not callable(optimizer):
        raise InputError(f"optimizer must be a torch optimizer's class, but it is {optimizer!r}.")
    try:
        return record(script, optimizer)
    except OptimizerRaised as error:
        name = getattr(optimizer, "__name__", str(optimizer))
        raise InputError(f"{name} cannot be recorded: {error}.") from error


def _theory(problem: Problem | None, worked: Worked) -> tuple[str, ...]:
    """What is known about the rule, if f is a quadratic: in the end, so for the last step's values."""
    from surefoot.explain.quadratic.quadratic import Quadratic
    from surefoot.explain.quadratic.theory import report

    quadratic = Quadratic.of(problem) if problem is not None else None
    if quadratic is None:
        return ()
    changed = [x for x in worked.rule.hypers if worked.h[x.name] != worked.last[x.name]]
    now = ", ".join(f"{x.name} {float(worked.last[x.name]):.4g}" for x in changed if x.is_number)
    note = [f"What follows is for the last step's {now}."] if now and quadratic.convex else []
    about, *rest = report(quadratic, worked.rule, worked.last)
    return (about, *note, *rest)
