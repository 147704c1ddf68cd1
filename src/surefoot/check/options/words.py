"""Which option of an optimizer is which hyperparameter of a rule, and with which values it is tried."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from surefoot.check.options.hypers import ALWAYS, PLAIN_NAMES, RATES, SYNONYMS, TRIED
from surefoot.check.options.rate import FirstMove
from surefoot.check.protocol import Options, Signature
from surefoot.rules import Rule
from surefoot.rules.hypers import HYPERS

__all__ = ["Words", "combinations"]

# With what hyperparameters are tried that only the user's own rule has: fractions, numbers above 1, whole
# numbers. None is a value that another option is tried with.
_SHARES = (Fraction(5, 8), Fraction(7, 16), Fraction(11, 16), Fraction(9, 16), Fraction(13, 16))
_LARGER = (Fraction(3, 2), Fraction(5, 4), Fraction(7, 4), Fraction(9, 8), Fraction(11, 8))
_WHOLE = (2, 3, 4, 5, 6)
ENOUGH = 64  # combinations; beyond that only few options at a time are switched on together, or all


@dataclass(frozen=True)
class Words:
    """The arithmetic options of an optimizer.

    Args:
        hyper: option → hyperparameter ("betas" stands for beta1 and beta2).
        values: option → its value when a script does not say; of numbers that are no hyperparameter, too.
        fixed: options that the user gave a switch or a word for, or 0, or that cannot be given: they stay as
            they are.
        others: numbers that are no hyperparameter known here.
        held: options that cannot be given: a function makes the optimizer with them.
        gentler: option → the values that it is tried with, where it refuses the usual ones.
        own: option → the values that it is tried with, of hyperparameters of the user's own rule alone.
        first: where there is no option for the learning rate, the move that shows one.
    """

    hyper: Mapping[str, str]
    values: Mapping[str, Any]
    fixed: frozenset[str] = frozenset()
    others: tuple[str, ...] = ()
    held: frozenset[str] = frozenset()
    gentler: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    own: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    first: FirstMove | None = None

    @classmethod
    def of(cls, signature: Signature, given: Options) -> Words:
        """Read a class's options, and those that the user gave."""
        given = {n: _single(v) for n, v in given.items()}
        known = {**signature.held, **signature.options, **given}
        offered = [*signature.required, *known]
        synonyms = SYNONYMS
        if not {"lr", "learning_rate", "step_size"} & set(offered):
            numbers = {n for n in offered if _kind(known.get(n)) == "number" and known.get(n) != 0}
            rates = (n for n in RATES if n in numbers)
            synonyms = SYNONYMS | dict.fromkeys(itertools.islice(rates, 1), "lr")
        if "betas" not in offered and _kind(known.get("beta")) == "several":
            synonyms = synonyms | {"beta": "betas"}
        names = [n for n in offered if _is_hyper(synonyms.get(n, n), known.get(n))]
        hyper = {n: synonyms.get(n, n) for n in names}
        if not {"beta2", "momentum"} & set(hyper.values()):  # the one average that there is
            hyper = {n: "momentum" if h == "beta1" else h for n, h in hyper.items()}
        others = tuple(
            n for n, v in known.items() if n not in hyper and _kind(v) == "number" and v is not None
        )
        values = {n: v for n, v in known.items() if (n in hyper or n in others) and _usable(v)}
        fixed = {n for n, v in given.items() if n in hyper and (isinstance(v, (bool, str)) or v == 0)}
        held = frozenset(signature.held.keys() & hyper.keys())
        return cls(hyper, values, frozenset(fixed) | held, others, held)

    def of_rule(self, rule: Rule, signature: Signature, given: Options) -> Words:
        """The same, with the hyperparameters that the rule alone has under the very names of options."""
        known = {**signature.held, **signature.options, **given}
        names = {x.name: x for x in rule.hypers if x.name not in HYPERS}
        switches = {o for o in names if names[o].choices}
        found = {
            o: v
            for o, v in ((o, _single(v)) for o, v in known.items() if o in names)
            if isinstance(v, bool) is (o in switches) and _kind(v) in ("bool", "number") and _usable(v)
        }
        if not found:
            return self
        return replace(
            self,
            hyper={**self.hyper, **{o: o for o in found}},
            values={**self.values, **found},
            fixed=self.fixed
            | {o for o, v in found.items() if o in given and (isinstance(v, bool) or v == 0)}
            | (found.keys() & signature.held.keys()),
            others=tuple(o for o in self.others if o not in found),
            held=self.held | (found.keys() & signature.held.keys()),
            own={o: _tried_of(v, i) for i, (o, v) in enumerate(found.items())},
        )

    def without(self, options: Collection[str]) -> Words:
        """The same without some options, which the optimizer has and never takes."""
        return replace(self, hyper={o: h for o, h in self.hyper.items() if o not in options})

    def meaning(self, meant: Mapping[str, str], rule: Rule, doubtful: Collection[str] = ()) -> Words:
        """The same for one rule, with these options meant as said.

        Those that it does not know, and other doubtful ones, are none.
        """
        hyper = {o: h for o, h in self.heard(rule).items() if o not in doubtful} | dict(meant)
        numbers = [o for o in (*self.hyper, *self.others) if self.is_number(o)]
        ordered = {o: hyper[o] for o in (*self.hyper, *self.others) if o in hyper}
        return replace(self, hyper=ordered, others=tuple(o for o in numbers if o not in hyper))

    @property
    def ambiguous(self) -> bool:
        """Whether there are numbers of which their names do not say what they are, for any rule."""
        return bool(self.others) or any(o != h and o not in PLAIN_NAMES for o, h in self.hyper.items())

    def is_number(self, option: str) -> bool:
        """Whether an option is a number: no switch, no pair."""
        return option not in self.hyper or _kind(self.tried(option)[0]) == "number"

    def option(self, hyper: str) -> str | None:
        """The option that is this hyperparameter."""
        return next((o for o, h in self.hyper.items() if h == hyper), None)

    def switchable(self, given: Options) -> list[str]:
        """Options that are tried both on and off; one that the user switched on stays on."""
        return [o for o in self.hyper if not self._always(o) and o not in self.fixed and not given.get(o)]

    def steady(self, given: Options) -> list[str]:
        """Options that every script has."""
        return [o for o in self.hyper if o not in self.fixed and (self._always(o) or given.get(o))]

    def _always(self, option: str) -> bool:
        """Whether nobody switches it off; of a rule's own, what is on by default may well divide."""
        return bool(self.values[option]) if option in self.own else self.hyper[option] in ALWAYS

    def tried(self, option: str) -> tuple[Any, Any]:
        """The value that an option has in every script, and the one that it is changed to."""
        return self.gentler.get(option) or self.own.get(option) or TRIED[self.hyper[option]]

    def off(self, option: str) -> Any:
        """The value that switches an option off."""
        return False if isinstance(self.tried(option)[0], bool) else Fraction(0)

    def unheard(self, rule: Rule) -> list[str]:
        """Arithmetic options that the rule does not know."""
        return [o for o in self.hyper if o not in self.heard(rule)]

    def heard(self, rule: Rule) -> dict[str, str]:
        """Option → hyperparameter, for those that the rule knows."""
        known = {x.name for x in rule.hypers}
        return {o: h for o, h in self.hyper.items() if h in known or (h == "betas" and "beta1" in known)}


