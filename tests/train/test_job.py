"""`surefoot.train(…)` in Python: the options of the command line by name, or as a Config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import surefoot
from surefoot.errors import InputError
from surefoot.train import Config


def test_options_by_name_override_those_of_a_config(tmp_path: Path) -> None:
    config = Config(model="linear", epochs=7, lr=0.1, out=tmp_path / "a")
    runs = [
        surefoot.train(config, epochs=1, progress=False),
        surefoot.train(model="linear", epochs=1, lr=0.1, out=tmp_path / "b", progress=False),
    ]
    assert [(run.status, len(run.epochs)) for run in runs] == [("finished", 1)] * 2
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in "ab"]
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    ("given", "options", "sentence"),
    [
        (
            (),
            {"epocs": 3},
            "Unknown option 'epocs' of train; did you mean 'epochs'? Known: accumulate, batch",
        ),
        ((), {"epochs": 0}, "The number of epochs must be at least 1, not 0."),
        (
            ({"epochs": 3},),
            {},
            "train takes options by name, such as surefoot.train(epochs=3), or a Config, not a dict; for a"
            " model and data of your own, call surefoot.fit(model, data).",
        ),
        (
            (3,),
            {},
            "train takes options by name, such as surefoot.train(epochs=3), or a Config, not an int; for",
        ),
        (
            (),
            {"model": nn.Linear(2, 2)},
            "The model of train is a text, as on the command line; to give a Linear, call"
            " surefoot.fit(model, data).",
        ),
        (
            (),
            {"optimizer": torch.optim.SGD},
            "The optimizer of train is a text, as on the command line; to give",
        ),
    ],
)
def test_what_cannot_be_used(given: tuple[Any, ...], options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        surefoot.train(*given, **options)
    assert str(caught.value).startswith(sentence)


def test_a_run_of_a_version_that_did_not_note_a_class_s_defaults_goes_on(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "optimizer": "torch.optim:Adam",
        "model": "linear",
        "epochs": 1,
        "progress": False,
    }
    surefoot.train(**options, out=tmp_path / "run")
    config = tmp_path / "run/config.toml"
    assert "\nlr = 0.001\n" in config.read_text()
    lines = config.read_text().splitlines(keepends=True)
    config.write_text("".join(line for line in lines if not line.startswith(("lr =", "weight_decay ="))))
    assert surefoot.train.resume(tmp_path / "run", progress=False).status == "finished"
    metrics = tmp_path / "run/metrics.jsonl"  # as if it had been killed
    metrics.write_text("".join(metrics.read_text().splitlines(keepends=True)[:-1]))
    assert surefoot.train.resume(tmp_path / "run", progress=False).status == "finished"
