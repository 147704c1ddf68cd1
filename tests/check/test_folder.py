"""A folder of submissions: each has its row, and none is the end of the others."""

from __future__ import annotations

import csv
import json
import os

import pytest

from surefoot.check import Report
from surefoot.check.folder import Submission, check_folder, files_in, submissions
from surefoot.check.report.submissions import pages, table
from surefoot.check.run import check
from surefoot.cli import main
from surefoot.errors import InputError

RIGHT = "import torch\nclass SGD(torch.optim.SGD):\n    pass\n"
WRONG = RIGHT.replace("    pass", "    def zero_grad(self, set_to_none=True):\n        pass")
SOURCES = {
    "ada.py": RIGHT,
    "bob.py": WRONG,
    "cy.py": "import os\nos._exit(3)\n",
    "dan.py": "import torhc\n",
    "eve.py": "def train():\n    pass\n",
    "fay.ipynb": "{}",
    "gus/hw 1.py": RIGHT + "class Other(torch.optim.SGD):\n    pass\n",
    "__init__.py": "",
    ".hidden/x.py": "",
    "notes.txt": "",
}
ONLY = ["--only", "zero-grad"]
VERDICTS = [
    ("ada.py", "SGD", "passed"),
    ("bob.py", "SGD", "failed"),
    *((name, "", "not examined") for name in ("cy.py", "dan.py", "eve.py", "fay.ipynb")),
    ("hw 1.py", "SGD", "passed"),
    ("hw 1.py", "Other", "passed"),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, source in SOURCES.items():
        (tmp_path / "hw" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "hw" / name).write_text(source)
    return "hw"


def test_each_has_its_row(folder):
    found = check_folder(folder, "torch", only="zero-grad")
    assert [(os.path.basename(s.file), s.name, s.verdict) for s in found] == VERDICTS
    said = [s.diagnosis for s in found]
    assert said[0] == said[6] == ""
    assert said[1].startswith("zero-grad: ")
    assert "It ended its process with exit code 3" in said[2]
    assert "ModuleNotFoundError" in said[3] or "No module named 'torhc'" in said[3]
    assert "There is no optimizer in" in said[4]
    assert "jupyter nbconvert" in said[5]
    assert not any("\n" in line for line in said)
    assert found[1].report["zero-grad"].failed


def test_files_are_taken_as_given_and_folders_by_name(folder):
    slashed = [os.path.join("hw", *name.split("/")) for name in SOURCES if name[0] not in "._n"]
    assert files_in(folder) == slashed
    assert files_in(["hw/bob.py:SGD", "hw/ada.py"]) == ["hw/bob.py:SGD", "hw/ada.py"]
    (found,) = check_folder(["hw/bob.py:SGD"], only="zero-grad")
    assert (found.file, found.name, found.verdict) == ("hw/bob.py", "SGD", "failed")


def test_what_hangs_while_it_is_imported_is_a_row(folder, monkeypatch):
    monkeypatch.setattr("surefoot.check.sandbox.offers.IMPORTS", 1.0)
    with open("hw/ada.py", "w") as file:
        file.write("while True: pass\n")
    found = check_folder(["hw/ada.py", "hw/bob.py"], only="zero-grad")
    assert [s.verdict for s in found] == ["not examined", "failed"]
    assert "It did not finish within 1 s, and was stopped." in found[0].diagnosis


def test_a_fault_of_surefoots_own_is_a_row(folder, monkeypatch):
    def breaks(subject, *args, **how):
        if "ada" in subject:
            raise ZeroDivisionError("1/0")
        return check(subject, *args, **how)

    monkeypatch.setattr("surefoot.check.folder.check", breaks)
    first, second = check_folder(["hw/ada.py", "hw/bob.py"], only="zero-grad")
    assert first.diagnosis == "surefoot itself failed: ZeroDivisionError: 1/0."
    assert second.verdict == "failed"


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"rule": "tourch"}, "Unknown rule 'tourch'"),
        ({"decay": "nowhere"}, "nowhere"),
        ({"only": "closre"}, "Unknown clause 'closre'"),
        ({"onyl": "closure"}, "Unknown keyword 'onyl' of surefoot.check_folder; did you mean 'only'"),
    ],
)
def test_what_is_wrong_for_all_is_told_before_the_first(folder, how, said):
    with pytest.raises(InputError, match=said):
        submissions(["hw/ada.py"], **how)


def test_a_folder_of_nothing_is_refused(tmp_path):
    with pytest.raises(InputError, match="has no Python file"):
        files_in(tmp_path)


def test_command_shows_a_table_and_writes_it(folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    assert main(["check", folder, *ONLY, "--csv", "a.csv", "--out", "pages", "--junit", "a.xml"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["file", "class", "verdict", "diagnosis"]
    assert any(line.split()[:4] == ["hw/bob.py", "SGD", "✗", "failed"] for line in lines)
    assert any(line.startswith("3 passed, 1 failed, 4 not examined") for line in lines)
    with open("a.csv", encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(os.path.basename(r["file"]), r["class"], r["verdict"]) for r in rows] == VERDICTS
    assert rows[1]["failed clauses"] == "zero-grad"
    assert sorted(os.listdir("pages")) == [
        *("ada.html", "bob.html", "cy.html", "dan.html", "eve.html", "fay.html"),
        *("hw 1-Other.html", "hw 1-SGD.html"),
    ]
    with open("pages/bob.html", encoding="utf-8") as file:
        assert "✗ zero-grad" in file.read()


def test_command_writes_a_list_as_json_even_of_one(folder, capsys):
    assert main(["check", "hw/ada.py", "hw/cy.py", *ONLY, "--json"]) == 2
    first, second = json.loads(capsys.readouterr().out)
    assert (first["file"], first["class"], first["verdict"], first["ok"]) == (
        "hw/ada.py",
        "SGD",
        "passed",
        True,
    )
    assert second["verdict"] == "not examined"
    assert "exit code 3" in second["diagnosis"]
    os.mkdir("alone")
    os.rename("hw/ada.py", "alone/ada.py")
    assert main(["check", "alone", *ONLY, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 1


def test_all_is_for_a_module(folder, capsys):
    assert main(["check", folder, "--all"]) == 2
    assert "of a folder, or of several, each is examined without it" in capsys.readouterr().err
    assert main(["check", "torch.optim", "--all", "--csv", "a.csv"]) == 2
    assert "leave out --all" in capsys.readouterr().err


@pytest.mark.parametrize("width", [80, 100, 160])
def test_the_table_fits_the_screen(width):
    long = Submission(
        "some/folder/of_a_student/homework.py", "", Report("x", None, ()), "why it was not " * 20
    )
    assert max(map(len, table([long], width=width).splitlines())) <= width


def test_pages_of_files_of_one_name_are_told_apart(tmp_path):
    empty = Report("x", None, ())
    pages([Submission(f"hw/{who}/sgd.py", "SGD", empty, "no") for who in ("ada", "bob")], tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["hw-ada-sgd.html", "hw-bob-sgd.html"]
