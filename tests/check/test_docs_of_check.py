"""docs/tutorial.md shows what comes at each point of it, and ends with a clean optimizer; docs/check.md."""

import importlib.util
import re
from pathlib import Path

import pytest

from surefoot.check.choose import clauses
from surefoot.check.contract import CLAUSES
from surefoot.check.homework import HOMEWORK
from surefoot.check.report import text
from surefoot.check.run import check

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "check.md").read_text(encoding="utf-8")
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(text|diff)\n(.*?)^```$", TUTORIAL, re.MULTILINE | re.DOTALL)


def changed(source: str, diff: str) -> str:
    lines = diff.splitlines(keepends=True)
    old = "".join(line[1:] for line in lines if line[0] in " -")
    new = "".join(line[1:] for line in lines if line[0] in " +")
    assert source.count(old) == 1, old
    return source.replace(old, new)


def test_the_tutorial_begins_with_the_example_as_it_is():
    source = (ROOT / "examples" / "lecture_sgd.py").read_text(encoding="utf-8")
    assert f"```python\n{source[source.index('import torch') :]}```" in TUTORIAL


def test_walk_shows_what_comes_and_ends_clean(tmp_path, monkeypatch):
    (tmp_path / "examples").mkdir()
    file = tmp_path / "examples" / "lecture_sgd.py"
    file.write_text((ROOT / "examples" / "lecture_sgd.py").read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for kind, block in BLOCKS:
        if kind == "diff":
            file.write_text(changed(file.read_text(encoding="utf-8"), block), encoding="utf-8")
            continue
        ids = re.findall(r"^✗ ([\w-]+):", block, re.MULTILINE)
        came = text(check("examples/lecture_sgd.py:SGD", only=ids)).splitlines()
        for line in filter(None, block.splitlines()):
            assert line in came
    report = check("examples/lecture_sgd.py:SGD")
    assert report.ok, str(report)
    assert report.rule == "torch"


def test_page_names_the_clauses_of_quick():
    said = PAGE[PAGE.index("`--quick` leaves out") : PAGE.index("`--deep` adds")]
    assert re.findall(r"`([a-z-]+)`", said)[1:] == [id for id, c in clauses().items() if c.quick]


@pytest.mark.parametrize("page", ["README.md", "docs/check.md"])
def test_pages_show_what_the_check_says_of_torch(page):
    shown = re.findall(r"^```text\n(✗ grad-kept.*?)^```$", (ROOT / page).read_text("utf-8"), re.M | re.S)
    options = {"foreach": True, "nesterov": True, "momentum": 0.9}
    report = check("torch.optim:SGD", options=options, only="grad-kept")
    if report.ok:
        pytest.skip("this torch leaves p.grad as it was")
    assert len(shown) == 1
    assert shown[0] in text(report)


def test_page_of_clauses_is_written_anew():
    spec = importlib.util.spec_from_file_location("docs_clauses", ROOT / "scripts" / "docs_clauses.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / "clauses.md").read_text(encoding="utf-8") == module.page()


@pytest.mark.parametrize(
    "style",
    [
        "loop",
        "functional",
        "keras",
        *(pytest.param(s, marks=pytest.mark.slow) for s in ("foreach", "flat", "ema")),
    ],
)
def test_correct_optimizers_keep_the_contract(style):
    file = ROOT / "tests" / "check" / "correct" / f"{style}.py"
    name = re.findall(r"^class (\w+)\(torch\.optim", file.read_text(encoding="utf-8"), re.MULTILINE)[-1]
    report = check(f"{file}:{name}", only=[*{c.group for c in CLAUSES.values()}, "process"])
    assert report.ok, str(report)


def test_page_names_the_clauses_of_homework():
    said = PAGE[PAGE.index("| asked for | clauses |") : PAGE.index("Not asked is what")]
    named = re.findall(r"`([a-z-]+)`", said)
    assert len(named) == len(set(named))
    assert set(named) == HOMEWORK
    left = re.search(r"Not asked: (\d+) of (\d+) clauses", PAGE)
    assert [int(n) for n in left.groups()] == [len(clauses()) - len(HOMEWORK), len(clauses())]
