"""A probe's source, made into a few lines to paste: torch alone, and the optimizer's own import."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

from surefoot.check.contract import tools
from surefoot.check.verdict import Options, Signature

__all__ = ["reproduction"]


class _Inline(ast.NodeTransformer):
    """Turn make(params, **more) into Class(params, lr=…, **more); drop what returns early."""

    def __init__(self, name: str, options: Options) -> None:
        self.name, self.options = name, options

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if not (isinstance(node.func, ast.Name) and node.func.id == "make"):
            return node
        own = {k.arg for k in node.keywords}
        fixed = {o: v for o, v in self.options.items() if o not in own}
        if None in own:  # make(w, **case): what the case says wins
            both = ast.Dict(
                [None if k.arg is None else ast.Constant(k.arg) for k in node.keywords],
                [k.value for k in node.keywords],
            )
            if fixed:
                both.keys[:0] = [ast.Constant(o) for o in fixed]
                both.values[:0] = [_literal(v) for v in fixed.values()]
            plain = len(both.keys) == 1 and both.keys[0] is None
            node.keywords = [ast.keyword(None, both.values[0] if plain else both)]
        else:
            node.keywords = [*(ast.keyword(o, _literal(v)) for o, v in fixed.items()), *node.keywords]
        node.func = ast.Name(self.name)
        return node

    def visit_If(self, node: ast.If) -> ast.AST | None:
        self.generic_visit(node)
        return None if isinstance(node.body[0], ast.Return) else node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        for arg in (*node.args.args, *node.args.kwonlyargs, *filter(None, [node.args.vararg])):
            arg.annotation = None
        return self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST | list[ast.AST]:
        """Write a, b = x, y as two lines, which ast.unparse would put in brackets."""
        self.generic_visit(node)
        target, value = node.targets[0], node.value
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            return [ast.Assign([t], v) for t, v in zip(target.elts, value.elts, strict=True)]
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.generic_visit(node)
        assert node.value is not None, "a probe assigns where it annotates"
        return ast.Assign([node.target], node.value)


def reproduction(
    probe: Callable[..., Any],
    signature: Signature,
    options: Options,
    case: Mapping[str, Any],
    claim: int | None,
) -> str:
    """Write a probe out as lines that show the fault with torch alone.

    Args:
        probe: the clause's function.
        signature: how the optimizer is imported and called.
        options: the options it is made with.
        case: what the probe was run with.
        claim: which of its claims failed; None if it raised.

    Returns:
        A program whose last assert fails, or that raises.
    """
    function = _parse(probe)
    body = _Inline(signature.name, options).visit(function).body
    last = body.pop() if isinstance(body[-1], ast.Return) else None
    used = {n.id for n in ast.walk(function) if isinstance(n, ast.Name)}
    given = [f"{name} = {value!r}" for name, value in case.items() if name in used]
    lines = [*given, *(ast.unparse(ast.fix_missing_locations(node)) for node in body)]
    if claim is not None and last is not None:
        lines.append(_assertion(last, claim))
    text = "\n".join(lines)
    helpers = _helpers(text)
    whole = "\n".join([*helpers, text])
    modules = [m for m in ("copy", "gc", "io", "pickle", "sys", "warnings") if f"{m}." in whole]
    imports = [f"import {m}" for m in [*modules, "torch"]]
    return "\n".join([*imports, signature.imports, "", *helpers, text]).strip() + "\n"


def _assertion(last: ast.Return, claim: int) -> str:
    """Write the claim that failed as an assert; claims made in a loop are asserted in that loop."""
    value = last.value
    if isinstance(value, ast.List):
        chosen = value.elts[claim]
        head, indent = "", ""
    else:
        assert isinstance(value, ast.ListComp), "a probe returns its claims as a list"
        loop = value.generators[0]
        chosen = value.elt
        names = ast.unparse(loop.target).strip("()")
        head, indent = f"for {names} in {ast.unparse(loop.iter)}:\n", "    "
    assert isinstance(chosen, ast.Tuple), "a claim is a tuple: what, expected, got"
    what, expected, got, *near = chosen.elts
    e, g, w = (ast.unparse(x) for x in (expected, got, what))
    if near:
        n = ast.unparse(near[0])
        return f"{head}{indent}torch.testing.assert_close({g}, {e}, rtol={n}, atol={n})"
    if e == "True":
        return f"{head}{indent}assert {g}, {w}"
    return f"{head}{indent}print({g}, {e})\n{indent}assert {g} == {e}, {w}"


def _helpers(text: str) -> list[str]:
    """Return the source of the tools that a text uses, and of those that they use."""
    wanted = [n for n in ("weight", "gradient", "run", "state") if f"{n}(" in text]
    if "run" in wanted and "gradient" not in wanted:
        wanted.insert(wanted.index("run"), "gradient")
    found = []
    for name in wanted:
        function = _Inline("", {}).visit(_parse(getattr(tools, name)))
        found.append(ast.unparse(ast.fix_missing_locations(function)) + "\n")
    return found


def _parse(function: Callable[..., Any]) -> ast.FunctionDef:
    node = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(node, ast.FunctionDef)
    node.decorator_list = []
    return node


def _literal(value: Any) -> ast.expr:
    return ast.parse(repr(value), mode="eval").body
