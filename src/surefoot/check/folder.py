"""A folder of optimizers, such as a class's homework: each file examined, and none the end of the others."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from surefoot.check.choose import planned
from surefoot.check.run import check
from surefoot.check.sandbox.server import apart
from surefoot.check.verdict import Clause, Report
from surefoot.errors import InputError, headline, unknown
from surefoot.loading import parted

if TYPE_CHECKING:
    from surefoot.rules import Rule

__all__ = ["Submission", "check_folder", "files_in", "submissions"]

NOTEBOOK = "It is a notebook; `jupyter nbconvert --to script {file}` makes a file of it that can be checked."

# the others are parameters of `check_folder` itself
_TAKEN = inspect.signature(check).parameters.keys() - {"optimizer", "rule", "progress"}


@dataclass(frozen=True)
class Submission:
    """What came of one optimizer of a folder.

    Args:
        file: where it is, as it was given or found.
        name: of its class; empty where the file could not be imported, or has none.
        report: what the check found; if it could not be examined, a Report without verdicts.
        problem: why it could not be examined.
    """

    file: str
    name: str
    report: Report
    problem: str = ""

    @property
    def verdict(self) -> str:
        """One of "passed", "failed" and "not examined"."""
        if self.report.failures:
            return "failed"
        return "passed" if self.report.examined and not self.problem else "not examined"

    @property
    def diagnosis(self) -> str:
        """What is wrong, in one line: the foremost failure, or why it could not be examined."""
        from surefoot.check.report.line import diagnosis

        return self.problem or diagnosis(self.report)


def check_folder(
    where: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    rule: str | Rule | None = None,
    *,
    progress: Callable[[str, Clause | None], None] | None = None,
    **how: Any,
) -> list[Submission]:
    r"""Examine every optimizer of a folder, as a class's homework; see `surefoot.check`.

    A file that cannot be imported, hangs or has no optimizer is told as such, and the others are examined.

    Args:
        where: a folder, whose files are taken by name, also from the folders in it; or files, folders and
            `"file.py:Class"`, in the order given.
        rule: the rule that all claim to follow; by default it is guessed for each.
        progress: called with a submission's number and name, and with each clause once it is judged.
        how: what `surefoot.check` takes besides: options, decay, quick, deep, only, skip, expected_failures,
            seed, sandbox; `only="homework"` is what homework is held to.

    Returns:
        A Submission for each optimizer, with `file`, `name`, `verdict`, `diagnosis` and `report`.

    Raises:
        InputError: there is no such folder, nothing is in it, or what is asked of all is no rule, option or
            clause.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / "ada.py").write_text("import torch\nclass SGD(torch.optim.SGD): ...\n")
        >>> _ = (folder / "bob.py").write_text("import torhc\n")
        >>> for s in check_folder(folder, "torch", only="rule"):
        ...     print(s.name, s.verdict)
        SGD passed
         not examined
    """
    return list(submissions(files_in(where), rule, progress=progress, **how))


def files_in(where: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[str]:
    """The files of a folder or of several, sorted within each; what is no folder stays as it is given.

    Raises:
        InputError: a folder has none.
    """
    given = [where] if isinstance(where, (str, os.PathLike)) else list(where)
    found: list[str] = []
    for place in [os.fspath(g) for g in given]:
        if not os.path.isdir(place):
            found.append(place)
            continue
        files = sorted(f for f in Path(place).rglob("*") if _is_submission(f, Path(place)))
        if not files:
            raise InputError(f"The folder {place} has no Python file.")
        found += map(str, files)
    return found


def _is_submission(file: Path, folder: Path) -> bool:
    """Whether it is a file of code; a notebook is one, that its author has to convert."""
    inner = file.relative_to(folder).parts
    hidden = any(p.startswith((".", "__")) for p in inner)
    return file.suffix in (".py", ".ipynb") and not hidden and file.is_file()


def submissions(
    files: Iterable[str],
    rule: str | Rule | None = None,
    *,
    progress: Callable[[str, Clause | None], None] | None = None,
    **how: Any,
) -> Iterator[Submission]:
    """Examine files one after another; see `check_folder`. What is wrong for all is raised at once."""
    for name in how:
        if name not in _TAKEN:
            raise unknown("keyword of surefoot.check_folder", name, _TAKEN)
    named = {k: how[k] for k in ("only", "skip", "quick", "deep", "seed") if k in how}
    planned(expected=how.get("expected_failures"), **named)
    _refuse(rule, how.get("decay"))
    files = list(files)
    return _each(files, rule, progress or (lambda name, clause: None), how)


def _each(
    files: list[str],
    rule: str | Rule | None,
    progress: Callable[[str, Clause | None], None],
    how: dict[str, Any],
) -> Iterator[Submission]:
    for number, file in enumerate(files, 1):
        place, name = parted(file)
        try:
            names = [name] if name else _names(place, how.get("sandbox"))
        except InputError as error:
            yield _unexamined(place, "", str(error))
            continue
        for name in names:
            show = functools.partial(progress, f"{number} of {len(files)}, {place}:{name}")
            try:
                report = check(f"{place}:{name}", rule, progress=show, **how)
            except InputError as error:
                yield _unexamined(place, name, str(error))
            except Exception as error:  # a fault of surefoot's own: the others are examined all the same
                yield _unexamined(place, name, f"surefoot itself failed: {headline(error)}.")
            else:
                yield Submission(place, name, report, "" if report.examined else _why_not(report))


def _refuse(rule: str | Rule | None, decay: str | None) -> None:
    """Refuse a rule that there is not, before the first file is examined."""
    from surefoot.rules import get

    held = None if rule is None else get(rule)
    if decay is not None:
        (held or get("torch")).variant(decay=decay)


def _names(file: str, sandbox: bool | None) -> list[str]:
    """The optimizers that a file or module is to be examined for."""
    from surefoot.check.subject.load import in_file

    if file.endswith(".ipynb"):
        raise InputError(NOTEBOOK.format(file=file))
    if apart(file, sandbox):
        from surefoot.check.sandbox.offers import offers

        names = offers(file)
    else:
        names = in_file(file)
    if not names:
        raise InputError(f"There is no optimizer in {file}: no class of its own that has a step().")
    return names


def _unexamined(file: str, name: str, problem: str) -> Submission:
    subject = f"{file}:{name}" if name else file
    return Submission(file, name, Report(subject, None, (), notes=(f"Not examined: {problem}",)), problem)


def _why_not(report: Report) -> str:
    """Why nothing of it applied: what its first clause says."""
    return next((v.note for v in report.verdicts if v.note), "nothing could be examined")
