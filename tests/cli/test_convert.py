"""`surefoot convert` on the command line."""

from __future__ import annotations

import json

import pytest

from surefoot.cli import main


def run(line):
    return main(line.split())


def test_it_prints_the_conversion(capsys):
    line = "convert --from keras --to torch --lr 0.01 --momentum 0.9 --dampening 0"
    assert run(line) == 0
    out = capsys.readouterr().out
    assert out.startswith("keras(lr=0.01, momentum=0.9)  →  torch(lr=0.01, momentum=0.9)\n")
    assert "while lr does not change" in out
    assert max(map(len, out.splitlines()[1:])) <= 100


def test_a_fraction_is_a_number(capsys):
    assert run("convert --from torch --to ema --lr 1/3 --momentum 1/2") == 0
    first = capsys.readouterr().out.partition("\n")[0]
    assert first.endswith("→  ema(lr=0.666667 (2/3), momentum=0.5)")


def test_without_to_it_lists_the_family(capsys):
    assert run("convert --from muon --lr 0.02 --momentum 0.95") == 0
    out = capsys.readouterr().out.splitlines()
    assert "muon(lr=0.02, momentum=0.95)  →  torch(lr=0.001, momentum=0.95, nesterov=True)" in out
    assert "muon(lr=0.02, momentum=0.95)  →  lion: there is no equivalent" in out


def test_without_to_each_call_is_whole(capsys):
    assert run("convert --from muon --lr 0.02123456 --momentum 0.951234 --weight-decay 0.123456") == 0
    out = capsys.readouterr().out.splitlines()
    assert all(line.endswith((")", "there is no equivalent")) for line in out)
    assert out[0].endswith("nesterov=True, weight_decay=2.5316 (61728/24383), decay=decoupled)")


def test_lion_is_signsgd_only_with_equal_betas(capsys):
    assert run("convert --from lion --to signsgd --lr 1e-4 --beta1 0.95 --beta2 0.9") == 1
    assert "there is no equivalent" in capsys.readouterr().out
    assert run("convert --from lion --to signsgd --lr 1e-4 --beta1 0.9 --beta2 0.9") == 0


def test_json(capsys):
    assert run("convert --from ema --to torch --lr 1 --momentum 0.5 --json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["from"], answer["to"], answer["hyper"]["lr"]) == ("ema", "torch", 0.5)


def test_no_equivalent_is_exit_code_1(capsys):
    assert run("convert --from adam --to torch") == 1
    assert "adam does not" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--from kers --to torch", "did you mean 'keras'?"),
        ("--from keras --to torch --dampening 0.5", "Unknown hyperparameter 'dampening'"),
        ("--from keras --to torch --lr -1", "lr is -1; it must be a number with γ ≥ 0."),
        (
            "--from keras --to torch --lr 1e400",
            "--lr must be a number between 10^−300 and 10^300, not '1e400'.",
        ),
        (
            "--from keras --to torch --lr 1e999999999",
            "--lr must be a number between 10^−300 and 10^300, not '1e999999999'",
        ),
        ("--from keras --to torch --lr inf", "requires finite hyperparameters, not inf."),
        ("--from keras --to torch --weight-decay 0.1 --decay decouple", "did you mean 'decoupled'?"),
        (
            "--from keras --to torch --lr much",
            "--lr must be a number, not 'much'.",
        ),
        (
            "--from keras --to torch --lr 0.01,0.02",
            "--lr takes one number here, but got several: '0.01,0.02'.",
        ),
    ],
)
def test_bad_input_is_one_sentence(capsys, line, message):
    assert run(f"convert {line}") == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err


def test_a_library_is_named_by_any_name_of_it(capsys):
    assert run("convert --from gluon --to torch --lr 0.1 --momentum 0.9") == 0
    assert capsys.readouterr().out.startswith("classical(lr=0.1, momentum=0.9)")
    assert run("convert --from lars --lr 0.1") == 2
    known = capsys.readouterr().err.partition("known: ")[2].rstrip(".\n").split(", ")
    assert {"classical", "caffe", "mxnet", "gluon", "tensorflow", "jax", "paddle", "mindspore"} <= {*known}


def test_it_says_for_which_rule_a_library_stands(capsys):
    assert run("convert --from mindspore --to torch --lr 0.01 --momentum 0.9 --dampening 0.5") == 2
    said = capsys.readouterr().err
    assert "Unknown hyperparameter 'dampening' of optax" in said
    assert "mindspore means optax here (sum of gradients), as nn.Momentum, which has no dampening" in said
