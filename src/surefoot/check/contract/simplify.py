"""Source made shorter: known values put in, calls flattened, lines that nothing uses left out."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from typing import Any

__all__ = ["literal", "put_in", "without_unused"]

# calls that change nothing, so that a line which only makes these may go
PURE = {
    "state",
    "weight",
    "tolist",
    "str",
    "items",
    "get",
    "view",
    "detach",
    "join",
    "float",
    "bool",
    "any",
    "hasattr",
}


def literal(value: Any) -> ast.expr:
    """Write a value as an expression."""
    return ast.parse(repr(value), mode="eval").body


def put_in(tree: ast.AST, values: Mapping[str, Any]) -> Any:
    """Replace names by their values, and simplify what then can be."""
    return _PutIn(values).visit(tree)


class _PutIn(ast.NodeTransformer):
    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self.values and isinstance(node.ctx, ast.Load):
            return literal(self.values[node.id])
        return node

    def visit_Dict(self, node: ast.Dict) -> ast.Dict:
        """{**{"a": 1}, "b": 2} is {"a": 1, "b": 2}; the later of two equal keys wins."""
        self.generic_visit(node)
        pairs: list[tuple[ast.expr | None, ast.expr]] = []
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None and isinstance(value, ast.Dict):
                pairs += zip(value.keys, value.values, strict=True)
            else:
                pairs.append((key, value))
        last = {k.value: i for i, (k, _) in enumerate(pairs) if isinstance(k, ast.Constant)}
        kept = [
            (k, v) for i, (k, v) in enumerate(pairs) if not isinstance(k, ast.Constant) or last[k.value] == i
        ]
        return ast.Dict([k for k, _ in kept], [v for _, v in kept])

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """f(**{"a": 1}) is f(a=1), f(*(1, 2)) is f(1, 2); getattr(torch, "a") is torch.a; eval("1") is 1."""
        self.generic_visit(node)
        node.args = [b for a in node.args for b in _spread(a)]
        match node:
            case ast.Call(
                ast.Name("eval"), [ast.Constant(str(text)), ast.Call(args=[place]), ast.Dict() as names]
            ):
                return _written_out(text, place, names)
        if (
            isinstance(node.func, ast.Name)
            and node.func.id == "getattr"
            and isinstance(node.args[1], ast.Constant)
        ):
            return ast.Attribute(node.args[0], str(node.args[1].value), ast.Load())
        keywords: list[ast.keyword] = []
        for keyword in node.keywords:
            given = keyword.value
            if keyword.arg is None and isinstance(given, ast.Dict) and all(map(_is_word, given.keys)):
                keywords += [
                    ast.keyword(str(k.value), v)
                    for k, v in zip(given.keys, given.values, strict=True)
                    if isinstance(k, ast.Constant)
                ]
            else:
                keywords.append(keyword)
        node.keywords = keywords
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        """f"{'lr'} is" is "lr is"."""
        self.generic_visit(node)
        parts = [v.value if isinstance(v, ast.FormattedValue) else v for v in node.values]
        try:
            return ast.Constant("".join(str(ast.literal_eval(p)) for p in parts))
        except ValueError:
            return node  # it says something that is known only when it runs

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        """{"a": x}["a"] is x."""
        self.generic_visit(node)
        if isinstance(node.value, ast.Dict) and isinstance(node.slice, ast.Constant):
            for key, value in zip(node.value.keys, node.value.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == node.slice.value:
                    return value
        return node

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        """1 if "a" == "b" else 2 is 2; so is 1 if "a" in "b" else 2."""
        self.generic_visit(node)
        test = node.test
        if isinstance(test, ast.Compare) and isinstance(test.left, ast.Constant):
            right = test.comparators[0]
            if isinstance(right, ast.Constant):
                left, equal = test.left.value, isinstance(test.ops[0], ast.Eq)
                holds = left == right.value if equal else str(left) in str(right.value)
                return node.body if holds else node.orelse
        return node


def _spread(arg: ast.expr) -> list[ast.expr]:
    if isinstance(arg, ast.Starred) and isinstance(arg.value, (ast.Tuple, ast.List)):
        return arg.value.elts
    return [arg]


def _written_out(text: str, place: ast.expr, names: ast.Dict) -> ast.expr:
    """eval("Step(opt)", vars(torch.x), {"opt": o}) is torch.x.Step(o)."""
    known = {k.value: v for k, v in zip(names.keys, names.values, strict=True) if isinstance(k, ast.Constant)}

    class Name(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            if node.id in known:
                return known[node.id]
            return ast.Attribute(place, node.id, ast.Load()) if node.id[0].isupper() else node

    written: ast.expr = Name().visit(ast.parse(text, mode="eval").body)
    return written


def _is_word(key: ast.expr | None) -> bool:
    return isinstance(key, ast.Constant) and isinstance(key.value, str) and key.value.isidentifier()


def without_unused(body: list[ast.stmt], telling: Collection[str]) -> list[ast.stmt]:
    """Leave out assignments to names that are never read, again and again until there are none.

    Lines that read one of the `telling` names stay.
    """
    while True:
        read = {
            n.id for s in body for n in ast.walk(s) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
        }
        kept = [s for s in body if not _idle(s, read) or _reads(s, telling)]
        if len(kept) == len(body):
            return body
        body = kept


def _reads(statement: ast.stmt, names: Collection[str]) -> bool:
    return any(
        isinstance(n, ast.Name) and n.id in names and isinstance(n.ctx, ast.Load) for n in ast.walk(statement)
    )


def _idle(statement: ast.stmt, read: set[str]) -> bool:
    if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
        return False
    calls = [n.func for n in ast.walk(statement.value) if isinstance(n, ast.Call)]
    names = {
        f.attr if isinstance(f, ast.Attribute) else f.id if isinstance(f, ast.Name) else "?" for f in calls
    }
    return statement.targets[0].id not in read and names <= PURE
