"""`Rule`: one update rule, written once as a pure formula, and the ways to run it.

A formula is a Python function of `(w, g, *slots, *, hyperparameters)`. It yields each quantity it names and
returns the new w, so the same lines run on Fraction, float, mpmath, torch tensors and symbols::

    def torch(w, g, b=None, *, lr, momentum, dampening):
        b = yield "b", g if b is None else momentum * b + (1 - dampening) * g
        return w - lr * b

What a caller uses (elementwise and pure; `s` is a dict slot name -> value, `None` before the first gradient):

    h = rule.hyper(lr=…, …)       checked values, defaults filled in; h.lr, h.replace(lr=…), h.map(Fraction)
    s = rule.init(h, w)           the state before the first gradient
    w, s = rule.step(h, w, g, s)  one step
    rule.lines(h, w, g, s)        the same step as a list of Line(name, letter, value); the last is "w"
    rule.formulas(h, s)           the same lines, in the same order, as sympy equations (see formula.py)
    rule.point(h, w, s)           where the gradient is taken: w, but for Sutskever's lookahead
    rule.variant(nesterov=True)   the same rule with other defaults
    rule.text(), rule.latex()     the formula printed

A parameter without a gradient is not stepped. In a schedule use `h.replace(lr=…)`, which keeps `lr_max`.
Defaults are floats or ints: put them through `h.map(number)` before exact work.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from surefoot.errors import InputError, unknown
from surefoot.rules.hyper import FRAME, H, Hyper, hyper_for
from surefoot.rules.numbers import zero

if TYPE_CHECKING:
    from surefoot.rules.formula import Equation

__all__ = ["H", "Hyper", "Line", "Rule", "Slot", "rule"]

State = dict[str, Any]
# yields (name, value) for each quantity it names, is sent that value back, and returns the new w
Formula = Generator[tuple[str, Any], Any, Any]


class Slot(NamedTuple):
    """A value a rule keeps from step to step, per element; `start` is its value before the first gradient."""

    name: str  # as in optimizer.state: "momentum_buffer"
    letter: str  # as in the formula: "b"
    start: Any = 0  # a number; None for "not there yet"; or a hyperparameter's name


class Line(NamedTuple):
    """One named quantity of a step: a slot has the slot's name, others the letter's."""

    name: str
    letter: str
    value: Any


@dataclass(frozen=True)
class Rule:
    """An update rule: what it is called, what it takes, what it keeps, and its formula.

    Args:
        name: its one name here.
        title: the name a person would use.
        formula: `(h, w, g, s) -> Formula`; made by `@rule` from a plain function.
        hypers: its hyperparameters, in the order of the signature.
        slots: what it keeps between steps.
        aliases: other names `get` knows it by.
        source: the paper and equation, or the library whose convention it is.
        exact: it has no roots, so it runs on Fraction.
        mistake: what is wrong with it, for a rule that is a known mistake.
        look: where the gradient is taken, as a function `(h, w, s)`; None for w itself.

    Example:
        >>> from fractions import Fraction
        >>> from surefoot.rules import get
        >>> torch = get("torch")
        >>> h = torch.hyper(lr=Fraction(1, 10), momentum=Fraction(9, 10))
        >>> w, s = torch.step(h, Fraction(1), Fraction(2), torch.init(h, Fraction(1)))
        >>> w, s
        (Fraction(4, 5), {'momentum_buffer': Fraction(2, 1)})
    """

    name: str
    title: str
    formula: Callable[[H, Any, Any, State], Formula] = field(repr=False)
    hypers: tuple[Hyper, ...]
    slots: tuple[Slot, ...] = ()
    aliases: tuple[str, ...] = ()
    source: str = ""
    exact: bool = True
    mistake: str | None = None
    look: Callable[[H, Any, State], Any] | None = field(default=None, repr=False)

    def hyper(self, **values: Any) -> H:
        """Checked hyperparameters, defaults filled in; InputError for an unknown name or a value not allowed."""
        return H(self.hypers, values)

    def init(self, h: H, w: Any) -> State:
        """The state before the first gradient."""
        return {x.name: h[x.start] if isinstance(x.start, str) else x.start for x in self.slots}

    def point(self, h: H, w: Any, s: Mapping[str, Any]) -> Any:
        """Where the gradient is taken."""
        return w if self.look is None else self.look(h, w, dict(s))

    def step(self, h: H, w: Any, g: Any, s: Mapping[str, Any]) -> tuple[Any, State]:
        """One step: the new w and the new state; nothing given is changed."""
        s = dict(s)
        run = self._framed(h, w, g, s)
        value = None
        try:
            while True:
                name, value = run.send(value)
                if name in s:
                    s[name] = value
        except StopIteration as done:
            return done.value, s

    def lines(self, h: H, w: Any, g: Any, s: Mapping[str, Any]) -> list[Line]:
        """The same step with every named quantity, in order; the last is the new w."""
        run = self._framed(h, w, g, dict(s))
        letters = {x.name: x.letter for x in self.slots}
        lines: list[Line] = []
        value = None
        try:
            while True:
                name, value = run.send(value)
                lines.append(Line(name, letters.get(name) or LETTERS.get(name, name), value))
        except StopIteration:
            return lines

    def variant(
        self,
        name: str | None = None,
        *,
        title: str = "",
        source: str = "",
        aliases: tuple[str, ...] = (),
        **defaults: Any,
    ) -> Rule:
        """The same rule with other defaults, called `torch(nesterov=True)` unless a name is given.

        Example:
            >>> from surefoot.rules import get
            >>> get("torch").variant(decay="decoupled").name
            'torch(decay=decoupled)'
        """
        known = {x.name: x for x in self.hypers}
        for key, value in defaults.items():
            if key not in known:
                raise unknown("hyperparameter", key, known)
            known[key].check(value)
            known[key] = replace(known[key], default=value)
        if name is None:
            settings = ", ".join(f"{k}={v}" for k, v in defaults.items())
            name = f"{self.name}({settings})" if settings else self.name
        return replace(
            self,
            name=name,
            title=title or self.title,
            source=source or self.source,
            aliases=aliases,
            hypers=tuple(known.values()),
        )

    def formulas(self, h: H | None = None, s: Mapping[str, Any] | None = None) -> list[Equation]:
        """The lines of a step as equations between letters; see `surefoot.rules.formula.formulas`."""
        from surefoot.rules import formula

        return formula.formulas(self, h, s)

    def text(self, **values: Any) -> str:
        """The formula as plain text, a line per named quantity; options and values given are put in."""
        from surefoot.rules import formula

        return formula.text(self, **values)

    def latex(self, **values: Any) -> str:
        """The formula as LaTeX, an aligned line per named quantity; options and values given are put in."""
        from surefoot.rules import formula

        return formula.latex(self, **values)

    def _framed(self, h: H, w: Any, g: Any, s: State) -> Formula:
        """The formula within what every rule has in common: maximize, and weight decay in its six places."""
        decay = h.get("decay")
        if decay is None:  # the rule has its own
            return (yield "w", (yield from self.formula(h, w, g, s)))
        if h.maximize:
            g = yield "g", -g
        if zero(h.weight_decay):
            return (yield "w", (yield from self.formula(h, w, g, s)))
        old = w
        if decay == "l2":
            g = yield "d", g + h.weight_decay * self.point(h, w, s)
        elif decay == "decoupled":
            w = yield "w_decayed", w - h.lr * h.weight_decay * w
        elif decay == "no_lr":
            w = yield "w_decayed", w - h.weight_decay * w
        elif decay == "corrected":
            w = yield "w_decayed", w - h.lr * h.lr / h.lr_max * h.weight_decay * w
        w = yield from self.formula(h, w, g, s)
        if decay == "after_momentum":
            w = yield "w_stepped", w
            w = w - h.lr * h.weight_decay * old
        elif decay == "after_step":
            w = yield "w_stepped", w
            w = w - h.lr * h.weight_decay * w
        return (yield "w", w)


# letters of quantities that are no slots
LETTERS = {
    "w_decayed": "w̃",
    "w_stepped": "ŵ",
    "m_hat": "m̂",
    "v_hat": "v̂",
    "mu": "μ",
    "mu_next": "μ′",
    "rho": "ρ",
    "rho_inf": "ρ∞",
}


@overload
def rule(function: Callable[..., Any], /) -> Rule: ...
@overload
def rule(
    *,
    name: str | None = None,
    title: str | None = None,
    slots: Mapping[str, str] | None = None,
    aliases: tuple[str, ...] = (),
    source: str = "",
    exact: bool = True,
    mistake: str | None = None,
    look: Callable[[H, Any, State], Any] | None = None,
    **defaults: Any,
) -> Callable[[Callable[..., Any]], Rule]: ...
def rule(function: Callable[..., Any] | None = None, /, **about: Any) -> Any:
    """Make a Rule of a plain function `(w, g, *slots, *, hyperparameters)`.

    The function either returns the new w, followed by the new value of each slot, or is a generator that yields
    `("b", value)` for each quantity it names and returns the new w (then explanations show each of them). The
    default of a slot is its value before the first gradient, None for "not there yet". `weight_decay`, `decay` and
    `maximize` are added, unless the function takes one of them itself.

    Args:
        function: the formula; or leave it out and give any of the following, all of them keywords.
        name: default: the function's name.
        title: default: the first line of its docstring.
        slots: letter in the signature -> name of the slot in `optimizer.state`.
        aliases, source, exact, mistake, look: as in `Rule`.
        about: hyperparameters given another default.

    Returns:
        The Rule; anything in surefoot that takes a rule's name takes it too.

    Raises:
        InputError: the signature is not of that form.

    Example:
        >>> from surefoot.rules import rule
        >>> @rule
        ... def mine(w, g, b=0, *, lr=0.5, momentum=0.5):
        ...     b = momentum * b + g
        ...     return w - lr * b, b
        >>> mine.step(mine.hyper(), 3.0, 2.0, {"b": 0})
        (2.0, {'b': 2.0})
    """
    return _make(function) if function is not None else lambda f: _make(f, **about)


def _make(
    function: Callable[..., Any],
    *,
    name: str | None = None,
    title: str | None = None,
    slots: Mapping[str, str] | None = None,
    **about: Any,
) -> Rule:
    name = name or function.__name__
    signature = inspect.signature(function)
    parameters = signature.parameters.values()
    placed = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    keywords = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
    if len(placed) < 2 or len(placed) + len(keywords) != len(parameters):
        raise InputError(
            f"The rule {name!r} takes {signature}; it must take (w, g, slots…, *, hyperparameters…)."
        )
    names = {p.name: (slots or {}).get(p.name, p.name) for p in placed[2:]}
    kept = tuple(Slot(names[p.name], p.name, 0 if p.default is p.empty else p.default) for p in placed[2:])
    hypers = tuple(
        hyper_for(p.name) if p.default is p.empty else hyper_for(p.name, p.default) for p in keywords
    )
    if not {x.name for x in FRAME} & {x.name for x in hypers}:
        hypers += FRAME
    title = title or (inspect.getdoc(function) or name).partition("\n")[0].rstrip(".")
    fields = {k: about.pop(k) for k in set(about) & {x.name for x in dataclasses.fields(Rule)}}
    formula = _adapt(function, names, [x.name for x in keywords])
    made = Rule(name, title, formula, hypers, kept, **fields)
    return made.variant(name, aliases=made.aliases, **about) if about else made


def _adapt(
    function: Callable[..., Any], names: dict[str, str], keywords: list[str]
) -> Callable[..., Formula]:
    """The function as a formula of (h, w, g, s), the letters of its slots turned into their names."""

    def arguments(h: H, s: State) -> tuple[list[Any], dict[str, Any]]:
        return [s[x] for x in names.values()], {k: h[k] for k in keywords}

    def generated(h: H, w: Any, g: Any, s: State) -> Formula:
        old, options = arguments(h, s)
        run = function(w, g, *old, **options)
        value = None
        try:
            while True:
                letter, value = run.send(value)
                value = yield names.get(letter, letter), value
        except StopIteration as done:
            return done.value

    def returned(h: H, w: Any, g: Any, s: State) -> Formula:
        old, options = arguments(h, s)
        new = function(w, g, *old, **options)
        if not names:
            return new
        for name, value in zip(names.values(), new[1:], strict=True):
            yield name, value
        return new[0]

    return generated if inspect.isgeneratorfunction(function) else returned
