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
    """Check a torch optimizer: does it follow its rule, and keep the contract that all optimizers share?

    The optimizer runs in its own process, with limits on time and memory.

    For example:
      surefoot check homework.py:SGD
      surefoot check torch.optim:SGD --option nesterov=True --option momentum=0.9
      surefoot check torch.optim --all
      surefoot check submissions/ --rule sgd --only homework --csv marks.csv

    Exit code 0: no clause failed; 1: at least one failed; 2: it could not be checked. Of several, 1 wins.

    Parameters
    ----------
    optimizer
        file.py:Class, package.module:Class, a file with one optimizer, or a folder; with --all, a module.
    option
        A constructor option to set in every run; may be repeated. Other options are varied.
    rule
        The rule to check against; `surefoot rules` lists them. [default: guessed]
    decay
        Where decay enters: l2, decoupled, after_momentum, after_step, no_lr, corrected. [default: the rule's]
    quick
        Check only the clauses that catch most mistakes: a second or two plus importing torch.
    deep
        Also run the slow clauses: torch.compile, two processes.
    only
        A clause or group to check (see --list), or homework; may be repeated, or several with commas.
    skip
        A clause or group of clauses to skip; may be repeated, or several with commas.
    expect_fail
        This clause is expected to fail, and does not count; may be repeated.
    seed
        Seed of the random numbers in the scripts.
    all
        Check every optimizer in a module or file, and print a table.
    list
        List the clauses, or those that --only and --skip leave, and check nothing.
    json
        Write the report as JSON.
    markdown
        Write the report as Markdown.
    junit
        Also write the report to this file as JUnit XML.
    html
        Also write the report to this file as an HTML page.
    csv
        Also write the table of a folder or of several files to this file as CSV.
    out
        Also write each report of a folder or of several files to this folder as an HTML page.
    sandbox
        Run the optimizer in its own process, if the system can; --no-sandbox is for debugging.
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
            raise InputError(
                "Name an optimizer: `surefoot check file.py:Class` or `surefoot check package.module:Class`."
            )
        if json and markdown:
            raise InputError("--json and --markdown both write to standard output; choose one.")
        if quick and deep:
            raise InputError("--quick and --deep cannot be combined; choose one.")
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
                raise InputError(f"There is no folder {file.absolute().parent} to write {file.name} to.")
        if (asked := f"--rule {rule}" if rule else f"--decay {decay}" if decay else "") and (only or skip):
            plan = planned(only, skip, quick=quick, deep=deep)
            if not any(c.group == "arithmetic" and plan.wants(c) for c in clauses().values()):
                raise InputError(
                    f"Nothing is examined of {asked}, which is about arithmetic: no clause of it is left; "
                    f"leave out {asked}, or take one in, such as --only rule."
                )
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
            raise InputError(f"--expect-fail {pair!r} must have the form ID=reason.")
    return {id: reason for id, _, reason in (p.partition("=") for p in pairs)}
