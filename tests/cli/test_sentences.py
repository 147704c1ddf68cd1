"""What the parser objects to is told as all else is."""

from __future__ import annotations

import pytest

from surefoot.cli import COMMANDS, main


def test_a_word_without_a_place_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "--from", "keras", "torch"]) == 2
    assert capsys.readouterr().err == (
        "surefoot: Unexpected argument 'torch'; options are written --name value, and --help lists them.\n"
    )


def test_a_formula_that_begins_with_a_minus_is_told_how_to_be_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rest = ["--at", "x=1; y=2", "--lr", "0.1"]
    assert main(["explain", "torch", "-x**2+y**2", *rest]) == 2
    assert capsys.readouterr().err == (
        "surefoot: Unknown option '-x**2+y**2'; if it is a formula, put a space before it: ' -x**2+y**2'.\n"
    )
    assert main(["explain", "torch", " -x**2+y**2", *rest]) == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["explain", "adam", "x**2", "--at", "x=1", "--beta1", "0.9"],
            "Unknown option --beta1; give hyperparameters not listed by --help as --option beta1=…",
        ),
        (
            ["explain", "sgd", "x**2", "--momentun=0.9"],
            "Unknown option --momentun; did you mean --momentum?",
        ),
        (["runs", "--beta", "1"], "Unknown option --beta; --help lists all options."),
    ],
)
def test_an_option_is_proposed_only_where_one_is_near(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err == f"surefoot: {sentence}\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--hlep", "Unknown option --hlep; did you mean --help?"),
        ("-v", "Unknown option -v; did you mean --version?"),
        ("-x", "Unknown option -x; --help lists all options."),
        ("identify", "Name an optimizer: surefoot identify file.py:Class, or package.module:Class."),
        ("gradients", "Name a function that returns (model, loss, batch): surefoot gradients file.py:make."),
        (
            "resume",
            "Name a run's folder, such as runs/20250101-120000-mlp: surefoot resume RUN.",
        ),
        ("predict", "Name a run's folder, such as runs/20250101-120000-mlp: surefoot predict RUN FILE."),
        ("predict run", "Name a picture or a file of rows: surefoot predict RUN digit.png, or rows.npz."),
        ("convert", "Say which convention you have: --from torch, keras, …; surefoot rules lists all."),
        ("convert --from", "--from requires a value, but none follows it."),
        ("check --only", "--only requires a value, but none follows it."),
        ("train --epochs 1.5", "--epochs must be a whole number, not '1.5'."),
        ("train --lr abc", "--lr must be a number, not 'abc'."),
        ("train --nesterov=maybe", "--nesterov must be yes or no, not 'maybe'."),
        ("train --lr 1 --lr 2", "--lr is given more than once; give it once."),
        (
            "explain --format txt",
            "Unknown value 'txt' of --format; did you mean 'text'? Known: html, json, latex, markdown, text.",
        ),
        ("completion tcsh", "Unknown value 'tcsh' of SHELL; known: bash, fish, powershell, zsh."),
    ],
)
def test_what_is_missing_or_wrong(arguments: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments.split()) == 2
    assert capsys.readouterr().err == f"surefoot: {sentence}\n"


@pytest.mark.parametrize(("word", "near"), [("chek", "; did you mean 'check'? Known"), ("help", "; known")])
def test_an_unknown_command_is_told_all_there_are(
    word: str, near: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([word]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"surefoot: Unknown command '{word}'{near}: check, completion, convert, explain,")
    assert all(name in said for name in COMMANDS)
    assert said.endswith(". surefoot --help lists all commands.\n")
