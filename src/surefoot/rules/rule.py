"""`Rule`: one update rule, written once as a pure formula, and the ways to run it.

A formula is a Python function of `(w, g, *slots, *, hyperparameters)`. It yields each quantity it names and
returns the new w, so the same lines run on Fraction, float, mpmath, torch tensors and symbols::

    def torch(w, g, b=None, *, lr, momentum, dampening):
        b = yield "b", g if b is None else momentum * b + (1 - dampening) * g
        return w - lr * b

All of it is elementwise and pure. `h` is what `rule.hyper(…)` returns; `s` is a dict slot name -> value, with
None before the first gradient where the slot starts so. A parameter without a gradient is not stepped. In a
schedule use `h.replace(lr=…)`, which keeps `lr_max`. Defaults are floats or ints: put them through
`h.map(number)` before exact work. `meet` makes fractions, as `convert` returns them, what tensors take.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from surefoot.errors import unknown
from surefoot.rules.frame import in_frame
from surefoot.rules.hyper import H, Hyper
from surefoot.rules.hypers import FRAME
from surefoot.rules.names import LETTERS
from surefoot.rules.numbers import meet

if TYPE_CHECKING:
    from surefoot.rules.formula import Equation

__all__ = ["H", "Hyper", "Line", "Rule", "Slot"]

State = dict[str, Any]
# yields (name, value) for each quantity it names, is sent that value back, and returns the new w
Formula = Generator[tuple[str, Any], Any, Any]


class Slot(NamedTuple):
    """A value a rule keeps from step to step, per element; `start` is its value before the first gradient."""

    name: str  # as in optimizer.state: "momentum_buffer"
    letter: str  # as in the formula: "b"
    start: Any = 0  # a number; None for "not there yet"; or a hyperparameter's name
    meaning: str = ""  # where its name does not tell


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
    formula: Callable[[H, Any, Any, State], Formula]
    hypers: tuple[Hyper, ...]
    slots: tuple[Slot, ...] = ()
    aliases: tuple[str, ...] = ()
    source: str = ""
    exact: bool = True
    mistake: str | None = None
    look: Callable[[H, Any, State], Any] | None = None

    def __repr__(self) -> str:
        return f"<Rule {self.name}: {self.title}>"

    def hyper(self, **values: Any) -> H:
        """Checked hyperparameters, defaults filled in; InputError for an unknown name or a wrong value."""
        return H(self.hypers, values)

    def init(self, h: H, w: Any) -> State:
        """The state before the first gradient."""
        return {x.name: h[x.start] if isinstance(x.start, str) else x.start for x in self.slots}

    def point(self, h: H, w: Any, s: Mapping[str, Any]) -> Any:
        """Where the gradient is taken."""
        if self.look is None:
            return w
        h, s = meet(h, s, w)
        return self.look(h, w, s)

    def step(self, h: H, w: Any, g: Any, s: Mapping[str, Any]) -> tuple[Any, State]:
        """One step: the new w and the new state; nothing given is changed."""
        new = dict(s)

        def note(name: str, value: Any) -> Any:
            if name in new:
                new[name] = value
            return value

        return self.run(h, w, g, s, note), new

    def lines(self, h: H, w: Any, g: Any, s: Mapping[str, Any]) -> list[Line]:
        """The same step with every named quantity, in order; the last is the new w."""
        lines: list[Line] = []

        def note(name: str, value: Any) -> Any:
            lines.append(Line(name, self.letter(name), value))
            return value

        self.run(h, w, g, s, note)
        return lines

    def run(self, h: H, w: Any, g: Any, s: Mapping[str, Any], note: Callable[[str, Any], Any]) -> Any:
        """One step; each quantity goes to `note(name, value)`, and what that returns goes on in its place."""
        h, s = meet(h, s, w, g)
        steps = in_frame(self, h, w, g, s)
        value = None
        try:
            while True:
                value = note(*steps.send(value))
        except StopIteration as done:
            return done.value

    def letter(self, name: str) -> str:
        """What the quantity of that name is called in formulas."""
        return next((x.letter for x in self.slots if x.name == name), LETTERS.get(name, name))

    @property
    def family(self) -> str:
        """The name without the options that `variant` puts behind it."""
        return self.name.partition("(")[0]

    @cached_property
    def defaults(self) -> Mapping[str, Any]:
        """Each hyperparameter with its default, in the order of the signature."""
        return {x.name: x.default for x in self.hypers}

    @cached_property
    def framed(self) -> bool:
        """Whether maximize and weight decay are those of every rule; a rule may have its own instead."""
        return {x.name for x in FRAME} <= self.defaults.keys()

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

        Args:
            name: what it is called.
            title: its own; as before if not given.
            source: its own; as before if not given.
            aliases: other names of its own.
            defaults: hyperparameter → its new default.

        Returns:
            The new Rule.

        Raises:
            InputError: an unknown hyperparameter, or a value outside its domain.

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

    def with_defaults_of(self, other: Rule, name: str | None = None, **changes: Any) -> Rule:
        """The same rule with another's defaults, for the hyperparameters that both have.

        Args:
            other: whose defaults are taken, but for those that are None.
            name: what it is called; by default as `variant` calls it.
            changes: hyperparameter → its default, whatever the other's is.

        Returns:
            The new Rule.

        Raises:
            InputError: as `variant`.

        Example:
            >>> from surefoot.rules import get
            >>> get("torch").with_defaults_of(get("keras").variant(momentum=0.5), decay="l2").name
            'torch(lr=0.01, momentum=0.5, decay=l2)'
        """
        own = self.defaults
        theirs = {k: v for k, v in other.defaults.items() if k in own and v not in (None, own[k])}
        return self.variant(name, **{**theirs, **changes})

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
