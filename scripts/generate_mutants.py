"""Every single change of correct optimizers: a sign, coefficient, operand, operation, order, condition, line.

`python scripts/generate_mutants.py` lists them. Each is known by its file, its line, and that line before and
after.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CORRECT = Path(__file__).parents[1] / "tests" / "check" / "correct"
FILES = ("loop", "functional", "keras")  # one formula in three styles
OPTIONS = ("lr", "momentum", "dampening", "weight_decay", "nesterov", "maximize")
METHODS = {  # what a slip of the keyboard makes of a method
    "add": ("sub", "add_", "mul"),
    "add_": ("sub_", "add", "copy_"),
    "mul_": ("mul", "div_"),
    "clone": (),
}


@dataclass(frozen=True)
class Mutant:
    """One change: in which file, what kind, the line before and after, and the whole source."""

    file: str
    kind: str
    line: int
    before: str
    after: str
    source: str

    @property
    def name(self) -> str:
        """What it is called in lists."""
        return f"{self.file}:{self.line}: {self.before} -> {self.after}"


def mutants() -> list[Mutant]:
    """All of them, in the order of the lines; changes that come to the same source are one."""
    return [m for file in FILES for m in _mutants_of(file)]


def _mutants_of(file: str) -> list[Mutant]:
    tree = ast.parse((CORRECT / f"{file}.py").read_text())
    found: dict[str, Mutant] = {}
    original = ast.unparse(tree)
    for kind, changed, line in _changes(tree):
        source = ast.unparse(ast.fix_missing_locations(changed))
        if source != original and source not in found:
            found[source] = Mutant(file, kind, line, *_difference(original, source), source)
    return sorted(found.values(), key=lambda m: m.line)


def _changes(tree: ast.Module) -> Iterator[tuple[str, ast.Module, int]]:
    """Yield a changed copy of the tree for every change of one node, in all functions but the constructor."""
    for which, function in enumerate(_functions(tree)):
        for index, node in enumerate(ast.walk(function)):
            for kind, apply in _of(node):
                changed = copy.deepcopy(tree)
                root = _functions(changed)[which]
                apply(list(ast.walk(root))[index], root)
                yield kind, changed, getattr(node, "lineno", function.lineno)


def _functions(tree: ast.Module) -> list[ast.FunctionDef]:
    return [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name != "__init__"]


def _of(node: ast.AST) -> Iterator[tuple[str, object]]:
    """Yield what can be changed of one node: a kind, and what does it to the node's twin in a copy."""
    if isinstance(node, ast.BinOp):
        for op in (ast.Add, ast.Sub, ast.Mult):
            if not isinstance(node.op, op):
                yield "sign", lambda n, _, op=op: setattr(n, "op", op())
        yield "operand", lambda n, root: _replace(root, n, n.left)
        yield "operand", lambda n, root: _replace(root, n, n.right)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "sign", lambda n, root: _replace(root, n, n.operand)
    if (
        isinstance(node, ast.Constant)
        and isinstance(node.value, (int, float))
        and not isinstance(node.value, bool)
    ):
        for value in (0, 1, 2):
            if value != node.value:
                yield "coefficient", lambda n, _, value=value: setattr(n, "value", value)
    if (
        isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.Constant)
        and node.slice.value in OPTIONS
    ):
        for other in OPTIONS:
            if other != node.slice.value:
                yield "operand", lambda n, _, other=other: setattr(n.slice, "value", other)
        yield "coefficient", lambda n, root: _replace(root, n, ast.Constant(1))
    if isinstance(node, ast.keyword) and node.arg == "alpha":
        yield "sign", lambda n, _: setattr(n, "value", ast.UnaryOp(ast.USub(), n.value))
        yield "coefficient", lambda n, _: setattr(n, "value", ast.BinOp(ast.Constant(2), ast.Mult(), n.value))
        yield (
            "coefficient",
            lambda n, _: setattr(n, "value", ast.BinOp(n.value, ast.Mult(), copy.deepcopy(n.value))),
        )
    if isinstance(node, ast.Call):
        if any(k.arg == "alpha" for k in node.keywords):
            yield "coefficient", lambda n, _: n.keywords.clear()
        if isinstance(node.func, ast.Attribute):
            for other in METHODS.get(node.func.attr, ()):
                yield "operation", lambda n, _, other=other: setattr(n.func, "attr", other)
            if node.func.attr in METHODS or node.func.attr == "detach":
                yield "operation left out", lambda n, root: _replace(root, n, n.func.value)
        if node.args and isinstance(node.args[0], ast.Name):
            for other in ("d", "buf", "p"):
                if other != node.args[0].id:
                    yield (
                        "operand",
                        lambda n, _, other=other: n.args.__setitem__(0, ast.Name(other, ast.Load())),
                    )
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in ("d", "buf", "p"):
        for other in ("d", "buf", "p", "p.grad"):
            if other != node.id:
                new = ast.parse(other, mode="eval").body
                yield "operand", lambda n, root, new=new: _replace(root, n, copy.deepcopy(new))
    if isinstance(node, ast.Compare):
        swap = {ast.NotEq: ast.Eq, ast.Eq: ast.NotEq, ast.Is: ast.IsNot, ast.IsNot: ast.Is}
        other = swap[type(node.ops[0])]
        yield "condition", lambda n, _: n.ops.__setitem__(0, other())
    if isinstance(node, (ast.If, ast.IfExp)):
        for constant in (True, False):
            yield "condition", lambda n, _, constant=constant: setattr(n, "test", ast.Constant(constant))
        if isinstance(node, ast.IfExp):
            yield (
                "condition",
                lambda n, _: (lambda a, b: (setattr(n, "body", b), setattr(n, "orelse", a)))(
                    n.body, n.orelse
                ),
            )
    for field in ("body", "orelse"):
        lines = getattr(node, field, None)
        if isinstance(lines, list):
            for i in range(len(lines)):
                yield "line left out", lambda n, _, i=i, f=field: getattr(n, f).__setitem__(i, ast.Pass())
            for i in range(len(lines) - 1):
                yield "order", lambda n, _, i=i, f=field: _swap(getattr(n, f), i)


def _swap(lines: list[ast.stmt], i: int) -> None:
    lines[i], lines[i + 1] = lines[i + 1], lines[i]


def _replace(root: ast.AST, old: ast.AST, new: ast.AST) -> None:
    for parent in ast.walk(root):
        for field, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, field, new)
                return
            if isinstance(value, list) and any(v is old for v in value):
                value[[v is old for v in value].index(True)] = new
                return


def _difference(before: str, after: str) -> tuple[str, str]:
    """The first line that differs, in both."""
    ours, theirs = before.splitlines(), after.splitlines()
    i = next(i for i, (a, b) in enumerate(zip([*ours, ""], [*theirs, ""], strict=False)) if a != b)
    last = [*theirs, ""][i].strip()
    return ours[i].strip(), last


if __name__ == "__main__":
    every = mutants()
    for mutant in every:
        print(f"{mutant.kind:<20} {mutant.name}")
    print(len(every), "mutants")
