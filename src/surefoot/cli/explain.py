"""`surefoot explain`: every number of every step, worked out as by hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from surefoot.cli.kinds import CLASS, Decay, Flag, NamedRule, Options, Several, called
from surefoot.cli.streams import width
from surefoot.errors import InputError
from surefoot.options import whole_number

if TYPE_CHECKING:
    from cyclopts import Token

__all__ = ["explain"]


def _count(kind: Any, tokens: tuple[Token, ...]) -> Any:
    """Command line text as a whole number; any other as it is, for `explain` says what would be right."""
    from cyclopts import CoercionError

    try:
        return whole_number(kind, tokens)
    except CoercionError:
        return tokens[0].value


Count = Annotated[int, Parameter(converter=_count), called("N")]
# text, and so exact; -1 is no option
Number = Annotated[str | None, Parameter(allow_leading_hyphen=True), called("NUMBER")]
Variables = Annotated[Several, called("NAME=VALUES")]


def explain(
    rule: NamedRule = "sgd",
    f: str | None = None,
    /,
    *,
    at: Variables = None,
    fixed: Variables = None,
    gradient: Variables = None,
    steps: Count | None = None,
    lr: Number = None,
    momentum: Number = None,
    dampening: Number = None,
    weight_decay: Number = None,
    decay: Decay = None,
    nesterov: Flag = False,
    maximize: Flag = False,
    option: Options = None,
    optimizer: Annotated[str | None, CLASS] = None,
    exact: Flag = False,
    digits: Count | None = None,
    autograd: Flag = False,
    format: Literal["text", "markdown", "latex", "html", "json"] = "text",
    picture: Annotated[Several, called("KIND=FILE")] = None,
    quiet: Flag = False,
) -> int:
    """Work out every number of every step of an update rule: the formula, with numbers, and the result.

    For example:
      surefoot explain sgd "mean(a**2 - b)" --at a=2,3 --at b=6,4 --momentum 0.9
      surefoot explain torch,keras "x**2 + 5*y**2" --at "x=2; y=1" --lr 0.05,0.01
      surefoot explain adam --at w=1 --gradient w=0.5 --gradient w=-0.25
      surefoot explain sgd "x**2 + 5*y**2" --at "x=2; y=1" --picture path=path.png

    Parameters
    ----------
    rule
        The rule, such as adam, or several with commas (`surefoot rules` lists them); may be left out with F.
    f
        Names, numbers, + - * / ** @ .T, mean sum dot norm exp log sin cos sqrt abs tanh sigmoid relu max.
    at
        Where a variable starts: a=2,3 or A=[[1,2],[3,4]]; may be repeated. 0.1 means 1/10.
    fixed
        What no step changes, such as data: names of --at with commas, or X=[[1,2],[3,4]]; may be repeated.
    gradient
        Instead of f: the gradients of one step, a=18,40.5; b=-6,-4. Repeat for each step.
    steps
        How many steps. [default: 2, or as many as there are gradients or learning rates]
    lr
        Learning rate, or several with commas, one per step. [default: the rule's own, 0.001 for sgd]
    momentum
        How much of the buffer is kept from step to step. [default: the rule's own, 0 for sgd]
    dampening
        How much of a gradient is held back from the buffer. [default: 0]
    weight_decay
        Pull of each parameter towards 0. [default: the rule's own, 0 for sgd]
    decay
        Where it enters: l2, decoupled, after_momentum, after_step, no_lr or corrected. [default: the rule's]
    nesterov
        Nesterov's momentum: the step looks one step ahead.
    maximize
        Maximize f instead of minimizing it.
    option
        Any other hyperparameter, such as beta1=0.9; may be repeated.
    optimizer
        A torch optimizer to record beside the rule: file.py:Class or package.module:Class.
    exact
        Write fractions instead of rounded decimals.
    digits
        Decimals of results; with --exact, of the last sentence only. [default: enough for the first step]
    autograd
        Also check the gradients against torch's autograd, which imports torch.
    format
        Output format.
    picture
        Plot to a file; kinds: path, value, over-time, impulse, rates. May be repeated.
    quiet
        Print only where the pictures are.
    """
    import sys

    from surefoot.explain import explain as work_out
    from surefoot.explain.problem.assignments import read_assignments, read_option_text
    from surefoot.options import split_options
    from surefoot.plot.file import save_picture

    if set(rule) & set("*+-/()[]@^") and not _is_rule(rule) and (f is None or _is_rule(f)):
        shown = f'surefoot explain {f or "sgd"} "{rule}" --at …'
        raise InputError(f"{rule!r} is not a rule; the rule comes first, as in: {shown}")
    start: dict[str, Any] = {}
    for text in at or []:
        for name, value in read_assignments(text).items():
            if name in start:
                raise InputError(f"{name} has two start values; give one.")
            start[name] = value
    held: list[str] = []
    for text in fixed or []:
        values = read_assignments(text) if "=" in text else {}
        if twice := [name for name in values if name in start]:
            raise InputError(f"{twice[0]} has two values; give one.")
        start |= values
        held += values or [name.strip() for name in text.split(",")]
    if not start:
        raise InputError(
            'No start values are given; give each variable one, as in: surefoot explain sgd "a**2" --at a=3.'
        )
    named = {"momentum": momentum, "dampening": dampening, "weight_decay": weight_decay, "decay": decay}
    options: dict[str, Any] = {k: v for k, v in named.items() if v is not None}
    if lr is not None:
        options["lr"] = lr.split(",") if "," in lr else lr
    options |= {k: True for k, v in {"nesterov": nesterov, "maximize": maximize}.items() if v}
    options |= {k: read_option_text(text) for k, text in split_options(option or [], options).items()}
    given: dict[str, Any] = {
        "f": f,
        "at": start,
        "fixed": held or None,
        "gradients": None if gradient is None else [read_assignments(text) for text in gradient],
        "steps": steps,
        "exact": exact,
        "digits": digits,
        "autograd": True if autograd else None,
    }
    if taken := sorted((given.keys() | {"rule", "optimizer"}) & options.keys()):
        raise InputError(f"{taken[0]} cannot be given with --option; give it as --{taken[0]}.")
    files = [_picture(pair) for pair in picture or []]
    if quiet and not files:
        raise InputError(
            "--quiet prints only where pictures are, but no picture is given; add --picture path=path.png."
        )
    rules = rule.split(",") if "," in rule else rule
    explanation = work_out(
        rules, **given, **options, optimizer=None if optimizer is None else _load(optimizer)
    )
    # the path of one rule says more beside the one without momentum
    alone = picture and len(explanation.traces) == 1 and "momentum" in options and not nesterov
    others = [work_out(rules, **given, **{**options, "momentum": "0"})] if alone else []
    for kind, file in files:
        figure = explanation.plot(kind, *(others if kind in ("path", "value", "over-time") else []))
        save_picture(figure, file)
    if not quiet:
        print(_write(explanation, format).rstrip("\n"))
    for _, file in files:
        print(f"Drawn: {file}", file=sys.stdout if quiet or format == "text" else sys.stderr)
    return 0


def _is_rule(text: str) -> bool:
    """Whether it names a rule, or several; one of a file's is not looked for."""
    from surefoot.rules import get

    try:
        return ":" in text or all(map(get, text.split(",")))
    except InputError:
        return False


def _load(optimizer: str) -> Any:
    from surefoot.check.subject.load import load

    return load(optimizer).make


def _write(explanation: Any, format: str) -> str:
    if format != "text":
        return str(getattr(explanation, format)())
    import os
    import sys

    color = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return str(explanation.text(width=width(), color=color))


def _picture(pair: str) -> tuple[str, Path]:
    """Read kind=FILE."""
    from surefoot.plot.file import check_picture

    kind, equals, name = pair.partition("=")
    if not equals:
        raise InputError(f"The picture {pair!r} is not of the form KIND=FILE, such as path=path.png.")
    check_picture(Path(name))
    return kind, Path(name)
