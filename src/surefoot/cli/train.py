"""`surefoot train`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from cyclopts import App, ArgumentCollection, Group, Parameter
from cyclopts.config import Dict

from surefoot import preload
from surefoot.cli.kinds import FILE, called
from surefoot.errors import unknown
from surefoot.options import as_typed, whole_number, whole_numbers
from surefoot.train import config as options
from surefoot.train import imports
from surefoot.train.config import Config
from surefoot.train.data.published import EMBEDDED

Presets = Literal["lecture"]  # this, and what _KNOWN has, is for the shell's completion

_FILES = Group("Options from files", sort_key=0)
_PANELS = {
    "Data": ("data", "data_dir", "task", "scale", "split_seed", "train_fraction"),
    "Model": ("model", "hidden", "dropout"),
    "Optimizer": ("optimizer", "lr", "momentum", "dampening", "weight_decay", "nesterov", "opt"),
    "Training": (
        "epochs", "batch_size", "shuffle", "schedule", "warmup", "lr_step", "lr_factor", "clip", "accumulate",
        "validate_every", "checkpoint_every",
    ),
    "Machine": ("seed", "device", "threads", "precision", "compile"),
    "Output": ("name", "out"),
}  # fmt: skip
_WHOLE = dict.fromkeys(
    ("split_seed", "epochs", "batch_size", "accumulate", "seed", "threads"), Parameter(converter=whole_number)
)
_READ = _WHOLE | {
    "data_dir": Parameter(converter=as_typed),
    "out": Parameter(converter=as_typed),
    "hidden": Parameter(consume_multiple=True, negative=(), converter=whole_numbers),
    "opt": Parameter(consume_multiple=True, negative=(), show_default=False),
}
_CALLED = {
    "data": "DATA", "data_dir": "FOLDER", "model": "MODEL", "optimizer": "CLASS", "opt": "NAME=VALUE...",
    "warmup": "SPAN", "lr_step": "SPAN", "validate_every": "SPAN", "checkpoint_every": "SPAN",
    "device": "DEVICE", "name": "NAME", "out": "FOLDER",
}  # fmt: skip
_KNOWN: dict[str, Any] = {
    "data": Literal["mnist-10k", "mnist", "fashion-mnist"] | str,
    "model": Literal["mlp", "linear", "cnn"] | str,
}


class Settings(Config):
    """The same options, with how the command line shows and reads each."""


_groups = {
    name: Parameter(group=Group(panel, sort_key=place))
    for place, (panel, names) in enumerate(_PANELS.items(), 1)
    for name in names
}
Settings.__annotations__ = {
    name: Annotated[
        _KNOWN.get(name, kind),
        _groups[name],
        _READ.get(name, Parameter(show_choices=name not in _KNOWN)),
        called(_CALLED[name]) if name in _CALLED else Parameter(),
    ]
    for name, kind in get_type_hints(Config).items()
}


def _from_files(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Give each option that the command line leaves out the value that --config or --preset has for it."""
    given = {argument.name: argument.tokens[0].value for argument in arguments if argument.tokens}
    values: dict[str, Any] = {}
    if (name := given.get("--preset")) is not None:
        if name not in options.presets():
            raise unknown("preset", name, options.presets())
        values |= options.read(options.PRESETS / f"{name}.toml")
    if (path := given.get("--config")) is not None:
        values |= options.read(path)
    # of an empty list cyclopts 4 makes one empty value; left out, it is the default
    values = {name: value for name, value in values.items() if value != [] or name == "hidden"}
    Dict(values, use_commands_as_keys=False, source="a config file")(app, commands, arguments)


app = App(name="train", config=_from_files, help_format="plaintext")


@app.default
def train(
    *,
    preset: Annotated[
        Presets | str | None, Parameter(group=_FILES, show_choices=False), called("NAME")
    ] = None,
    config: Annotated[Path | None, Parameter(group=_FILES), FILE] = None,
    settings: Annotated[Settings, Parameter(name="*")] = Settings(),  # noqa: B008
) -> int:
    """Train a model: data, model, loop, validation, plots.

    For example:
      surefoot train
      surefoot train --model cnn --lr 0.05 --epochs 10
      surefoot train --data rows.npz --task regression --optimizer torch.optim:AdamW
      surefoot train --config runs/20250101-120000-mlp/config.toml --seed 1

    Exit code 0: it finished; 2: the input is wrong; 3: the loss became NaN or inf;
    130: Ctrl-C; 143: it was told to end (SIGTERM), as by kill.

    Args:
        preset: Options that come with surefoot: lecture (the lecture's run).
        config: A TOML file of options, such as a run's config.toml; overrides a preset.
        settings: All others.
    """
    chosen = Config(**vars(settings))
    if preload.thread is not None and chosen.data == EMBEDDED and chosen.data_dir is None:
        from surefoot.train.data import embedded

        embedded.read_ahead()  # while torch cannot be imported yet
    return carry_out("train", chosen)


def carry_out(what: str, *args: Any, mkl: str | None = imports.STRICT) -> int:
    """Call the function of that name in surefoot.train, and say what came of the run; the exit code.

    Args:
        what: "train" or "resume".
        args: for it.
        mkl: see imports.strict.
    """
    import gc

    from surefoot.cli.signals import interrupts_raise
    from surefoot.cli.streams import complain, lasting
    from surefoot.plot import painter

    # objects made while importing live as long as the process: the collector need not look at them again
    gc.disable()
    with lasting(), painter.hired():
        from surefoot.train.run import Interrupted  # these need no torch
        from surefoot.train.saying import typed

        preload.wait()
        imports.strict(mkl)
        imports.lean()
        from surefoot.train import job

        gc.freeze()
        gc.enable()
        interrupts_raise()
        try:
            run = getattr(job, what)(*args)
        except Interrupted as stopped:
            complain(str(stopped))
            if stopped.goes_on and stopped.run.folder is not None:
                print(f"To continue: surefoot resume {typed(stopped.run.folder)}", file=sys.stderr)
            return stopped.exit_code
        print(f"\n{run.closing}\nsaved in {run.folder}")
    return 0
