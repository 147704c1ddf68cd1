"""The formula of a rule, read off the very lines that compute: an equation for each named quantity.

A step is run on symbols, and each value it names is replaced by its letter before it goes on; so every
right-hand side speaks of the quantities named before it.
Letters with ₜ are of this step, with ₜ₋₁ of the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import sympy

from surefoot.errors import InputError
from surefoot.rules.hyper import H, Hyper, each_beta
from surefoot.rules.numbers import zero
from surefoot.rules.printing import Style, latex_style, text_style

if TYPE_CHECKING:
    from surefoot.rules.rule import Rule

__all__ = ["Equation", "before", "formulas", "known", "latex", "now", "symbol", "text"]

Write = Callable[[str], str]


class Equation(NamedTuple):
    """One named quantity of a step: `left = right`, between letters; `name` as in `Rule.lines`."""

    name: str
    left: Any
    right: Any

    def text(self, write: Write | None = None) -> str:
        """The right-hand side as plain text; `write` turns a letter (`bₜ₋₁`) into what is put in (`18.0`)."""
        return text_style(write).print(self.right)

    def latex(self, write: Write | None = None) -> str:
        """The right-hand side as LaTeX; `write` as in `text`."""
        return latex_style(write).print(self.right)


def formulas(rule: Rule, h: H | None = None, s: Mapping[str, Any] | None = None) -> list[Equation]:
    """The lines of one step as equations: same names, same order as `rule.lines`.

    Args:
        rule: any rule.
        h: its options and zeros choose the branches, other numbers become letters; default: options only.
        s: the state; a slot that is None is at its first gradient; default: a later step.

    Returns:
        One Equation per line.

    Example:
        >>> from surefoot.rules import get
        >>> for e in formulas(get("torch")):
        ...     print(e.left, "=", e.text())
        dₜ = gₜ + λ wₜ₋₁
        bₜ = μ bₜ₋₁ + (1 − τ) dₜ
        wₜ = wₜ₋₁ − γ bₜ
    """
    fixed = {}
    if h is not None:
        fixed = {x.name: h[x.name] for x in rule.hypers if not x.is_number}
        fixed |= {x.name: 0 for x in rule.hypers if x.is_number and x.name != "lr" and zero(h[x.name])}
    none = {x.name for x in rule.slots if s is not None and s[x.name] is None}
    return _equations(rule, _letters(rule.hypers, fixed), none)


def known(rule: Rule, h: H, w: Any, g: Any, s: Mapping[str, Any]) -> dict[str, Any]:
    """What each letter of `formulas(rule, h, s)` stands for in this step, so that numbers can be put in.

    Example:
        >>> from surefoot.rules import get
        >>> torch = get("torch")
        >>> h, s = torch.hyper(lr=0.5, momentum=0.25), {"momentum_buffer": 8.0}
        >>> b, _ = formulas(torch, h, s)
        >>> b.text(lambda letter: str(known(torch, h, 1.0, 3.0, s)[letter]))
        '0.25·8.0 + 3.0'
    """
    values = {x.letter: h[x.name] for x in rule.hypers}
    values |= {"wₜ₋₁": w, "gₜ": g} | {f"{x.letter}ₜ₋₁": s[x.name] for x in rule.slots}
    values |= {now(line.letter).name: line.value for line in rule.lines(h, w, g, s)}
    return values


def text(rule: Rule, **values: Any) -> str:
    """The formula as plain text, a line per named quantity.

    Args:
        rule: any rule.
        values: options to choose and numbers to put in; what is not given stays a letter.

    Returns:
        The lines.

    Raises:
        InputError: an unknown hyperparameter, a value outside its domain, or a number that is not finite.

    Example:
        >>> from surefoot.rules import get
        >>> print(text(get("torch"), weight_decay=0, nesterov=True))
        gₜ = ∇f(wₜ₋₁)
        b₁ = g₁
        bₜ = μ bₜ₋₁ + (1 − τ) gₜ
        uₜ = gₜ + μ bₜ
        wₜ = wₜ₋₁ − γ uₜ
    """
    return "\n".join(f"{a} = {b}" for a, b in _rows(rule, values, text_style(), "∇f({})"))


def latex(rule: Rule, **values: Any) -> str:
    r"""The formula as LaTeX: an `aligned` environment with a line per named quantity.

    Args:
        rule: any rule.
        values: options to choose and numbers to put in; what is not given stays a letter.

    Returns:
        The LaTeX, to stand in mathematics.

    Raises:
        InputError: an unknown hyperparameter, a value outside its domain, or a number that is not finite.

    Example:
        >>> from surefoot.rules import get
        >>> print(latex(get("optax"), weight_decay=0))
        \begin{aligned}
        g_t &= \nabla f(w_{t-1}) \\
        b_0 &= 0 \\
        b_t &= \mu b_{t-1} + g_t \\
        w_t &= w_{t-1} - \gamma b_t
        \end{aligned}
    """
    rows = _rows(rule, values, latex_style(), r"\nabla f({})")
    return "\\begin{aligned}\n" + " \\\\\n".join(f"{a} &= {b}" for a, b in rows) + "\n\\end{aligned}"


def lookahead(rule: Rule) -> Equation | None:
    """Where the gradient is taken, as an equation; None where that is w itself."""
    if rule.look is None:
        return None
    s = {x.name: before(x.letter) for x in rule.slots}
    return Equation("point", now("p"), rule.look(_letters(rule.hypers, {}), before("w"), s))


def symbol(letter: str) -> Any:
    """A letter as a symbol."""
    return sympy.Symbol(letter, real=True, positive=True if letter == "t" else None)  # 0ᵗ is 0


def now(letter: str) -> Any:
    """The quantity of this step."""
    return symbol(letter if letter in ("t", "ρ∞") else letter + "ₜ")


def before(letter: str) -> Any:
    """The quantity of the step before; the step count is one less."""
    return symbol("t") - 1 if letter == "t" else symbol(letter + "ₜ₋₁")


def _letters(hypers: tuple[Hyper, ...], fixed: Mapping[str, Any]) -> H:
    """Hyperparameters as letters, but for options and what is fixed."""
    return H(hypers, {x.name: symbol(x.letter) for x in hypers if x.is_number} | dict(fixed))


def _put_in(hypers: tuple[Hyper, ...], values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as they are written, so that 0.1 is 1/10; checked here, while they are no symbols."""
    fixed = each_beta(hypers, values)
    for x in hypers:
        if x.name in fixed:
            x.check(fixed[x.name])
            if x.is_number:
                try:
                    fixed[x.name] = sympy.sympify(Fraction(str(fixed[x.name])))
                except ValueError:
                    raise InputError(
                        f"{x.name} is {fixed[x.name]!r}; a formula requires finite numbers, such as 0.1."
                    ) from None
    return fixed


