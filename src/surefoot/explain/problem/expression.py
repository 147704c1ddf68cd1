"""An expression as a tree: read by our own walk over Python's syntax, never by eval, with all sizes known."""

from __future__ import annotations

import ast
import keyword
import re
import warnings
from collections.abc import Mapping
from fractions import Fraction
from typing import TypeAlias

from surefoot.errors import InputError, nearest
from surefoot.explain.problem.node import Node, degree, exponent, names
from surefoot.trace.values import Shape

__all__ = ["FUNCTIONS", "read"]

# those after norm are of each element
FUNCTIONS = (
    "mean", "sum", "dot", "norm", "exp", "log", "ln", "sin", "cos", "sqrt", "abs", "tanh", "sigmoid", "relu",
    "max",
)  # fmt: skip
_TWO = ("dot", "max")  # arguments
_BINARY = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**", ast.MatMult: "@"}

# What no problem worked out by hand comes near, and what would take exact arithmetic minutes
LENGTH = 10_000  # characters
DEPTH = 100  # nested operations
DEGREE = 1_000  # (x**100)**10 has degree 1000
EXPONENT = 400  # of a decimal literal: 1e400

Key: TypeAlias = tuple[int, ...]


def read(text: str, shapes: Mapping[str, Shape]) -> Node:
    """Read an expression over named tensors.

    Args:
        text: Python's notation: names, numbers, `+ - * / **`, `@` (matrix product), `A.T`, `x[0]`, `[1, 2]`
            and the functions of `FUNCTIONS`. A decimal is the exact decimal: 0.1 is 1/10.
        shapes: name → shape.

    Returns:
        The tree, with the shape of every part.

    Raises:
        InputError: it does not parse, has an unknown name or sizes that do not fit; a caret marks the place.

    Example:
        >>> read("mean(3*a**3 - b**2)", {"a": (2,), "b": (2,)}).args[0].shape
        (2,)
    """
    for name in shapes:
        if not name.isidentifier() or keyword.iskeyword(name):
            raise InputError(f"{name!r} cannot name a variable; use a plain name such as 'w'.")
        if name in FUNCTIONS:
            raise InputError(f"{name!r} cannot name a variable, since it names a function; use another name.")
    text = " ".join(text.split())
    if not text:
        raise InputError("f is empty; give an expression such as 'mean(3*a**3 - b**2)'.")
    if len(text) > LENGTH:
        raise InputError(f"f has {len(text)} characters; at most {LENGTH} are allowed.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "3a" warns before it fails
            tree = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        place = min((error.offset or 1) - 1, len(text))
        if text[-1] in "+-*/@([,":
            end = _caret(text, len(text), len(text) + 1)
            raise InputError(f"f does not parse: something is missing after {text[-1]!r}.{end}") from None
        product = re.match(r"\d+(?=[A-Za-z(])", text[place:])
        hint = f"; for a product write {product[0]}*…" if product else ""
        raise InputError(f"f does not parse: {error.msg}{hint}.{_caret(text, place, place + 1)}") from None
    except (RecursionError, MemoryError, ValueError):
        raise InputError(
            f"f does not parse: it is nested too deeply; at most {DEPTH} levels are allowed."
        ) from None
    return _Reader(text, shapes).node(tree, 0)


def _caret(text: str, start: int, stop: int) -> str:
    """Return the part of the text around a place, with carets under the place."""
    left, right = max(0, start - 50), min(len(text), max(stop, start + 50))
    before, after = "…" * (left > 0), "…" * (right < len(text))
    carets = "^" * max(1, min(stop, right) - start)
    return f"\n    {before}{text[left:right]}{after}\n    {' ' * (start - left + len(before))}{carets}"


class _Reader:
    """Turns Python's syntax tree into Nodes; it holds the text, to mark a place in it."""

    def __init__(self, text: str, shapes: Mapping[str, Shape]) -> None:
        self.text = text
        self.bytes = text.encode()
        self.shapes = shapes

    def span(self, tree: ast.expr) -> tuple[int, int]:
        """Where a part stands in the text; Python counts in bytes."""
        start, stop = tree.col_offset, tree.end_col_offset or 0
        return len(self.bytes[:start].decode()), len(self.bytes[:stop].decode())

    def error(self, tree: ast.expr, sentence: str) -> InputError:
        return InputError(f"{sentence}{_caret(self.text, *self.span(tree))}")

    def node(self, tree: ast.expr, depth: int) -> Node:
        """Read one part; depth counts the operations around it."""
        if depth > DEPTH:
            raise InputError(f"f is nested too deeply; at most {DEPTH} levels are allowed.")
        start, stop = self.span(tree)
        text = self.text[start:stop]
        if isinstance(tree, ast.Constant):
            return Node("number", text=text, value=self.number(tree, text))
        if isinstance(tree, ast.Name):
            return Node("name", (), self.shape_of(tree), text, tree.id)
        if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, (ast.USub, ast.UAdd)):
            inner = self.node(tree.operand, depth + 1)
            return Node("neg", (inner,), inner.shape, text) if isinstance(tree.op, ast.USub) else inner
        if isinstance(tree, ast.BinOp) and type(tree.op) in _BINARY:
            args = self.node(tree.left, depth + 1), self.node(tree.right, depth + 1)
            return self.binary(tree, _BINARY[type(tree.op)], args, text)
        if isinstance(tree, ast.Call):
            return self.call(tree, text, depth)
        if isinstance(tree, (ast.List, ast.Tuple)):
            return self.array(tree, text, depth)
        if isinstance(tree, ast.Subscript):
            return self.item(tree, text, depth)
        if isinstance(tree, ast.Attribute) and tree.attr == "T":
            inner = self.node(tree.value, depth + 1)
            if len(inner.shape) > 2:
                raise self.error(
                    tree, f".T requires a matrix or a vector, but {inner.text!r} has shape {inner.shape}."
                )
            return Node("T", (inner,), inner.shape[::-1], text)
        if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.BitXor):
            raise self.error(tree, "^ is not a power here; write **.")
        raise self.error(
            tree,
            f"{text!r} is not allowed in f, which may have names, numbers, + - * / ** @ and functions.",
        )

    def number(self, tree: ast.Constant, text: str) -> Fraction:
        if isinstance(tree.value, bool) or not isinstance(tree.value, (int, float)):
            raise self.error(tree, f"{text!r} is not a real number.")
        if isinstance(tree.value, int):
            return Fraction(tree.value)
        exponent = text.lower().partition("e")[2].replace("_", "")
        if exponent and abs(int(exponent)) > EXPONENT:
            raise self.error(tree, f"{text!r} is out of range; exponents of ten go up to {EXPONENT}.")
        return Fraction(text.replace("_", ""))

    def shape_of(self, tree: ast.Name) -> Shape:
        if tree.id in self.shapes:
            return self.shapes[tree.id]
        if tree.id in FUNCTIONS:
            raise self.error(tree, f"{tree.id} is a function; write {tree.id}(…).")
        near = nearest(tree.id, self.shapes)
        hint = f"{near}? Given" if near else "; given"
        raise self.error(tree, f"f has the unknown name {tree.id!r}{hint}: {', '.join(self.shapes)}.")

    def binary(self, tree: ast.expr, op: str, args: tuple[Node, Node], text: str) -> Node:
        left, right = (arg.shape for arg in args)
        shape = self.product(tree, left, right) if op == "@" else self.common(tree, op, left, right)
        node = Node(op, args, shape, text)
        if op == "**" and args[0].op == "norm" and exponent(args[1]) == 2:  # exact, and smooth at 0
            return Node("norm2", args[0].args, (), text)
        if op == "**" and args[1].shape:
            raise self.error(tree, f"An exponent must be a number, but it has shape {right}.")
        if op == "**" and exponent(args[1]) is None and not names(args[1]):
            raise self.error(
                tree, "A constant exponent may only have numbers and + - * /, and must not be huge."
            )
        if degree(node) > DEGREE:
            raise self.error(tree, f"This power is too high to compute; the highest degree is {DEGREE}.")
        return node

    def common(self, tree: ast.expr, what: str, left: Shape, right: Shape) -> Shape:
        """Return the shape of what is done element by element."""
        if left != right and () not in (left, right):
            raise self.error(tree, f"{what} requires equal shapes or a number, but got {left} and {right}.")
        return left or right

    def product(self, tree: ast.expr, left: Shape, right: Shape) -> Shape:
        """Return the shape of a matrix product, as NumPy has it for vectors and matrices."""
        if not (1 <= len(left) <= 2 and 1 <= len(right) <= 2) or left[-1] != right[0]:
            raise self.error(tree, f"@ requires (…, n) @ (n, …), but got {left} and {right}.")
        return left[:-1] + right[1:]

    def call(self, tree: ast.Call, text: str, depth: int) -> Node:
        name = tree.func.id if isinstance(tree.func, ast.Name) else self.text[slice(*self.span(tree.func))]
        if name not in FUNCTIONS:
            near = nearest(name, FUNCTIONS)
            hint = f"{near}?" if near else "."
            if name in self.shapes:
                hint = f", but a variable; for a product write {name}*(…)."
            raise self.error(tree.func, f"{name!r} is not a function{hint} Known: {', '.join(FUNCTIONS)}.")
        count = 2 if name in _TWO else 1
        if len(tree.args) != count or tree.keywords:
            raise self.error(tree, f"{name} takes {count} argument{'s' * (count > 1)}.")
        args = tuple(self.node(arg, depth + 1) for arg in tree.args)
        shape = args[0].shape
        if name == "dot":
            if len(shape) != 1 or shape != args[1].shape:
                raise self.error(
                    tree, f"dot requires two vectors of equal size, but got {shape} and {args[1].shape}."
                )
            return Node("@", args, (), text)
        if name in ("mean", "sum", "norm"):
            if name == "mean" and 0 in shape:
                raise self.error(tree, "The mean of no elements is undefined.")
            shape = ()
        if name == "max":
            shape = self.common(tree, name, shape, args[1].shape)
        return Node("log" if name == "ln" else name, args, shape, text)

    def array(self, tree: ast.List | ast.Tuple, text: str, depth: int) -> Node:
        items = tuple(self.node(item, depth + 1) for item in tree.elts)
        shapes = {item.shape for item in items}
        if len(shapes) > 1:
            several = " and ".join(map(str, sorted(shapes)))
            raise self.error(tree, f"The elements of a list must have the same shape, but got {several}.")
        return Node("array", items, (len(items), *(shapes.pop() if shapes else ())), text)

    def item(self, tree: ast.Subscript, text: str, depth: int) -> Node:
        """Read x[1] or x[0, 1]: one element, given by numbers that are written out."""
        inner = self.node(tree.value, depth + 1)
        try:
            index = ast.literal_eval(tree.slice)
        except (ValueError, SyntaxError, TypeError):
            index = None
        key: Key = index if isinstance(index, tuple) else (index,)
        if not all(type(i) is int for i in key) or len(key) != len(inner.shape):
            raise self.error(tree, f"{inner.text!r} {_how_to_index(inner.shape)}.")
        if not all(-n <= i < n for i, n in zip(key, inner.shape, strict=True)):
            raise self.error(tree, f"There is no element {list(key)} in shape {inner.shape}; the first is 0.")
        place = 0
        for i, n in zip(key, inner.shape, strict=True):
            place = place * n + i % n
        return Node("item", (inner,), (), text, place)


def _how_to_index(shape: Shape) -> str:
    if not shape:
        return "is a single number, without elements"
    numbers = "one whole number" if len(shape) == 1 else f"{len(shape)} whole numbers"
    return f"has shape {shape}; an element of it takes {numbers} in [ ]"
