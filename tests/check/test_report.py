"""A report in each of its forms, and the command that writes them."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from surefoot.check.report import as_json, html, html_fragment, junit, markdown, table, text
from surefoot.check.verdict import Clause, Report, Verdict
from surefoot.cli import main
from surefoot.errors import InputError

KEEP = Clause("keep", "state", "keeps <everything>", "It matters.", "Keep it.")
DROP = Clause("drop", "state", "drops nothing & no one", "It matters too.", "Do not drop it.")
TURN = Clause("turn", "options", "turns")
SKIP = Clause("skip", "tooling", "skips")
REPORT = Report(
    subject="mine.py:SGD",
    rule="torch",
    verdicts=(
        KEEP.verdict("passed"),
        DROP.verdict(
            "failed",
            note="w after a step",
            expected="[1, 2]",
            got="[1, 3]",
            where="element [1]: expected 2, got 3",
            options={"momentum": 0.75, "nesterov": True},
            repro="import torch\nassert 1 < 0, '<b>\x1b'\n",
        ),
        TURN.verdict("differs", note="Keras; the same while lr is constant"),
        SKIP.verdict("not applicable", note="it has none of the options that this tests"),
    ),
    options={"lr": 0.5},
    notes=("Rule: guessed from its name.",),
    seconds=1.25,
)


def test_text_says_a_line_per_group_then_each_failure():
    assert text(REPORT) == (
        "mine.py:SGD, lr=0.5, against rule torch\n"
        "\n"
        "✗ state    1 of 2 failed: drop\n"
        "● options  1 of 1 passed\n"
        "           ● turn: another convention: Keras; the same while lr is constant\n"
        "– tooling  not applicable: it has none of the options that this tests\n"
        "\n"
        "1 passed, 1 failed, 1 another convention, 1 not applicable (1.2 s)\n"
        "Note: Rule: guessed from its name.\n"
        "\n"
        "✗ drop: drops nothing & no one\n"
        "  what            w after a step\n"
        "  expected        [1, 2]\n"
        "  got             [1, 3]\n"
        "  where           element [1]: expected 2, got 3\n"
        "  with            momentum=0.75, nesterov=True\n"
        "  why             It matters too.\n"
        "  how to fix      Do not drop it.\n"
        "  reproduce\n"
        "    import torch\n"
        "    assert 1 < 0, '<b>\x1b'"
    )


def test_colour_changes_nothing_but_colour():
    assert re.sub(r"\033\[\d*m", "", text(REPORT, color=True)) == text(REPORT)
    assert "\033[31m✗ drop" in text(REPORT, color=True)
    assert "\033[34m● options" in text(REPORT, color=True)


def test_lines_fit_the_screen():
    assert max(map(len, text(REPORT, width=60).splitlines())) <= 66  # code is not broken


def test_a_fault_told_once_is_not_told_again():
    echo = KEEP.verdict(
        "failed", note="3 of 6 runs; same fault as already reported", diagnosis="as above", same_as="drop"
    )
    told = text(Report("mine.py:SGD", None, (REPORT["drop"], echo)))
    assert told.endswith("✗ The same fault also shows in keep.")
    assert "✗ keep: keeps" not in told


def test_what_was_expected_to_fail_and_does_not_is_noted():
    passing = next(v.clause.id for v in REPORT.verdicts if v.outcome == "passed")
    noted = REPORT.expecting({passing: "known"})
    assert noted.notes[-1] == f"{passing} was expected to fail (known), but does not."
    assert f"Note: {noted.notes[-1]}" in text(noted)
    assert not REPORT.expecting({"drop": "known"}).notes[len(REPORT.notes) :]
    elsewhere = REPORT.expecting({"sparse": "known"})  # as with --quick
    assert elsewhere.notes[-1] == "sparse was expected to fail, but was not examined."


def test_expected_failure_does_not_count():
    expected = REPORT.expecting({"drop": "known"})
    assert not REPORT.ok
    assert expected.ok
    assert "failed as expected: drop" in text(expected)
    assert "1 failed as expected" in text(expected)
    title, known = text(expected).splitlines()[-2:]  # and no more of it
    assert (title, known) == ("– drop: drops nothing & no one", "  expected because known")


def test_json_holds_every_verdict():
    told = json.loads(as_json([REPORT]))
    assert [v["outcome"] for v in told["verdicts"]] == ["passed", "failed", "differs", "not applicable"]
    assert told["verdicts"][1]["expected"] == "[1, 2]"
    assert told["ok"] is False
    assert told["options"] == {"lr": 0.5}
    assert len(json.loads(as_json([REPORT, REPORT]))) == 2


def test_markdown_shows_code_as_code():
    written = markdown([REPORT])
    assert "| state | ✓ `keep` ✗ `drop` |" in written
    assert "## ✗ `drop`: drops nothing & no one" in written
    assert "```python\nimport torch\n" in written


def test_junit_is_xml_with_the_right_counts():
    suite = ElementTree.fromstring(junit([REPORT]))[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("4", "1", "1")
    cases = {c.get("name"): c for c in suite}
    assert cases["drop"][0].tag == "failure"
    assert "got: [1, 3]" in (cases["drop"][0].text or "")
    assert cases["skip"][0].get("message") == "it has none of the options that this tests"
    assert not list(cases["keep"])
    skipped = ElementTree.fromstring(junit([REPORT.expecting({"drop": "known"})]))[0]
    assert (skipped.get("failures"), skipped.get("skipped")) == ("0", "2")


def test_a_claim_that_does_not_hold_is_not_told_as_if_it_did():
    untrue = replace(REPORT.failures[0], note="betas changes w", expected="True", got="False")
    (failure,) = ElementTree.fromstring(junit([replace(REPORT, verdicts=(untrue,))])).iter("failure")
    assert failure.get("message") == "not true: betas changes w"
    assert "(not true: betas changes w)" in html_fragment(replace(REPORT, verdicts=(untrue,)))


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open, self.links = [], []

    def handle_starttag(self, tag, attrs):
        self.links += [v for k, v in attrs if k in ("src", "href")]
        if tag not in ("meta", "hr"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("page", [html([REPORT, REPORT]), html_fragment(REPORT)])
def test_html_is_whole_and_self_contained(page):
    tags = _Tags()
    tags.feed(page)
    assert tags.open == []
    assert tags.links == []
    assert "keeps &lt;everything&gt;" in page
    assert "<b>" not in page


def test_a_report_writes_itself():
    written = REPORT.json(), REPORT.markdown(), REPORT.junit(), REPORT.html()
    assert written == (as_json([REPORT]), markdown([REPORT]), junit([REPORT]), html([REPORT]))


def test_table_has_a_line_for_each():
    clean = Report("other.py:SGD", None, (KEEP.verdict("passed"),))
    lines = table([REPORT, clean]).splitlines()
    assert lines[0].split() == ["state", "options", "tooling"]
    assert lines[1].split() == ["mine.py:SGD", "✗", "1", "●", "1", "–"]
    assert lines[2].split() == ["other.py:SGD", "✓", "–", "–"]
    assert "mine.py:SGD: drop" in lines


def test_report_finds_a_verdict_by_its_id():
    assert REPORT["turn"].clause is TURN
    with pytest.raises(InputError, match="'nothing' was not examined, or there is no such clause"):
        REPORT["nothing"]
    with pytest.raises(InputError, match="did you mean 'turn'"):
        REPORT["tern"]
    assert isinstance(REPORT.failures[0], Verdict)
    assert str(REPORT) == text(REPORT)
    assert "<article" in REPORT._repr_html_()


def test_a_page_tells_why_nothing_of_a_group_applies():
    rule, hooks = Clause("rule", "arithmetic", "follows"), Clause("hooks", "tooling", "runs")
    idle = [clause.verdict("not applicable", note="No rule <fits>.") for clause in (rule, hooks)]
    shown = html_fragment(Report("mine.py:SGD", None, (*idle, KEEP.verdict("passed"))))
    shown = " ".join(re.sub("<[^>]*>", " ", shown).split())
    assert shown.endswith("arithmetic – rule No rule &lt;fits&gt;. tooling – hooks as above state ✓ keep")


def test_a_prompt_shows_a_report_in_one_line():
    assert repr(REPORT) == "<Report: mine.py:SGD, lr=0.5, against rule torch: 1 of 4 clauses failed>"
    good, idle = (
        Report("mine.py:SGD", None, tuple(clause.verdict(outcome) for clause in (KEEP, SKIP)))
        for outcome in ("passed", "not applicable")
    )
    assert repr(good).endswith(": none of 2 clauses failed>")
    assert repr(idle).endswith(": nothing could be examined>")


@pytest.fixture
def wrong(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "class SGD(torch.optim.SGD):\n"
        "    def zero_grad(self, set_to_none=True):\n"
        "        pass\n"
        "class Fine(torch.optim.SGD):\n"
        "    pass\n"
    )
    monkeypatch.chdir(tmp_path)


ONLY = ["--only", "zero-grad", "--only", "closure"]


def test_command_exits_with_1_and_writes_every_file(wrong, tmp_path, capsys):
    assert main(["check", "mine.py:SGD", *ONLY, "--junit", "a.xml", "--html", "a.html"]) == 1
    assert "✗ zero-grad: zero_grad() clears the gradients" in capsys.readouterr().out
    assert "<failure" in (tmp_path / "a.xml").read_text()
    assert "<!doctype html>" in (tmp_path / "a.html").read_text()


def test_command_exits_with_0_when_clean_or_expected(wrong, capsys):
    assert main(["check", "mine.py:Fine", *ONLY, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    assert main(["check", "mine.py:SGD", *ONLY, "--expect-fail", "zero-grad=to be done"]) == 0
    assert "expected because to be done" in " ".join(capsys.readouterr().out.split())


def test_command_shows_a_table_of_a_module(wrong, capsys):
    assert main(["check", "mine.py", "--all", *ONLY]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["mine.py:Fine", "mine.py:SGD"]


def test_command_lists_its_clauses(capsys):
    assert main(["check", "--list"]) == 0
    assert re.search(
        r"^gradients +grad-kept +step\(\) leaves p.grad as it was$", capsys.readouterr().out, re.M
    )


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "Name an optimizer"),
        (["mine.py"], "'mine.py' names no class; write file.py:Class or package.module:Class."),
        (["mine.py"], "It has Fine"),
        (["nowhere.py:SGD"], "There is no file nowhere.py."),
        (["no.such.module:SGD"], "There is no module no.such.module"),
        (["mine.py:Find"], "Unknown class 'Find' in mine.py; did you mean 'Fine'?"),
        (["mine.py:SGD", "--only", "zero-grads"], "Unknown clause 'zero-grads'; did you mean 'zero-grad'?"),
        (["mine.py:SGD", "--option", "momentum"], "'momentum' is not of the form name=value"),
        (["mine.py:SGD", "--option", "momentun=1"], "did you mean 'momentum'?"),
        (["mine.py:SGD", "--expect-fail", "hooks"], "'hooks' must have the form ID=reason."),
        (["mine.py:SGD", "--json", "--markdown"], "choose one"),
        (["mine.py:SGD", "--html", "nowhere/a.html"], "There is no folder"),
        (["mine.py:SGD", "--quick", "--deep"], "--quick and --deep cannot be combined; choose one."),
        (["mine.py:SGD", "--only", "rule", "--skip", "rule"], "only=rule and skip=rule leave no clause to"),
        (["mine.py:SGD", "--quick", "--only", "hooks"], "quick and only=hooks leave no clause to examine."),
        (["mine.py", "--all", "--only", "rule", "--skip", "rule"], "only=rule and skip=rule leave no clause"),
        (["mine.py:SGD", "--all"], "leave out ':SGD', or leave out --all."),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(wrong, capsys, args, said):
    assert main(["check", *args]) == 2
    written = capsys.readouterr()
    assert said in written.err
    assert len(written.err.strip().splitlines()) == 1
    assert written.out == ""


def test_where_json_is_asked_for_an_error_is_json_too(wrong, capsys):
    assert main(["check", "nowhere.py:SGD", "--json"]) == 2
    written = capsys.readouterr()
    assert json.loads(written.out) == {"error": "There is no file nowhere.py."}
    assert written.err == "surefoot: There is no file nowhere.py.\n"


def test_command_goes_on_with_the_others_of_a_module(wrong, tmp_path, capsys):
    with open("mine.py", "a") as file:
        file.write("class Asks(torch.optim.SGD):\n    def __init__(self, params, model):\n        pass\n")
    assert main(["check", "mine.py", "--all", *ONLY]) == 1
    assert (
        "mine.py:Asks: Not examined: Asks needs a value for model, which has no default; pass"
        in capsys.readouterr().out
    )


def test_that_torch_is_as_it_was_is_no_examination():
    """Which it is also where nothing could be made, or stepped."""
    process = Clause("torch-untouched", "process", "torch is as it was").verdict("passed")
    rule = Clause("rule", "arithmetic", "every step follows the rule")
    assert not Report("X", None, (rule.verdict("not applicable"), process)).examined
    assert Report("X", None, (rule.verdict("failed"), process)).examined
    assert Report("X", None, (process,)).examined  # asked for alone


def test_what_could_not_be_examined_is_exit_code_2(capsys):
    assert main(["check", "torch.optim:Adam", "--option", "lr=-1", "--no-sandbox"]) == 2
    assert capsys.readouterr().err == (
        "surefoot: Adam cannot be constructed with lr=-1: ValueError: Invalid learning rate: -1.\n"
    )
    assert main(["check", "torch.optim:LBFGS", "--only", "rule", "--no-sandbox"]) == 2
    assert "not applicable" in capsys.readouterr().out


def test_where_no_process_can_be_forked_it_is_examined_in_this_one(wrong, capsys, monkeypatch):
    monkeypatch.setattr("surefoot.check.sandbox.server.available", lambda: False)  # as on Windows
    assert main(["check", "mine.py:Fine", *ONLY]) == 0
    assert "without limits on time and memory." in " ".join(capsys.readouterr().out.split())
    assert main(["check", "mine.py:Fine", *ONLY, "--no-sandbox"]) == 0
    assert "without limits" not in capsys.readouterr().out
    for command in (["check", "mine.py:Fine", *ONLY], ["identify", "mine.py:Fine"]):
        assert main([*command, "--sandbox"]) == 2
        assert "--no-sandbox (sandbox=False) runs it in this one." in capsys.readouterr().err
