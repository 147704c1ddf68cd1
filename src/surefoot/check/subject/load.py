"""Find the optimizer that a user names: `file.py:Class`, `package.module:Class`, or the class itself."""

from __future__ import annotations

import contextlib
import difflib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from surefoot.check.protocol import Signature
from surefoot.check.subject.found import meant, offered
from surefoot.check.subject.imported import from_line, import_line
from surefoot.check.subject.signature import describe
from surefoot.errors import InputError, headline, unknown
from surefoot.loading import parted, user_module

__all__ = ["Subject", "function", "in_file", "load", "optimizers"]


GRADIENTS = {"g", "d", "grad", "gradient"}


@dataclass(frozen=True)
class Subject:
    """What is examined: what makes one, and how that is called."""

    make: Callable[..., Any]
    signature: Signature


def load(subject: str | Callable[..., Any]) -> Subject:
    """Find an optimizer.

    Args:
        subject: `file.py:Class`, `module:Class`, `file.py` with one optimizer, or anything that is called as
            `make(params, **options)`.

    Returns:
        The optimizer's class, and how it is called.

    Raises:
        InputError: there is no such file, module or class, or importing it raises.
    """
    if not isinstance(subject, str):
        _refuse(subject, repr(subject) if not inspect.isclass(subject) else subject.__qualname__)
        return Subject(subject, describe(subject, import_line(subject)))
    where, name = parted(subject)
    if not name:
        name = _only_one(where)
        if not name:
            raise _nameless(subject, "class", "Class", "torch.optim:SGD")
    module = _module(where)
    if not hasattr(module, name):
        classes, makers = [*offered(module, where)], _functions(module)
        kind = "class" if classes else "function" if makers else "optimizer"
        raise unknown(f"{kind} in {where}", name, classes or makers)
    made = getattr(module, name)
    _refuse(made, subject)
    return Subject(made, describe(made, from_line(where, module.__name__, name), name))


def in_file(where: str) -> list[str]:
    """The names of the optimizers that a file is examined for, in its order; see `found.meant`.

    Raises:
        InputError: there is no such file, or importing it raises.
    """
    return meant(offered(_module(where), where))


def _only_one(where: str) -> str:
    """The optimizer of a file that has no other; nothing where there are several, or none."""
    if not where.endswith(".py") or not Path(where).is_file():
        return ""
    names = in_file(where)
    return names[0] if len(names) == 1 else ""


def _found_in(where: str) -> str:
    """Say which classes a file has, to one who named none."""
    if not where.endswith(".py") or not Path(where).is_file():
        return ""
    with contextlib.suppress(InputError):
        if names := sorted(offered(_module(where), where)):
            return f" It has {', '.join(names)}; --all checks them all."
    return ""


def function(subject: str) -> Callable[[], Any]:
    """Find a function that a user names: `file.py:function` or `package.module:function`.

    Raises:
        InputError: there is no such file, module or function, or importing it raises.
    """
    where, name = parted(subject)
    if not name:
        raise _nameless(subject, "function", "function", "homework.py:make")
    module = _module(where)
    if not hasattr(module, name):
        raise unknown(f"function in {where}", name, _functions(module))
    made: Any = getattr(module, name)
    if not callable(made):
        raise InputError(f"{subject} is of type {type(made).__name__}; it must be a function.")
    return made  # type: ignore[no-any-return]


def _nameless(subject: str, kind: str, word: str, example: str) -> InputError:
    """Say what a name without a colon lacks: what there is in the file, or where it is."""
    if subject.isidentifier() and subject not in sys.modules and not importlib.util.find_spec(subject):
        return InputError(
            f"{subject!r} names no file or module; write file.py:{subject} or package.module:{subject}, as "
            f"in {example}."
        )
    found = _found_in(subject) if kind == "class" else ""
    return InputError(f"{subject!r} names no {kind}; write file.py:{word} or package.module:{word}.{found}")


def _functions(module: ModuleType) -> list[str]:
    """The module's own functions, none that is private."""
    own = vars(module).items()
    return [n for n, v in own if inspect.isfunction(v) and v.__module__ == module.__name__ and n[0] != "_"]


