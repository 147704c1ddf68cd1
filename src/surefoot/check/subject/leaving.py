"""Where a step() leaves a loop: its source read for `return` and `break`."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["leaving"]


def leaving(step: Callable[..., Any] | None) -> dict[str, bool]:
    """The lines of a step() that leave a loop → whether only under a condition; {} without its source."""
    try:
        lines, first = inspect.getsourcelines(inspect.unwrap(step))  # type: ignore[arg-type]
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, ValueError, SyntaxError):
        return {}
    found = {}
    for node, conditional in _leaving(tree.body[0], looped=False, conditional=False):
        line = lines[node.lineno - 1].strip()
        found[f"line {first + node.lineno - 1}: {line}"] = conditional
    return found


def _leaving(node: ast.AST, *, looped: bool, conditional: bool) -> Iterator[tuple[ast.stmt, bool]]:
    if looped and isinstance(node, (ast.Return, ast.Break)):
        yield node, conditional
    inside, bound = looped, conditional
    if isinstance(node, (ast.For, ast.While)):
        inside, bound = True, False
    elif isinstance(node, (ast.If, ast.ExceptHandler)):
        bound = True
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.FunctionDef, ast.ClassDef, ast.Lambda)):
            yield from _leaving(child, looped=inside, conditional=bound)
