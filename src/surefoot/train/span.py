"""A stretch of training, counted in steps, epochs or time: "50 steps", "0.5 epochs", "step", "5 minutes"."""

from __future__ import annotations

import re
from dataclasses import dataclass

from surefoot.errors import InputError

__all__ = ["Span"]

_FORM = re.compile(r"\s*(?P<amount>\d+(\.\d*)?|\.\d+)?\s*(?P<unit>step|epoch|second|minute|hour)s?\s*")

_SECONDS = {"second": 1, "minute": 60, "hour": 3600}
_MANY = 1e15  # more than any run has; far beyond, a float is inf


@dataclass(frozen=True)
class Span:
    """So many steps, epochs, seconds, minutes or hours.

    Example:
        >>> Span.parse("50 steps").steps(per_epoch=250), Span.parse("0.5 epochs").steps(per_epoch=250)
        (50, 125)
    """

    amount: float
    unit: str

    @classmethod
    def parse(cls, text: str, name: str = "span", *, times: bool = False) -> Span:
        """Read a span that the option `name` was given, which may take times.

        Raises:
            InputError: the text has no unit, or is less than one step.
        """
        found = _FORM.fullmatch(text)
        if found and found["unit"] in _SECONDS and not times:
            found = None
        amount = float(found["amount"] or 1) if found else 0.0
        if not found or not 0 < amount < _MANY or (found["unit"] == "step" and amount % 1):
            units = "steps, epochs, seconds, minutes or hours" if times else "steps or epochs"
            examples = "'50 steps' or '5 minutes'" if times else "'50 steps' or '2 epochs'"
            raise InputError(
                f"{name.replace('_', '-')} must be a number of {units}, such as {examples}, not {text!r}."
            )
        return cls(amount, found["unit"])

    def steps(self, per_epoch: int) -> int:
        """The span in steps, at least one, where an epoch has `per_epoch` of them; times have none."""
        assert self.unit not in _SECONDS
        return max(1, round(self.amount * (per_epoch if self.unit == "epoch" else 1)))

    @property
    def seconds(self) -> float | None:
        """The span in seconds; None where it is no time."""
        return self.amount * _SECONDS[self.unit] if self.unit in _SECONDS else None
