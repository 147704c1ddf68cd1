"""What the operations of an expression mean on sympy's symbols; at a kink the slopes are torch's."""

from __future__ import annotations

import functools
from typing import Any

from surefoot.explain.problem.evaluate import Reading
from surefoot.explain.problem.readings import OPERATORS

__all__ = ["norm_of", "symbols"]

_SYMPY = ("exp", "log", "sin", "cos", "sqrt", "tanh")


@functools.cache
def _functions() -> dict[str, Any]:
    import sympy

    class Written(sympy.Function):  # type: ignore[misc]
        """A function that is written as it is typed, upright in LaTeX."""

        written = ""

        def _latex(self, printer: Any, exp: str | None = None) -> str:
            inside = ", ".join(map(printer._print, self.args))
            power = "" if exp is None else f"^{{{exp}}}"
            return rf"\operatorname{{{self.written}}}{power}\left({inside}\right)"

        def _sympystr(self, printer: Any) -> str:
            return f"{self.written}({', '.join(map(printer._print, self.args))})"

    class Fenced(Written):
        """A function that LaTeX writes between two bars."""

        bar = ""

        def _latex(self, printer: Any, exp: str | None = None) -> str:
            inside = ", ".join(map(printer._print, self.args))
            text = rf"\left{self.bar} {inside} \right{self.bar}"
            return text if exp is None else f"{text}^{{{exp}}}"

    class Absolute(Fenced):
        """abs with the derivative sign: sympy's own asks whether log(x) is real, and gets lost."""

        written, bar = "abs", r"\vert"

        def fdiff(self, argindex: int = 1) -> Any:
            return sympy.sign(self.args[0])

    class Norm(Fenced):
        """The root of the sum of squares; from_sympy reads 1/norm as 0 where the norm is 0."""

        written, bar = "norm", r"\Vert"

        def fdiff(self, argindex: int = 1) -> Any:
            return self.args[argindex - 1] / self

    class Step(Written):
        """1 where its argument is positive, else 0."""

        written = "step"

    class Relu(Written):
        written = "relu"

        def fdiff(self, argindex: int = 1) -> Any:
            return Step(self.args[0])

    class Sigmoid(Written):
        written = "sigmoid"

        def fdiff(self, argindex: int = 1) -> Any:
            return self * (1 - self)

    class Maximum(Written):
        """The larger of two; of equal ones each has half the slope."""

        written = "max"

        def fdiff(self, argindex: int = 1) -> Any:
            x, y = self.args if argindex == 1 else self.args[::-1]
            return (1 + sympy.sign(x - y)) / 2

    return {"abs": Absolute, "norm": Norm, "relu": Relu, "sigmoid": Sigmoid, "max": Maximum}


def symbols() -> Reading:
    """Return the reading on sympy's symbols."""
    import sympy

    return {
        **OPERATORS,
        **{name: getattr(sympy, name) for name in _SYMPY},
        **_functions(),
        "number": lambda q: sympy.Rational(q.numerator, q.denominator),
    }


def norm_of(row: list[Any]) -> Any:
    """The norm of all elements of a variable, as sympy has it in a derivative."""
    return _functions()["norm"](*row)
