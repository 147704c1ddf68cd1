"""A stretch of training, counted in steps, epochs or minutes: "50 steps", "0.5 epochs", "step"."""

from __future__ import annotations

import re
from dataclasses import dataclass

from surefoot.errors import InputError

__all__ = ["Span"]

_FORM = re.compile(r"\s*(?P<amount>\d+(\.\d*)?|\.\d+)?\s*(?P<unit>step|epoch|minute)s?\s*")

_MANY = 1e15  # more than any run has; far beyond, a float is inf


@dataclass(frozen=True)
class Span:
    """So many steps, epochs, or minutes.

    Example:
        >>> Span.parse("50 steps").steps(per_epoch=250), Span.parse("0.5 epochs").steps(per_epoch=250)
        (50, 125)
    """

    amount: float
    unit: str

    @classmethod
    def parse(cls, text: str, name: str = "span", *, minutes: bool = False) -> Span:
        """Read a span that the option `name` was given, which may take minutes.

        Raises:
            InputError: the text has no unit, or is less than one step.
        """
        found = _FORM.fullmatch(text)
        if found and found["unit"] == "minute" and not minutes:
            found = None
        amount = float(found["amount"] or 1) if found else 0.0
        if not found or not 0 < amount < _MANY or (found["unit"] == "step" and amount % 1):
            units = "steps, epochs or minutes" if minutes else "steps or epochs"
            examples = "'50 steps' or '5 minutes'" if minutes else "'50 steps' or '2 epochs'"
            raise InputError(
                f"{name.replace('_', '-')} takes a number of {units}, as {examples}, not {text!r}."
            )
        return cls(amount, found["unit"])

    def steps(self, per_epoch: int) -> int:
        """The span in steps, at least one, where an epoch has `per_epoch` of them; minutes have none."""
        assert self.unit != "minute"
        return max(1, round(self.amount * (per_epoch if self.unit == "epoch" else 1)))
