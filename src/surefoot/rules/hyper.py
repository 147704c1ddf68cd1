"""A hyperparameter, with its domain; and `H`, a checked and immutable set of values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from surefoot.errors import InputError, unknown
from surefoot.rules.numbers import zero

__all__ = ["H", "Hyper", "each_beta"]


@dataclass(frozen=True)
class Hyper:
    r"""One hyperparameter of a rule.

    Args:
        name: what it is called in code (`momentum`).
        default: its value when none is given; None where a value must be given.
        letter: what it is called in formulas (`μ`).
        latex: the same for LaTeX (`\mu`).
        domain: the values allowed, in words (`0 ≤ μ < 1`) or the choices of an option.
        meaning: one line.
        choices: the values of an option; empty for a number.
        low: the least value of a number, if it has one.
        high: the greatest.
        open_low: whether `low` itself is out.
        open_high: whether `high` itself is out.
    """

    name: str
    default: Any
    letter: str
    latex: str
    domain: str
    meaning: str
    choices: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    open_low: bool = False
    open_high: bool = False

    @property
    def is_number(self) -> bool:
        """A number, and not an option chosen from a few."""
        return not self.choices

    def check(self, value: Any) -> None:
        """Raise InputError unless the value is in the domain: a symbol is, a batch if each element is."""
        if self.choices:
            if isinstance(value, bool) != isinstance(self.choices[0], bool) or value not in self.choices:
                if isinstance(value, str) and not isinstance(self.choices[0], bool):
                    raise unknown(self.name, value, [str(c) for c in self.choices])
                raise InputError(f"{self.name} is {_shown(value)}; it must be {self.domain}.")
            return
        if value is None and self.default is None:
            return
        kind = type(value)
        if kind is not Fraction and kind is not float:  # these two are asked for by the million, so first
            if isinstance(value, (bool, str, complex, list, tuple, dict)) or value is None:
                raise InputError(f"{self.name} is {value!r}; it must be {self._wanted}.")
            if kind.__module__.partition(".")[0] == "sympy":
                return
        inside = self._inside(value)
        if not (inside.all() if hasattr(inside, "all") else inside):
            shown = f"{float(value):.12g}" if isinstance(value, Fraction) else value
            raise InputError(f"{self.name} is {shown}; it must be {self._wanted}.")

    def _inside(self, value: Any) -> Any:
        """Whether a number, or each of a batch, is within the bounds; NaN is not."""
        inside = value == value
        if self.low is not None:
            inside = inside & (value > self.low if self.open_low else value >= self.low)
        if self.high is not None:
            inside = inside & (value < self.high if self.open_high else value <= self.high)
        return inside

    @property
    def _wanted(self) -> str:
        return "a number" if self.low is self.high is None else f"a number with {self.domain}"


def each_beta(hypers: tuple[Hyper, ...], given: Mapping[str, Any]) -> dict[str, Any]:
    """The values given, with `betas`, as torch writes them, as beta1 and beta2 where a rule has these."""
    values = dict(given)
    if "betas" not in values or not {"beta1", "beta2"} <= {x.name for x in hypers}:
        return values
    betas = values.pop("betas")
    if not isinstance(betas, (tuple, list)) or len(betas) != 2:
        raise InputError(f"betas must be two numbers, such as (0.9, 0.999), not {_shown(betas)}.")
    for name in ("beta1", "beta2"):
        if name in values:
            raise InputError(
                f"betas are ({', '.join(map(_shown, betas))}), and {name} is also given as"
                f" {_shown(values[name])}; give either betas, or beta1 and beta2."
            )
    values["beta1"], values["beta2"] = betas
    return values


def _shown(value: Any) -> str:
    return f"{float(value):.12g}" if isinstance(value, Fraction) else repr(value)


class H(Mapping[str, Any]):
    """Checked values of a rule's hyperparameters: `h.lr` or `h["lr"]`; immutable; made by `rule.hyper(…)`.

    `h.replace(lr=…)` gives another. Iterates over names, so `dict(h)` and `{**h}` work.
    """

    def __init__(self, hypers: tuple[Hyper, ...], given: Mapping[str, Any]) -> None:
        given, names = each_beta(hypers, given), {x.name for x in hypers}
        for name in given:
            if name not in names:
                raise unknown("hyperparameter", name, names)
        for x in hypers:
            if x.name in given:
                x.check(given[x.name])
            self.__dict__[x.name] = given.get(x.name, x.default)
        self.__dict__["_hypers"] = hypers
        self._check_together()

    def _check_together(self) -> None:
        lr_max = self.get("lr_max", 0)  # a rule may have a decay of its own, and no lr_max
        if lr_max is None and self.get("decay") == "corrected" and not zero(self.weight_decay):
            raise InputError("decay='corrected' requires lr_max, the highest learning rate of the schedule.")
        off: Any = self.get("momentum") == 0
        if (
            "dampening" in self
            and hasattr(off, "all")
            and off.any()
            and not off.all()
            and not zero(self.dampening)
        ):
            raise InputError(
                "With dampening, a batch of momenta must be all 0 or none: at 0 there is no buffer."
            )

    def replace(self, **changes: Any) -> H:
        """The same values but for these; checked again."""
        return H(self._hypers, {**self, **each_beta(self._hypers, changes)})

    def map(self, number: Callable[[Any], Any]) -> H:
        """Every number put through `number` (say Fraction or float); options stay as they are."""
        made = object.__new__(H)
        values = made.__dict__
        for x in self._hypers:
            value = self.__dict__[x.name]
            if not x.choices and value is not None:
                value = number(value)
                x.check(value)  # 1 − 10⁻²⁰ is 1 in floats
            values[x.name] = value
        values["_hypers"] = self._hypers
        made._check_together()
        return made

    def __getitem__(self, name: str) -> Any:
        if name == "_hypers":
            raise KeyError(name)
        return self.__dict__[name]

    def __iter__(self) -> Iterator[str]:
        return (x.name for x in self._hypers)

    def __len__(self) -> int:
        return len(self._hypers)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"this rule has no hyperparameter {name!r}; it has {', '.join(self)}")

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"hyperparameters are immutable; use h.replace({name}={value!r})")

    def __reduce__(self) -> Any:
        return H, (self._hypers, dict(self))

    def __repr__(self) -> str:
        return f"H({', '.join(f'{k}={v!r}' for k, v in self.items())})"
