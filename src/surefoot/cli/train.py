"""`surefoot train`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, ArgumentCollection, Group, Parameter
from cyclopts.config import Dict

from surefoot.errors import unknown
from surefoot.train import config as options
from surefoot.train import imports
from surefoot.train.config import Config

_FILES = Group("Options from files", sort_key=0)


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
    preset: Annotated[str | None, Parameter(group=_FILES)] = None,
    config: Annotated[Path | None, Parameter(group=_FILES)] = None,
    settings: Annotated[Config, Parameter(name="*")] = Config(),  # noqa: B008
) -> int:
    """Train a model.

    Args:
        preset: Options that come with surefoot: lecture (the lecture's run).
        config: A TOML file of options, such as a run's config.toml; overrides a preset.
        settings: All others.
    """
    return carry_out("train", settings)


def carry_out(what: str, *args: Any, mkl: str | None = imports.STRICT) -> int:
    """Call the function of that name in surefoot.train, and say what came of the run; the exit code.

    Args:
        what: "train" or "resume".
        args: for it.
        mkl: see imports.strict.
    """
    import gc

    from surefoot.cli.streams import complain, lasting
    from surefoot.plot import painter

    with lasting(), painter.hired():
        # objects made while importing live as long as the process: the collector need not look at them again
        gc.disable()
        imports.strict(mkl)
        imports.lean()
        from surefoot.train import job
        from surefoot.train.run import Interrupted
        from surefoot.train.saying import typed

        gc.freeze()
        gc.enable()
        try:
            run = getattr(job, what)(*args)
        except Interrupted as stopped:
            complain(str(stopped))
            if stopped.goes_on and stopped.run.folder is not None:
                print(f"To go on: surefoot resume {typed(stopped.run.folder)}", file=sys.stderr)
            return stopped.exit_code
        print(f"\n{run.closing}\nsaved in {run.folder}")
    return 0