def _single(value: Any) -> Any:
    """The number that a tensor or an array of one element holds; anything else as it is."""
    shape = getattr(value, "shape", None)
    return value.item() if shape is not None and math.prod(shape) == 1 else value


def _tried_of(value: Any, place: int) -> tuple[Any, Any]:
    """Two values for an option like this one, neither of them its own: what is in the code would not show."""
    if isinstance(value, bool):
        return True, True
    if isinstance(value, int):
        usual: tuple[Any, ...] = _WHOLE
    else:
        usual = _SHARES if abs(value) <= 1 else _LARGER
    sign = -1 if value < 0 else 1
    values = [sign * x for x in usual if sign * x != value]
    return values[place % len(values)], values[(place + 1) % len(values)]


def combinations(words: Words, given: Options) -> Iterator[dict[str, Any]]:
    """Yield combinations of the options, the simplest first."""
    steady = {o: words.tried(o)[0] for o in words.steady(given)}
    switches = words.switchable(given)
    sizes = range(len(switches) + 1) if 2 ** len(switches) <= ENOUGH else (0, 1, 2, len(switches))
    for size in sizes:
        for on in itertools.combinations(switches, size):
            yield {**steady, **{o: words.tried(o)[0] if o in on else words.off(o) for o in switches}}


def _is_hyper(hyper: str, default: Any) -> bool:
    """Whether an option of that name is the hyperparameter: Adafactor's eps, a pair, is not."""
    if hyper not in TRIED:
        return False
    tried = TRIED[hyper][0]
    if _kind(default) == _kind(tried) == "several":
        return len(default) == len(tried)  # Adan has three betas
    return default is None or _kind(default) == _kind(tried)


def _kind(value: Any) -> str:
    if isinstance(value, (bool, str)):
        return type(value).__name__
    return "several" if isinstance(value, (tuple, list)) else "number"


def _usable(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(_usable(v) for v in value)
    return isinstance(value, (bool, int, float, Fraction))
