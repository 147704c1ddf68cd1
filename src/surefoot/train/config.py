"""Every option of a run: one frozen dataclass that makes the command line, its help and config.toml.

How the command line takes each is said in cli/train.py, so that fit imports no command line.
"""

from __future__ import annotations

import dataclasses
import types
from dataclasses import dataclass
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from surefoot.errors import InputError, unknown
from surefoot.train.ranges import RANGES, check, spoken
from surefoot.train.span import Span

__all__ = ["Config", "presets", "read"]

GIVEN = "given to fit"  # data that no name leads back to
PRESETS = Path(__file__).parent / "presets"
SPANS = ("validate_every", "warmup", "lr_step", "checkpoint_every")  # options that are stretches of a run


@dataclass(frozen=True, kw_only=True)
class Config:
    """What `surefoot train` is told; each field is an option of the command line and a key of config.toml.

    What each field means is written below it, and is the option's help.

    Raises:
        InputError: a value of the wrong type, out of range, or no known choice.

    Example:
        >>> Config(lr=0.1, epochs=3).momentum is None  # not said: SGD of the pipeline fills in 0.9
        True
        >>> Config(epochs=0)
        Traceback (most recent call last):
        surefoot.errors.InputError: The number of epochs must be at least 1, not 0.
    """

    data: str = "mnist-10k"
    """mnist-10k (included), mnist or fashion-mnist (downloaded once), or your own: FILE.npz or FOLDER."""
    data_dir: Path | None = None
    """Folder of IDX files, plain or gzipped, read instead of downloading; without --data, of any content."""
    task: Literal["classification", "regression"] = "classification"
    """Classification: cross entropy and accuracy. Regression: squared error and R²."""
    scale: Literal["standard", "unit", "raw"] = "standard"
    """Inputs: standardised with the training rows' statistics, scaled to [0, 1], or unchanged."""
    split_seed: int = 0
    """Seed of the split into training and validation rows."""
    train_fraction: float | None = None
    """Share of rows for training; the rest validate. [default: 0.8, unless the data have validation rows]"""

    model: str = "mlp"
    """mlp, linear, cnn, or your own: package.module:Class or file.py:Class."""
    hidden: tuple[int, ...] | None = None
    """Hidden sizes: units of the mlp's layers, channels of the cnn's. [default: 256; cnn: 16 32]"""
    dropout: float | None = None
    """Share of hidden units dropped at each training step. [default: 0.1; your own model: its default]"""

    optimizer: str = "sgd"
    """sgd (surefoot.SGD), or any other: torch.optim:AdamW, file.py:MySGD."""
    lr: float | None = None
    """Learning rate. [default: 0.04 for sgd, 0.01 in regression; else, as the next four, the optimizer's]"""
    momentum: float | None = None
    """How much of the momentum buffer is kept from step to step. [default: 0.9 for sgd]"""
    dampening: float | None = None
    """How much of a gradient is held back from the momentum buffer. [default: 0 for sgd]"""
    weight_decay: float | None = None
    """Pull of each weight towards 0. [default: 0.002 for sgd]"""
    nesterov: bool | None = None
    """Nesterov momentum. [default: yes for sgd with momentum and no dampening]"""
    opt: tuple[str, ...] = ()
    """Other options of the optimizer, such as betas=0.9,0.99 or state_dtype=torch.float32."""

    epochs: int = 5
    """Number of passes over the training rows."""
    batch_size: int = 32
    """Rows per batch."""
    shuffle: bool = True
    """Shuffle the rows in each epoch, by seed and epoch; otherwise keep the split's order."""
    schedule: Literal["constant", "cosine", "step", "one-cycle", "warm-up"] = "cosine"
    """How the learning rate changes over the run."""
    warmup: str | None = None
    """Linear warm-up before the schedule, such as "100 steps". [default: none; warm-up: 1 epoch]"""
    lr_step: str | None = None
    """For step: multiply lr by the factor each time this long has passed. [default: a third of the run]"""
    lr_factor: float = 0.1
    """For step: the factor."""
    clip: float | None = None
    """Clip the gradient to this norm."""
    accumulate: int = 1
    """Compute each batch's gradient in this many parts, one by one: the same update in less memory."""
    validate_every: str = "1 epoch"
    """How often to validate, in steps or epochs: "50 steps", "2 epochs", "step"."""
    checkpoint_every: str = "1 minute"
    """How often to write a checkpoint: "500 steps", "1 epoch", "30 seconds", "2 hours", "never"."""

    seed: int = 0
    """Seed of the initial weights, the order of rows and dropout."""
    device: str = "auto"
    """auto (the first available of cuda, mps, cpu), or a device such as cuda:1."""
    threads: int | None = None
    """Number of CPU threads. [default: as many as are fastest if steps are small, else torch's number]"""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16: run the forward pass under autocast, also in validations."""
    compile: Literal["off", "on", "auto"] = "off"
    """Run training steps as one compiled program (on a GPU: a CUDA graph): on, or auto, if it pays."""

    name: str | None = None
    """Name of the run. [default: model and data]"""
    out: Path | None = None
    """The run's folder. [default: runs/TIME-NAME]"""

    def __post_init__(self) -> None:
        for name, kind in _kinds().items():
            object.__setattr__(self, name, _typed(name, getattr(self, name), kind))
        if self.hidden == ():
            raise InputError("--hidden has no sizes; give some, such as 256 128, or leave it out.")
        check(**{name: getattr(self, name) for name in RANGES})
        for name in SPANS:
            text, times = getattr(self, name), name == "checkpoint_every"
            if text is not None and not (times and text == "never"):
                Span.parse(text, name, times=times)
        if self.name is not None and (not self.name or "/" in self.name or "\\" in self.name):
            raise InputError(f"The name becomes part of a folder's name, so it cannot be {self.name!r}.")

    def __repr__(self) -> str:
        """What it takes to make it again: the options that are not the defaults."""
        fields = ((field, getattr(self, field.name)) for field in dataclasses.fields(self))
        changed = [f"{field.name}={value!r}" for field, value in fields if value != field.default]
        return f"{type(self).__name__}({', '.join(changed)})"

    def save_text(self) -> str:
        """The options as TOML, those without a value left out; `read` reads it again."""
        import tomli_w

        values = {name: getattr(self, name) for name in _kinds()}
        plain = {
            name: list(value)
            if isinstance(value, tuple)
            else str(value)
            if isinstance(value, Path)
            else value
            for name, value in values.items()
            if value is not None
        }
        return tomli_w.dumps(plain)


