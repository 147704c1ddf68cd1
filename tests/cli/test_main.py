"""The command line as a whole: what is said where no command has a say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from surefoot.cli import COMMANDS, build, main
from surefoot.rules import RULES


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_under_the_output_is_one_sentence(unbuffered: str) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "surefoot", "convert", "--from", "keras"],
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == "surefoot: Cannot write to standard output: No space left on device.\n"


def _command(before: str, *args: str) -> subprocess.CompletedProcess[str]:
    code = f"import sys, torch\n{before}\nfrom surefoot.cli import command\ncommand()"
    return subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, check=False)


def test_a_rule_that_no_clause_is_held_against_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "torch.optim:SGD", "--only", "closure", "--rule", "torch"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("surefoot: Nothing is examined of --rule torch")


def test_the_quick_way_out_leaves_nothing_undone() -> None:
    done = _command("import atexit; atexit.register(print, 'registered')", "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1:] == ["registered"]
    assert _command("", "convert", "--from", "nobody").returncode == 2


def test_a_thread_at_work_is_waited_for() -> None:
    work = "work = lambda: [threading.main_thread().join(), print('worked')]"
    thread = f"import threading\n{work}\nthreading.Thread(target=work).start()"
    assert _command(thread, "--version").stdout.splitlines()[1:] == ["worked"]


def test_a_process_whose_libraries_are_still_being_opened_ends_at_once_all_the_same() -> None:
    # taken down as usual, Python would wait for the thread, and may be gone while the libraries still call it
    opening = (
        "import atexit, threading, time; from surefoot import preload; del sys.modules['torch']\n"
        "preload.thread = threading.Thread(target=lambda: [time.sleep(5), print('waited')])\n"
        "preload.thread.start(); atexit.register(print, 'ended')"
    )
    assert _command(opening, "--version").stdout.splitlines()[1:] == ["ended"]


def test_a_warning_of_its_own_is_a_sentence_and_others_keep_their_place() -> None:
    own = "import warnings, surefoot.errors as e; e.__dict__.update(warnings=warnings);"
    raised = f"{own} exec(compile('warnings.warn(\\'what is so\\')', e.__file__, 'exec'), e.__dict__)"
    for text, told in (
        (raised, "surefoot: what is so\n"),
        ("import warnings; warnings.warn('x')", ": UserWarning: x"),
    ):
        done = _command(f"import surefoot.cli; surefoot.cli.main = lambda: exec({text!r})")
        assert told in done.stderr
    assert done.stderr.startswith("<string>:1")


LOOKS = """
import os, sys
class Looks:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print("numpy is there" if "numpy" in sys.modules else "torch comes first", flush=True)
            os._exit(0)
sys.meta_path.insert(0, Looks())
from surefoot.cli import command
command()
"""


@pytest.mark.parametrize(
    "args",
    [
        ["check", "torch.optim:SGD"],
        ["check", "torch.optim", "--all"],
        ["identify", "torch.optim:SGD"],
        ["gradients", "examples/wrong_backward.py:make"],
        ["explain", "torch", "x**2", "--at", "x=1", "--lr", "0.1", "--autograd"],
        ["predict", "no such run", "rows.npz"],
        ["train"],
    ],
)
def test_an_interrupt_while_torch_is_imported_is_not_lost(args: list[str], tmp_path: Path) -> None:
    # torch's own code looks for numpy, and takes whatever its import raises for "there is none"
    done = subprocess.run(
        [sys.executable, "-c", LOOKS, *args], stdout=subprocess.PIPE, text=True, cwd=tmp_path, check=False
    )
    assert done.stdout == "numpy is there\n"


def test_the_first_help_page_leads_to_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "surefoot COMMAND --help shows a command's options" in said
    assert "--debug" in said


@pytest.mark.parametrize("command", COMMANDS)
def test_help_flows(command: str) -> None:
    # a line break of the docstring would show in the middle of a sentence, wherever the help's own lines end
    for argument in build()[command].assemble_argument_collection(parse_docstring=True):
        assert "\n" not in (argument.parameter.help or ""), argument.name


@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - {"rules"}))
def test_help_has_an_example_and_names_its_arguments(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main([command, "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Usage: surefoot {command} {COMMANDS[command][2]}"
    assert "ARGS" not in lines[0]
    example = lines.index("For example:") + 1
    while lines[example].startswith(" "):
        assert lines[example].startswith(f"  surefoot {command}")
        example += 1
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("command", COMMANDS)
def test_the_arguments_of_the_usage_are_those_that_there_are(command: str) -> None:
    usage, app = COMMANDS[command][2], build(command)[command]
    shown = [x for x in app.assemble_argument_collection() if x.show]
    placed = [x.name for x in shown if x.index is not None or x.name.startswith("*")]
    named = [word.strip("[].") for word in usage.replace("[OPTIONS]", "").replace("--from RULE", "").split()]
    assert named[: len(placed)] == [name.strip("*").upper() for name in placed]
    options = [x for x in shown if x.index is None]
    assert ("[OPTIONS]" in usage) == bool(options)


def test_the_rules_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line[0] != " "] == [*RULES]
    assert "torch          PyTorch's SGD (also sgd, pytorch, apex)" in lines