def _equations(rule: Rule, h: H, none: set[str]) -> list[Equation]:
    equations: list[Equation] = []

    def note(name: str, value: Any) -> Any:
        left = now(rule.letter(name))
        equations.append(Equation(name, left, sympy.sympify(value)))
        return left

    s = {x.name: None if x.name in none else before(x.letter) for x in rule.slots}
    rule.run(h, before("w"), now("g"), s, note)
    return equations


def _rows(rule: Rule, values: Mapping[str, Any], style: Style, gradient: str) -> Iterator[tuple[str, str]]:
    """The gradient, then each line, after where its slot starts and how it is at the first gradient."""
    h = _letters(rule.hypers, _put_in(rule.hypers, values))
    start = rule.init(h, before("w"))
    at_first = replace(style, name=lambda x: style.name(x.replace("ₜ₋₁", "₀").replace("ₜ", "₁")))
    first = {
        e.name: e.right for e in _equations(rule, h, {name for name, value in start.items() if value is None})
    }
    point = rule.point(h, before("w"), {x.name: before(x.letter) for x in rule.slots})

    yield style.print(now("g")), gradient.format(style.print(point))
    for e in _equations(rule, h, set()):
        if e.name == "step":  # t counts the gradients, as the letter says
            continue
        if start.get(e.name) is not None:
            yield style.name(rule.letter(e.name) + "₀"), style.print(sympy.sympify(start[e.name]))
        if first[e.name] != e.right:
            yield at_first.print(e.left), at_first.print(first[e.name])
        yield style.print(e.left), style.print(e.right)
