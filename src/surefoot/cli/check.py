"""`surefoot check`: any torch optimizer, examined."""

from __future__ import annotations

from typing import Annotated

from surefoot.cli.kinds import Decay, File, Flag, NamedRule, Options, Several, Whole, called
from surefoot.cli.streams import width
from surefoot.errors import InputError

__all__ = ["check"]

Clauses = Annotated[Several, called("ID")]


def check(
    optimizer: str | None = None,
    /,
    *,
    option: Options = None,
    rule: NamedRule | None = None,
    decay: Decay = None,
    quick: Flag = False,
    deep: Flag = False,
    only: Clauses = None,
    skip: Clauses = None,
    expect_fail: Annotated[Several, called("ID=REASON")] = None,
    seed: Whole = 0,
    all: Flag = False,
    list: Flag = False,
    json: Flag = False,
    markdown: Flag = False,
    junit: File = None,
    html: File = None,
    sandbox: bool | None = None,
) -> int:
    """Examine a torch optimizer: does it compute what its rule says, and keep the contract of all optimizers?

    It runs in a process of its own, bounded in time and memory.

    For example:
      surefoot check homework.py:SGD
      surefoot check torch.optim:SGD --option nesterov=True --option momentum=0.9
      surefoot check torch.optim --all

    Exit code 0: nothing failed; 1: something did; 2: it could not be examined.

    Parameters
    ----------
    optimizer
        file.py:Class or package.module:Class; with --all a file or module.
    option
        A constructor option to use throughout; may be repeated. The others are varied.
    rule
        The rule that it claims to follow: `surefoot rules` lists them. [default: it is guessed]
    decay
        Where decay enters: l2, decoupled, after_momentum, after_step, no_lr, corrected. [default: the rule's]
    quick
        Only what catches most mistakes, in a second or two beyond importing torch.
    deep
        Also what takes long: torch.compile, two processes.
    only
        A clause or group of clauses to examine (--list has their ids); may be repeated, or with commas.
    skip
        A clause or group to leave out; may be repeated, or several with commas.
    expect_fail
        This failure is expected, and does not count; may be repeated.
    seed
        Makes the random part of the scripts reproducible.
    all
        Examine every optimizer of a module, and show a table.
    list
        Show the clauses that there are, and examine nothing.
    json
        Write the report as JSON.
    markdown
        Write the report as Markdown.
    junit
        Write the report to this file as JUnit XML, too.
    html
        Write the report to this file as a page, too.
    sandbox
        Run the optimizer in a process of its own, where the system can; --no-sandbox is for debugging.
    """
    import sys

    from surefoot.check import report as written
    from surefoot.check.choose import clauses, planned
    from surefoot.check.report.screen import colored
    from surefoot.check.run import check as examine
    from surefoot.check.subject.load import optimizers
    from surefoot.check.verdict import Report
    from surefoot.loading import parted
    from surefoot.options import parse_options

    if list:
        for clause in clauses().values():
            print(f"{clause.group:13} {clause.id:20} {clause.title}")
        return 0
    if optimizer is None:
        raise InputError("Name an optimizer: surefoot check file.py:Class, or package.module:Class.")
    if json and markdown:
        raise InputError("--json and --markdown both write to the screen; choose one.")
    if quick and deep:
        raise InputError("--quick and --deep exclude each other; choose one.")
    if all and (name := parted(optimizer)[1]):
        raise InputError(f"--all examines a whole module or file; leave out ':{name}', or leave out --all.")
    for file in (junit, html):
        if file is not None and not file.absolute().parent.is_dir():
            raise InputError(f"There is no folder {file.absolute().parent} to write {file.name} into.")
    expected = _reasons(expect_fail or [])
    subjects = optimizers(optimizer) if all else [optimizer]
    if all:  # what is wrong for each is told once
        planned(only, skip, expected, quick=quick, deep=deep)
    reports = []
    for subject in subjects:
        try:
            report = examine(
                subject,
                rule,
                options=parse_options(option or []),
                decay=decay,
                quick=quick,
                deep=deep,
                only=only or (),
                skip=skip or (),
                expected_failures=expected,
                seed=seed,
                sandbox=sandbox,
                progress=written.progress(sys.stderr, subject if all else ""),
            )
        except InputError as error:
            if not all:
                raise
            report = Report(subject, None, (), notes=(f"Not examined: {error}",))  # the others may do
        reports.append(report)
    if junit:
        junit.write_text(written.junit(reports), encoding="utf-8")
    if html:
        html.write_text(written.html(reports), encoding="utf-8")
    if json:
        print(written.as_json(reports))
    elif markdown:
        print(written.markdown(reports))
    elif all:
        print(written.table(reports, color=colored(sys.stdout), width=width()))
    else:
        print(written.text(reports[0], color=colored(sys.stdout), width=width()))
    if any(r.failures for r in reports):
        return 1
    return 2 if any(not r.examined for r in reports) else 0


def _reasons(pairs: list[str]) -> dict[str, str]:
    for pair in pairs:
        if not all(pair.partition("=")):
            raise InputError(f"--expect-fail {pair!r} is not of the form ID=reason.")
    return {id: reason for id, _, reason in (p.partition("=") for p in pairs)}