def _refuse(made: Any, subject: str) -> None:
    """Refuse what makes no optimizer."""
    if _is_rule(made):
        raise InputError(
            f"{subject} is the formula of a step, not an optimizer. Make it a rule with "
            f"@surefoot.rules.rule: `surefoot explain {subject} …` then works it out, and `surefoot check "
            f"FILE.py:CLASS --rule {subject}` checks an optimizer against it."
        )
    # an optimizer that is made already, or a model, which can be called
    made_already = not inspect.isclass(made) and (hasattr(made, "param_groups") or hasattr(made, "forward"))
    if not callable(made) or made_already:
        raise InputError(
            f"{type(made).__name__ if len(subject.splitlines()) > 1 else subject} is of type"
            f" {type(made).__name__}; "
            "it must be an optimizer class, or a function that builds an optimizer."
        )
    if inspect.isclass(made) and not hasattr(made, "step"):
        raise InputError(f"{subject} is not an optimizer: the class has no step().")
    if inspect.isclass(made) and (why := _without_step(made)):
        raise InputError(f"{subject} does not define step(): {why}")
    if inspect.isclass(made) and (first := _number_first(made)):
        raise InputError(
            f"{subject} takes {first} first, not the parameters: write __init__(self, params, {first})."
        )


def _number_first(made: type) -> str:
    """The first argument of a constructor, where it has a number as its default, as parameters have none."""
    try:
        first = next(iter(inspect.signature(made).parameters.values()), None)
    except (TypeError, ValueError):
        return ""
    default = first.default if first is not None else None
    return str(first) if isinstance(default, (int, float)) and not isinstance(default, bool) else ""


def _is_rule(made: Any) -> bool:
    """Whether it takes a parameter and its gradient, and no list of parameters."""
    from surefoot.rules import Rule

    taken = list(inspect.signature(made).parameters.values()) if inspect.isfunction(made) else []
    second = taken[1] if len(taken) > 1 else None
    asks = second is not None and second.default is second.empty and second.name in GRADIENTS
    return isinstance(made, Rule) or asks


def _without_step(made: type) -> str:
    """Say what may have become of step() in a class that has only the one of Optimizer, which raises."""
    import torch

    base = torch.optim.Optimizer
    if inspect.unwrap(made.step) is not inspect.unwrap(base.step) or made is base:  # type: ignore[attr-defined]
        return ""
    start = getattr(getattr(made, "__init__", None), "__code__", None)
    if start and "step" in start.co_names:  # it is set on the object
        return ""
    if start and "step" in start.co_varnames:
        return "it is defined inside __init__; indent it like __init__ itself."
    own = (c for c in made.__mro__ if c not in base.__mro__)
    methods = [n for c in own for n, v in vars(c).items() if inspect.isfunction(v) and n != "step"]
    if near := difflib.get_close_matches("step", methods, 1):
        return f"is {near[0]}() meant to be step()?"
    return "is it indented inside another function, or misspelt?"


def optimizers(module: str) -> list[str]:
    """Return `module:Class` for every optimizer that a module or file offers, by name.

    Raises:
        InputError: it cannot be imported, or offers none.
    """
    found = offered(_module(module), module)
    import torch

    names = [n for n, v in found.items() if issubclass(v, torch.optim.Optimizer)]
    if not names:
        raise InputError(f"{module} has no subclass of torch.optim.Optimizer.")
    return [f"{module}:{n}" for n in sorted(names)]


def _module(where: str) -> Any:
    """Import a module or a file; what that raises is told in a sentence."""
    try:
        if where.endswith(".py") and not Path(where).is_file():
            raise InputError(f"There is no file {where}.")
        module = user_module(where)
        folder = str(Path(where).resolve().parent)
        if where.endswith(".py") and folder not in sys.path:  # its neighbours may be imported in a step, too
            sys.path.insert(0, folder)
        return module
    except InputError:
        raise
    except ModuleNotFoundError as error:
        if error.name and where.split(".")[0] == error.name.split(".")[0]:
            raise InputError(
                f"There is no module {where}. Is it installed, or is its folder the current one?"
            ) from error
        raise InputError(f"{where} cannot be imported: {error}.") from error
    except (Exception, SystemExit) as error:
        raise InputError(
            f"{where} cannot be imported: {headline(error)}.{_raised_at(where, error)}"
        ) from error


def _raised_at(where: str, error: BaseException) -> str:
    """Say which line of a file raised while it was imported; a SyntaxError says so itself."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if where.endswith(".py") and Path(f.filename).resolve() == Path(where).resolve()]
    if not own or isinstance(error, SyntaxError):
        return ""
    line = f"line {own[-1].lineno}: {own[-1].line}"
    guard = 'put that under `if __name__ == "__main__":`.'
    if isinstance(error, SystemExit):
        return f" It exits while it is imported, in {line}; {guard}"
    if isinstance(error, EOFError) and "input(" in (own[-1].line or ""):
        return f" It waits for input while it is imported, in {line}; {guard}"
    return f" L{line[1:]}"
