"""The page of the survey: its programs show what they say, and its tables follow from what was found."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest

from surefoot.check.choose import clauses

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def survey():
    """Return a function that imports one of the survey's scripts."""
    sys.path.insert(0, str(ROOT / "scripts" / "survey"))
    try:
        yield importlib.import_module
    finally:
        sys.path.pop(0)
        for name in ("libraries", "page", "told"):
            sys.modules.pop(name, None)


def found(*failed, library="timm", command="surefoot check timm.optim:Lion", **more):
    """Return what one optimizer's line in a survey holds."""
    verdicts = [
        {"id": id, "group": clauses()[id].group, "outcome": "failed", "shown": True, "reproduce": "…"}
        for id in failed
    ]
    verdicts += [{"id": x, "group": "state", "outcome": "passed"} for x in ("resume", "pickles", "add-group")]
    report = {"rule": "lion", "verdicts": verdicts}
    return {"library": library, "version": "1.0", "command": command, "report": report, **more}


def test_programs_about_torch_show_what_they_say(survey):
    told = survey("told")
    programs = [p for p in told.programs() if told.library(p) == "torch"]
    assert len(programs) > 5
    wrong = told.wrong(programs[0], sys.executable)  # the others are run by scripts/survey --told, as all are
    assert not wrong


@pytest.mark.slow
def test_all_programs_about_torch_show_what_they_say(survey):
    told = survey("told")
    wrong = [told.wrong(p, sys.executable) for p in told.programs() if told.library(p) == "torch"]
    assert not any(wrong), wrong


def test_a_program_that_shows_something_else_is_told(survey):
    told = survey("told")
    assert told.wrong("print(1 + 1)  # 3\n", sys.executable) == ["'3' was said, '2' came"]
    assert told.wrong("[][0]  # KeyError: 0\n", sys.executable)
    assert told.wrong("[][0]\n", sys.executable) == ["it raises 'IndexError: list index out of range'"]
    assert not told.wrong("[][0]  # IndexError: list index out of range\n", sys.executable)
    assert not told.wrong("[][0]  # IndexError: list index…\n", sys.executable)


def test_what_is_judged_is_examined_and_has_a_reason(survey):
    libraries = survey("libraries")
    for judged in libraries.JUDGED:
        assert judged["library"] in libraries.LIBRARIES
        assert set(judged["clauses"]) <= set(clauses())
        assert judged["kind"] in ("fault", "unchecked", "design")
        assert judged["why"]


def test_the_page_names_clauses_that_exist():
    page = (ROOT / "docs" / "survey.md").read_text()
    tables = page.partition("<!-- tables -->")[2]
    named = set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", tables))
    assert named
    assert named <= set(clauses())


def test_a_failure_is_a_fault_or_unchecked_input_or_by_design(survey):
    page = survey("page")
    row = page.row(found("resume", "refuses-values"))
    assert (row.kinds["fault"], row.kinds["unchecked"]) == (("resume",), ("refuses-values",))
    mars = page.row(found("changed-options", command="surefoot check timm.optim:Mars"))
    assert (mars.kinds["fault"], mars.kinds["design"]) == ((), ("changed-options",))


def test_a_failure_whose_reproduction_shows_nothing_is_left_out(survey):
    page = survey("page")
    data = found("resume")
    data["report"]["verdicts"][0]["shown"] = False
    assert page.row(data).kinds["fault"] == ()
    assert page.tried([data, found("resume")]).startswith("Of 2 reproductions that were printed 1 showed")


def test_paths_on_which_the_same_was_found_are_one_line(survey):
    page = survey("page")
    name = "surefoot check timm.optim:Lion"
    rows = [page.row(found("resume", command=f"{name}{path}")) for path in ("", " --option foreach=True")]
    other = page.row(found(command=f"{name} --option fused=True"))
    table = page.tables([*rows, other])
    assert "| `Lion`; foreach=True | lion | `resume` |" in table
    assert "| `Lion` fused=True | lion | none, of 3 clauses |" in table


def test_libraries_are_counted(survey):
    page = survey("page")
    name = "surefoot check timm.optim:"
    rows = [
        page.row(found("resume", command=f"{name}Lion")),
        page.row(found("refuses-values", command=f"{name}Lamb")),
        page.row(found(command=f"{name}SGDW")),
    ]
    # Adahessian, which is left out, is the fourth
    assert page.counts(rows)[0].startswith(
        "4 optimizers of 1 libraries, of which 3 could be examined, on 3 paths"
    )
    assert "| [timm 1.0](#timm-10) | 4 | 1 | 1 | 1 | 1 |" in page.counts(rows)[1]


def test_clauses_are_counted_by_optimizers(survey):
    page = survey("page")
    name = "surefoot check timm.optim:"
    rows = [
        page.row(found("resume", command=f"{name}{n}"))
        for n in ("Lion", "Lamb", "SGDW", "SGDW --option foreach=True")
    ]
    assert "| `resume` | 3 |  |  | 1 |" in page.common(rows)


def test_what_makes_no_step_is_not_examined(survey):
    page = survey("page")
    data = found("rule")
    note = "its plain step fails: it rejects this itself: AssertionError: not on a CPU"
    data["report"]["verdicts"] += [{"id": "steps", "group": "construction", "outcome": "n", "note": note}]
    row = page.row(data)
    assert not row.examined
    assert "not examined: AssertionError: not on a CPU" in page.tables([row])
    assert "| [timm 1.0](#timm-10) | 2 | 0 | 0 | 0 | 2 |" in page.counts([row])[1]
