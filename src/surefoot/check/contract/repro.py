"""A probe's source, made into a few lines to paste: torch alone, and the optimizer's own import."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

from surefoot.check.contract import tools
from surefoot.check.contract.simplify import literal, put_in, without_unused
from surefoot.check.protocol import Options, Signature
from surefoot.check.subject.imported import registered

__all__ = ["reproduction"]

# what probes import besides torch
MODULES = (
    *("collections", "contextlib", "copy", "gc", "io"),
    *("numpy", "pickle", "random", "sys", "tempfile", "time", "warnings"),
)
TOOLS = ("weight", "gradient", "run", "state", "options", "buffer_dtypes", "state_dtypes")


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
    function = put_in(_Inline(signature.name, options).visit(_parse(probe)), case)
    body = function.body
    last = body.pop() if isinstance(body[-1], ast.Return) else None
    if claim is not None and last is not None:
        body += ast.parse(_assertion(last, claim)).body
    body = put_in(ast.Module(body, []), _small_constants(body)).body
    reads = _made(body, signature.name) if claim is None else set()  # what raised may be any line on these
    text = "\n".join(ast.unparse(ast.fix_missing_locations(node)) for node in without_unused(body, reads))
    helpers = _helpers(text)
    whole = "\n".join([*helpers, text])
    modules = [m for m in MODULES if f"{m}." in whole]
    imports = [f"import {m}" for m in [*modules, "torch"]]
    pickled = "pickle." in whole or "torch.save(" in whole
    subject = registered(signature.imports) if pickled else signature.imports
    return "\n".join([*imports, subject, "", *helpers, text]).strip() + "\n"


class _Inline(ast.NodeTransformer):
    """Turn make(params, **more) into Class(params, lr=…, **more); drop annotations and early returns.

    A function within keeps its returns: they are what it computes.
    """

    def __init__(self, name: str, options: Options) -> None:
        self.name, self.options, self.depth = name, options, 0

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "make":
            # as one dict, in which what the call says wins; it is flattened again when values are put in
            keys: list[ast.expr | None] = [ast.Constant(o) for o in self.options]
            keys += [None if k.arg is None else ast.Constant(k.arg) for k in node.keywords]
            values = [*map(literal, self.options.values()), *(k.value for k in node.keywords)]
            node.keywords = [ast.keyword(None, ast.Dict(keys, values))] if keys else []
            node.func = ast.Name(self.name, ast.Load())
        return node

    def visit_If(self, node: ast.If) -> ast.AST | None:
        self.generic_visit(node)
        return None if isinstance(node.body[-1], ast.Return) and self.depth == 1 else node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        for arg in (*node.args.args, *node.args.kwonlyargs, *filter(None, [node.args.vararg])):
            arg.annotation = None
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1
        return node

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


def _assertion(last: ast.Return, claim: int) -> str:
    """Write the claim that failed as an assert; claims made in a loop are asserted in that loop."""
    head, indent = "", ""
    if isinstance(last.value, ast.List):
        chosen = last.value.elts[claim]
    else:
        assert isinstance(last.value, ast.ListComp), "a probe returns its claims as a list"
        loop, chosen = last.value.generators[0], last.value.elt
        names = ast.unparse(loop.target).strip("()")
        head, indent = f"for {names} in {ast.unparse(loop.iter)}:\n", "    "
    assert isinstance(chosen, ast.Tuple), "a claim is a tuple: what, expected, got"
    what, expected, got, *near = (ast.unparse(ast.fix_missing_locations(x)) for x in chosen.elts)
    if near:
        return f"{head}{indent}torch.testing.assert_close({got}, {expected}, rtol={near[0]}, atol={near[0]})"
    if expected == "True":
        return f"{head}{indent}assert {got}, {what}"
    return f"{head}{indent}print({got}, {expected})\n{indent}assert {got} == {expected}, {what}"


def _made(body: list[ast.stmt], name: str) -> set[str]:
    """Return the names that are given an optimizer, or what its step() returns."""
    return {
        n.id
        for s in body
        if isinstance(s, ast.Assign)
        and any(
            isinstance(c, ast.Call) and ast.unparse(c.func) in (name, "opt.step") for c in ast.walk(s.value)
        )
        for t in s.targets
        for n in ast.walk(t)
        if isinstance(n, ast.Name)
    }


def _small_constants(body: list[ast.stmt]) -> dict[str, Any]:
    """Return the names that are given a number or a word once, such as the tolerance."""
    found: dict[str, Any] = {}
    targets = [
        t.id for s in body for t in ast.walk(s) if isinstance(t, ast.Name) and isinstance(t.ctx, ast.Store)
    ]
    for s in body:
        if isinstance(s, ast.Assign) and isinstance(s.value, ast.Constant):
            name = s.targets[0]
            if isinstance(name, ast.Name) and targets.count(name.id) == 1:
                found[name.id] = s.value.value
    return found


def _helpers(text: str) -> list[str]:
    """Return the source of the tools that a text uses, and of those that they use."""
    wanted = [n for n in TOOLS if f"{n}(" in text]
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