def presets() -> list[str]:
    """The names of the presets that come with surefoot."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def read(path: Path | str) -> dict[str, Any]:
    """The options in a TOML file, checked, as keyword arguments of Config.

    Args:
        path: the file; keys are the options' names, with - or _.

    Raises:
        InputError: no such file, not TOML, an unknown key, or a value that the option does not take.
    """
    from surefoot.toml import tomllib

    try:
        found = tomllib.loads(Path(path).read_bytes().decode("utf-8-sig"))  # an editor may begin with a mark
    except OSError as error:
        raise InputError(f"Cannot read the config file '{path}': {error.strerror}.") from error
    except ValueError as error:  # TOMLDecodeError, or bytes that are no text
        raise InputError(f"The config file '{path}' is not valid TOML: {error}.") from error
    values = {key.replace("-", "_"): value for key, value in found.items()}
    for key in values:
        if key not in _kinds():
            raise unknown(f"option in '{path}'", key, _kinds())
    try:
        Config(**values)
    except InputError as error:
        text = str(error)
        raise InputError(f"In the config file '{path}', {text[:1].lower()}{text[1:]}") from error
    return values


@cache
def _kinds() -> dict[str, Any]:
    """Option -> its type."""
    hints = get_type_hints(Config)
    return {field.name: hints[field.name] for field in dataclasses.fields(Config)}


def _typed(name: str, value: Any, kind: Any) -> Any:
    """`value` as the option's type, where TOML writes it otherwise: a list for a tuple, 1 for 1.0."""
    if get_origin(kind) in (Union, types.UnionType):
        if value is None:
            return None
        kind = next(k for k in get_args(kind) if k is not type(None))
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise unknown(spoken(name), str(value), get_args(kind))
        return value
    if get_origin(kind) is tuple:
        items = value if isinstance(value, (list, tuple)) else [value]
        return tuple(_typed(name, item, get_args(kind)[0]) for item in items)
    if kind is Path and isinstance(value, str) and value:
        return Path(value)
    if kind in (int, float) and not isinstance(value, bool):  # numpy's numbers are welcome
        if isinstance(value, Real if kind is float else Integral):
            return kind(value)
    elif kind not in (int, float) and isinstance(value, kind):
        return value
    if name in SPANS:
        Span.parse(str(value), name, times=name == "checkpoint_every")
    words = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", Path: "a path"}
    raise InputError(f"The {spoken(name)} must be {words[kind]}, not {value!r}.")
