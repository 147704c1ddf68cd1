"""What `surefoot check` examines, written out: one optimizer, those of a module, those of a folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from surefoot.check import Clause, Report, check
from surefoot.check import report as written
from surefoot.check.choose import planned
from surefoot.check.folder import files_in, submissions
from surefoot.check.report import submissions as rows
from surefoot.check.report.screen import colored
from surefoot.check.subject.load import optimizers
from surefoot.cli.streams import width
from surefoot.errors import InputError

__all__ = ["Files", "examined"]


class Files(NamedTuple):
    """What is written besides what the screen shows."""

    junit: Path | None
    html: Path | None
    csv: Path | None
    out: Path | None


def examined(subjects: Sequence[str], *, all: bool, form: str, files: Files, **how: Any) -> int:
    """Examine what is named, and write what came of it; returns the exit code.

    Args:
        subjects: optimizers, modules with `all`, or files and folders.
        all: every optimizer of a module.
        form: of what is printed: "text", "json" or "markdown".
        files: what is written besides.
        how: what `surefoot.check` takes besides.
    """
    several = len(subjects) > 1 or os.path.isdir(subjects[0]) or files.csv or files.out
    if several and not all:
        return _folder(subjects, form, files, how)
    if files.csv or files.out:
        raise InputError("--csv and --out write the table of a folder or of files; leave out --all.")
    if all:
        reports = _module(subjects[0], how)
    else:
        reports = [check(subjects[0], progress=written.progress(sys.stderr), **how)]
    _write(reports, files)
    if form == "json":
        print(written.as_json(reports))
    elif form == "markdown":
        print(written.markdown(reports))
    else:
        print(written.table(reports, **_screen()) if all else written.text(reports[0], **_screen()))
    return _code(reports)


def _module(module: str, how: dict[str, Any]) -> list[Report]:
    """Every optimizer of a module; one that cannot be examined says why, and the others may do."""
    found = optimizers(module)
    planned(how["only"], how["skip"], how["expected_failures"], quick=how["quick"], deep=how["deep"])
    reports = []
    for subject in found:
        try:
            reports.append(check(subject, progress=written.progress(sys.stderr, subject), **how))
        except InputError as error:
            reports.append(Report(subject, None, (), notes=(f"Not examined: {error}",)))
    return reports


def _folder(places: Sequence[str], form: str, files: Files, how: dict[str, Any]) -> int:
    """The optimizers of files and folders, as a table."""

    def progress(who: str, clause: Clause | None) -> None:
        written.progress(sys.stderr, who)(clause)

    found = list(submissions(files_in(places), progress=progress, **how))
    reports = [s.report for s in found]
    _write(reports, files)
    if files.csv:
        files.csv.write_text(rows.as_csv(found), encoding="utf-8-sig")  # by which spreadsheets know it
    if files.out:
        files.out.mkdir(exist_ok=True)
        rows.pages(found, files.out)
    if form == "json":
        print(rows.as_json(found))
    else:
        print(written.markdown(reports) if form == "markdown" else rows.table(found, **_screen()))
    return _code(reports)


def _write(reports: list[Report], files: Files) -> None:
    if files.junit:
        files.junit.write_text(written.junit(reports), encoding="utf-8")
    if files.html:
        files.html.write_text(written.html(reports), encoding="utf-8")


def _screen() -> dict[str, Any]:
    return {"color": colored(sys.stdout), "width": width()}


def _code(reports: list[Report]) -> int:
    """1 if anything failed; else 2 if something could not be examined; else 0."""
    if any(r.failures for r in reports):
        return 1
    return 2 if any(not r.examined for r in reports) else 0
