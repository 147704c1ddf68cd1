"""A stretch of training, counted in steps or epochs: "50 steps", "2 epochs", "0.5 epochs", "step"."""

from __future__ import annotations

import re
from dataclasses import dataclass

from surefoot.errors import InputError

__all__ = ["Span"]

_FORM = re.compile(r"\s*(?P<amount>\d+(\.\d*)?|\.\d+)?\s*(?P<unit>step|epoch)s?\s*")


@dataclass(frozen=True)
class Span:
    """So many steps, or so many epochs.

    Example:
        >>> Span.parse("50 steps").steps(per_epoch=250), Span.parse("0.5 epochs").steps(per_epoch=250)
        (50, 125)
    """

    amount: float
    unit: str

    @classmethod
    def parse(cls, text: str, name: str = "span") -> Span:
        """Read a span that the option `name` was given.

        Raises:
            InputError: the text has no unit, or is less than one step.
        """
        found = _FORM.fullmatch(text)
        amount = float(found["amount"] or 1) if found else 0.0
        if not found or amount == 0 or (found["unit"] == "step" and amount % 1):
            raise InputError(
                f"{name.replace('_', '-')} takes a number of steps or epochs, as '50 steps' or '2 epochs',"
                f" not {text!r}."
            )
        return cls(amount, found["unit"])

    def steps(self, per_epoch: int) -> int:
        """The span in steps, at least one, where an epoch has `per_epoch` of them."""
        return max(1, round(self.amount * (per_epoch if self.unit == "epoch" else 1)))
