"""`surefoot check`: any torch optimizer, examined."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from surefoot.cli.kinds import Decay, File, Flag, Folder, NamedRule, Options, Several, Whole, called
from surefoot.errors import InputError

__all__ = ["check"]

Clauses = Annotated[Several, called("ID")]


def check(
    *optimizer: str,
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
    csv: File = None,
    out: Folder = None,
    sandbox: bool | None = None,
) -> int:
    """Examine a torch optimizer: does it compute what its rule says, and keep the contract of all optimizers?

    It runs in a process of its own, bounded in time and memory.

    For example:
      surefoot check homework.py:SGD
      surefoot check torch.optim:SGD --option nesterov=True --option momentum=0.9
      surefoot check torch.optim --all
      surefoot check submissions/ --rule sgd --only homework --csv marks.csv

    Exit code 0: nothing failed; 1: something did; 2: it could not be examined. Of several, 1 comes first.

    Parameters
    ----------
    optimizer
        file.py:Class, package.module:Class, a file with one optimizer, or a folder; with --all a module.
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
        A clause or group to examine (--list has their ids), or homework; may be repeated, or with commas.
    skip
        A clause or group to leave out; may be repeated, or several with commas.
    expect_fail
        This failure is expected, and does not count; may be repeated.
    seed
        Makes the random part of the scripts reproducible.
    all
        Examine every optimizer of a module, and show a table.
    list
        Show the clauses that there are, or that --only and --skip leave, and examine nothing.
    json
        Write the report as JSON.
    markdown
        Write the report as Markdown.
    junit
        Write the report to this file as JUnit XML, too.
    html
        Write the report to this file as a page, too.
    csv
        Of a folder or several files: write the table to this file as CSV, too.
    out
        Of a folder or several files: write each report into this folder as a page, too.
    sandbox
        Run the optimizer in a process of its own, where the system can; --no-sandbox is for debugging.
    """
    import os

    from surefoot.check.choose import clauses, planned
    from surefoot.cli.checked import Files, examined
    from surefoot.loading import parted
    from surefoot.options import parse_options

    if list:
        plan = planned(only, skip, quick=quick, deep=deep)
        for clause in filter(plan.wants, clauses().values()):
            print(f"{clause.group:13} {clause.id:20} {clause.title}")
        return 0
    with _told_as_json(json and not markdown):
        if not optimizer:
            raise InputError("Name an optimizer: surefoot check file.py:Class, or package.module:Class.")
        if json and markdown:
            raise InputError("--json and --markdown both write to the screen; choose one.")
        if quick and deep:
            raise InputError("--quick and --deep exclude each other; choose one.")
        if all and (len(optimizer) > 1 or os.path.isdir(optimizer[0])):
            raise InputError(
                "--all examines one module or file; of a folder, or of several, each is examined without it."
            )
        if all and (name := parted(optimizer[0])[1]):
            raise InputError(
                f"--all examines a whole module or file; leave out ':{name}', or leave out --all."
            )
        for file in filter(None, (junit, html, csv, out)):
            if not file.absolute().parent.is_dir():
                raise InputError(f"There is no folder {file.absolute().parent} to write {file.name} into.")
        return examined(
            optimizer,
            all=all,
            form="json" if json else "markdown" if markdown else "text",
            files=Files(junit, html, csv, out),
            rule=rule,
            options=parse_options(option or []),
            decay=decay,
            quick=quick,
            deep=deep,
            only=only or (),
            skip=skip or (),
            expected_failures=_reasons(expect_fail or []),
            seed=seed,
            sandbox=sandbox,
        )


@contextmanager
def _told_as_json(json: bool) -> Iterator[None]:
    """Where JSON is asked for, tell an error in it, too: whatever reads it finds out what came about."""
    try:
        yield
    except InputError as error:
        if json:
            from json import dumps

            print(dumps({"error": str(error)}, ensure_ascii=False))
        raise


def _reasons(pairs: list[str]) -> dict[str, str]:
    for pair in pairs:
        if not all(pair.partition("=")):
            raise InputError(f"--expect-fail {pair!r} is not of the form ID=reason.")
    return {id: reason for id, _, reason in (p.partition("=") for p in pairs)}
