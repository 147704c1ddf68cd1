from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w

from surefoot.errors import InputError
from surefoot.train.config import PRESETS, Config, presets, read


def sentence(**options: Any) -> str:
    with pytest.raises(InputError) as caught:
        Config(**options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"lr": 0.0}, "The lr must be a finite number above 0, not 0.0."),
        ({"lr": -0.1}, "The lr must be a finite number above 0, not -0.1."),
        ({"lr": math.inf}, "The lr must be a finite number above 0, not inf."),
        ({"lr": math.nan}, "The lr must be a finite number above 0, not nan."),
        ({"momentum": 1.0}, "The momentum must be at least 0 and below 1, not 1.0."),
        ({"momentum": -0.5}, "The momentum must be at least 0 and below 1, not -0.5."),
        ({"dampening": 2}, "The dampening must be from 0 to 1, not 2.0."),
        ({"weight_decay": -1}, "The weight decay must be a finite number of at least 0, not -1.0."),
        ({"batch_size": 0}, "The batch size must be at least 1, not 0."),
        ({"epochs": 0}, "The number of epochs must be at least 1, not 0."),
        ({"epochs": 2.5}, "The number of epochs must be a whole number, not 2.5."),
        ({"epochs": True}, "The number of epochs must be a whole number, not True."),
        ({"hidden": (256, 0)}, "The hidden size must be at least 1, not 0."),
        ({"dropout": 1.0}, "The dropout must be at least 0 and below 1, not 1.0."),
        ({"clip": 0.0}, "The clipping norm must be a finite number above 0, not 0.0."),
        ({"accumulate": 0}, "The number of parts to accumulate must be at least 1, not 0."),
        ({"accumulate": 1.5}, "The number of parts to accumulate must be a whole number, not 1.5."),
        ({"seed": -1}, "The seed must be from 0 to 2**63 - 1, not -1."),
        ({"threads": 0}, "The number of threads must be from 1 to 1024, not 0."),
        ({"train_fraction": 1.0}, "The training fraction must be above 0 and below 1, not 1.0."),
        ({"lr": "fast"}, "The lr must be a number, not 'fast'."),
        ({"shuffle": "no"}, "The shuffle must be true or false, not 'no'."),
        ({"model": 3}, "The model must be a text, not 3."),
        ({"name": "a/b"}, "The name becomes part of a folder's name, so it cannot be 'a/b'."),
        (
            {"schedule": "cosin"},
            "Unknown schedule 'cosin'; did you mean 'cosine'?"
            " Known: constant, cosine, one-cycle, step, warm-up.",
        ),
        (
            {"validate_every": "50"},
            "validate-every must be a number of steps or epochs, such as '50 steps' or '2 epochs', not '50'.",
        ),
    ],
)
def test_what_an_option_cannot_be(options: dict[str, Any], text: str) -> None:
    assert sentence(**options) == text


def test_options_take_numbers_of_numpy_and_lists() -> None:
    config = Config(epochs=np.int64(3), lr=np.float32(0.5), hidden=[8, 4], out="there")  # type: ignore[arg-type]
    assert (config.epochs, config.lr, config.hidden, config.out) == (3, 0.5, (8, 4), Path("there"))
    assert type(config.epochs) is int


def test_a_file_may_leave_the_batch_size_to_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("accumulate = 64", encoding="utf-8")
    assert read(tmp_path / "c.toml") == {"accumulate": 64}


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().lr = 1.0  # type: ignore[misc]


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    config = Config(lr=0.25, hidden=(8, 4), opt=("a=1",), out=tmp_path, clip=1, validate_every="5 steps")
    (tmp_path / "config.toml").write_text(config.save_text(), encoding="utf-8")
    assert Config(**read(tmp_path / "config.toml")) == config


def test_keys_may_be_written_as_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("batch-size = 8", encoding="utf-8")
    assert read(tmp_path / "c.toml") == {"batch_size": 8}


def test_an_unknown_key_is_told_with_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("momentun = 0.9", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(caught.value).startswith(
        f"Unknown option 'momentun' in '{path}'; did you mean 'momentum'? Known: "
    )


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"lr = ", "The config file '{path}' is not valid TOML: Invalid value (at end of document)."),
        (b"\xff", "The config file '{path}' is not valid TOML: 'utf-8' codec can't decode byte 0xff"),
        (
            b"epochs = 'five'",
            "In the config file '{path}', the number of epochs must be a whole number, not 'five'.",
        ),
    ],
)
def test_a_config_file_that_cannot_be_used(tmp_path: Path, content: bytes, text: str) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(caught.value).startswith(text.format(path=path))


def test_the_mark_that_some_editors_begin_a_file_with_is_no_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes("epochs = 3\r\nname = 'größer'\r\n".encode("utf-8-sig"))
    assert read(path) == {"epochs": 3, "name": "größer"}


def test_a_config_file_that_is_not_there() -> None:
    with pytest.raises(InputError) as caught:
        read("nowhere.toml")
    assert str(caught.value) == "Cannot read the config file 'nowhere.toml': No such file or directory."


def test_every_preset_can_be_read() -> None:
    assert presets() == ["lecture"]
    for name in presets():
        values = read(PRESETS / f"{name}.toml")
        assert tomli_w.dumps(values)
        Config(**values)


def test_fit_imports_no_command_line() -> None:
    code = "import sys, surefoot.train.fitting; print('cyclopts' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_at_a_prompt_it_is_what_makes_it_again() -> None:
    config = Config(lr=0.1, hidden=(64, 32), name="x")
    assert repr(config) == "Config(hidden=(64, 32), lr=0.1, name='x')"
    assert eval(repr(config)) == config
    assert repr(Config()) == "Config()"
