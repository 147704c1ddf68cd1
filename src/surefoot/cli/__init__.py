"""The command line: each command is a function in a module of its own, imported when it is called.

Nothing that takes long is imported before `command` stands ready for a Ctrl-C.
"""

from __future__ import annotations

import atexit
import errno
import os
import sys
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import surefoot
from surefoot import preload
from surefoot.cli import signals
from surefoot.cli.streams import complain, full, gone, lenient, let_go
from surefoot.errors import InputError

if TYPE_CHECKING:
    from cyclopts import App

_PACKAGE = Path(surefoot.__file__).parent

# command -> (its function, its line in --help, what follows its name); nothing here is imported before it is
# called
COMMANDS = {
    "convert": (
        "surefoot.cli.convert:convert",
        "Convert hyperparameters from one convention to another.",
        "--from RULE [OPTIONS]",
    ),
    "explain": (
        "surefoot.cli.explain:explain",
        "Work out every number of every step of a rule, as you would by hand.",
        "[RULE] [F] --at NAME=VALUES [OPTIONS]",
    ),
    "check": (
        "surefoot.cli.check:check",
        "Examine a torch optimizer, and say what is wrong with it.",
        "[OPTIONS] OPTIMIZER...",
    ),
    "identify": (
        "surefoot.cli.identify:identify",
        "Find out which rule an optimizer follows.",
        "[OPTIONS] OPTIMIZER",
    ),
    "gradients": (
        "surefoot.cli.gradients:gradients",
        "Check a model's gradients by differences.",
        "[OPTIONS] MAKE",
    ),
    "train": ("surefoot.cli.train:app", "Train a model: data, model, loop, validation, plots.", "[OPTIONS]"),
    "resume": ("surefoot.cli.resume:resume", "Resume a run that was stopped or killed.", "RUN"),
    "predict": (
        "surefoot.cli.predict:predict",
        "Apply a trained model to pictures or a file of rows.",
        "[OPTIONS] RUN FILE [MORE...]",
    ),
    "plot": (
        "surefoot.cli.plot:plot",
        "Plot the loss and accuracy of runs.",
        "[OPTIONS] RUN...",
    ),
    "runs": (
        "surefoot.cli.runs:runs",
        "List the runs in a folder with their best validation result.",
        "[FOLDER]",
    ),
    "rules": ("surefoot.cli.rules:rules", "List all rules by name.", ""),
    "completion": (
        "surefoot.cli.completion:completion",
        "Print or install shell completion.",
        "[OPTIONS] [SHELL]",
    ),
}


def build(asked: str = "") -> App:
    """The whole command line, as a cyclopts App.

    Args:
        asked: the command whose --help shows all that its function says, and not its line alone.
    """
    from cyclopts import App

    app = App(
        name="surefoot",
        help="SGD with momentum that you can check, and use.\n\n"
        "surefoot COMMAND --help shows a command's options. With any command, --debug shows the traceback"
        " of an error.",
        version=surefoot.__version__,
        help_format="plaintext",
    )
    for name, (target, summary, rest) in COMMANDS.items():
        app.command(target, name=name, help=summary)
        if name == asked:
            app[name].help = None  # its docstring, then
            app[name].usage = f"Usage: surefoot {name} {rest}".rstrip()
    return app


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; bad input is one sentence on stderr and exit code 2, `--debug` shows the traceback."""
    args = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in args
    args = [a for a in args if a != "--debug"]
    try:
        from cyclopts.exceptions import CycloptsError

        app = build(next(iter(args), ""))
        code = app(args, print_error=False, exit_on_error=False, result_action="return_value")
        if sys.stdout is not None:  # closed, as by >&-
            sys.stdout.flush()  # what cannot be written is told here, and not at exit
        return code if isinstance(code, int) else 0
    except KeyboardInterrupt:  # first: it may have come before the errors below are there
        if debug:
            raise
        return 130
    except (InputError, CycloptsError) as error:
        if debug:
            raise
        from surefoot.cli.sentences import sentence

        complain(sentence(error, COMMANDS) if isinstance(error, CycloptsError) else str(error))
        return getattr(error, "exit_code", 2)
    except OSError as error:
        if gone(error):  # `surefoot … | head`
            let_go(sys.stdout)
            return 0
        # a full disk, most likely under `surefoot … > file`
        if debug:
            raise
        what = f"read or write '{error.filename}'" if error.filename else "read or write"
        if (
            not error.filename
            and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            and full(sys.stdout)
        ):
            what = "write to standard output"
        complain(f"Cannot {what}: {error.strerror or error}.")
        let_go(sys.stdout)
        return 2


def command() -> NoReturn:
    """The command `surefoot`: main, and out; taking torch down again would take a quarter of a second."""
    try:
        if sys.argv[1:2] in (["train"], ["resume"], ["predict"]):
            signals.end_by_signals()
        told = warnings.showwarning
        warnings.showwarning = lambda message, category, filename, *more: (
            complain(str(message))
            if Path(filename).is_relative_to(_PACKAGE)  # a place in surefoot's own code helps nobody
            else told(message, category, filename, *more)
        )
        sys.unraisablehook = signals.unraisable
        lenient()
        if sys.argv[1:2] in (["train"], ["predict"]) and not {"--help", "-h"} & {*sys.argv}:
            _begin()
        code = main()
    except KeyboardInterrupt:
        if "--debug" in sys.argv:
            raise
        code = 130
    ours = (threading.main_thread(), preload.thread)
    busy = any(not t.daemon and t not in ours for t in threading.enumerate())
    if ("torch" in sys.modules or preload.thread) and not busy:
        atexit._run_exitfuncs()  # what was registered to be done is done
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                let_go(stream)
        os._exit(code)
    sys.exit(code)


def _begin() -> None:
    """Have torch's libraries opened meanwhile."""
    from surefoot.train import imports

    if sys.argv[1] == "train":
        imports.strict()  # first: the libraries read the environment while they are opened
    preload.begin()
