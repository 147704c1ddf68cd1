"""Kinds of options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from surefoot.options import whole_number

__all__ = [
    "CLASS",
    "FILE",
    "Decay",
    "Decays",
    "File",
    "Flag",
    "Folder",
    "NamedRule",
    "Options",
    "Rules",
    "Several",
    "Whole",
    "called",
]


def called(value: str) -> Parameter:
    """How --help calls an option's value, as FILE in `--out FILE`; cyclopts 4 shows none."""
    known = any(field.name == "metavar" for field in Parameter.__attrs_attrs__)
    return Parameter(metavar=value) if known else Parameter()


CLASS, FILE = called("CLASS"), called("FILE")

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]  # has no --no-…
Whole = Annotated[int, Parameter(converter=whole_number), called("N")]
Several = Annotated[list[str] | None, Parameter(negative=(), consume_multiple=False)]  # one value each time
Options = Annotated[Several, called("NAME=VALUE")]
File = Annotated[Path | None, FILE]
Folder = Annotated[Path | None, called("FOLDER")]

# written out, since importing the rules takes as long as all else that --help needs
Rules = Literal[
    "sgd", "torch", "mlx", "optax", "keras", "sutskever", "ema", "ema_first", "chainer_nag", "muon",
    "heavy_ball", "ema_corrected", "lion", "signsgd", "adam", "adamw", "amsgrad", "nadam", "radam",
    "rmsprop", "adagrad", "adadelta", "adamax",
]  # fmt: skip
# any other text is taken too, as an alias or file.py:rule: these are what a shell completes
NamedRule = Annotated[Rules | str, Parameter(show_choices=False), called("RULE")]
Decays = Literal["l2", "decoupled", "after_momentum", "after_step", "no_lr", "corrected"]
Decay = Annotated[Decays | str | None, Parameter(show_choices=False), called("PLACE")]
