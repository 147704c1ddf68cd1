"""When a plan is kept for the next step: where plans last."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from operator import is_
from typing import Any

from surefoot.optim.fastest import Known
from surefoot.optim.options import Options, read
from surefoot.optim.plan import Groups, Plan, Work
from surefoot.optim.state import State

__all__ = ["Plans"]

_HELD = 8  # steps by one plan, after which the next one is tried again at once
_LONGEST = 63


class Plans:
    """The plan of the last step, if it was kept, and what is known for the next one.

    Where one plan after the other does not hold, to note what each hangs on takes longest: then none is kept
    for ever more steps. What is known of a parameter stays through all of it.
    """

    def __init__(self) -> None:
        self.kept: Plan | None = None
        self._known: Sequence[Known] = ()  # of each group
        # for so many steps none is kept, and so many it was when one had not held
        self._wait = self._pause = 0

    def drop(self) -> None:
        """Keep none, though nothing was found that it does not hold for."""
        self.kept = None

    def work(self, groups: Groups, state: State) -> Work | None:
        """A step's work by the plan that was kept; None where there is none that still holds."""
        return None if self.kept is None else self.kept.work(groups, state)

    def new_work(self, groups: Groups, state: State, *, flat: bool) -> Work:
        """A step's work by a new plan, which is kept where plans last."""
        if self.kept is not None:  # it has not held
            self._pause = 0 if self.kept.uses >= _HELD else min(2 * self._pause + 1, _LONGEST)
            self.kept, self._wait = None, self._pause
        once, self._wait = self._wait > 0, max(self._wait - 1, 0)
        options = list(map(_options, groups, itertools.chain(self._known, itertools.repeat(None))))
        known = [*self._known, *map(Known, options[len(self._known) :])]
        self._known = [k.under(o) for k, o in zip(known, options, strict=False)]
        plan = Plan(groups, state, options, self._known, flat=flat, once=once)
        self.kept = plan if plan.lasting else None
        return plan.fresh_work()


def _options(group: dict[str, Any], known: Known | None) -> Options:
    """The group's options; those of its last plan, if they are still what can be read there."""
    return known.o if known is not None and all(map(is_, read(group), known.o)) else Options.of(group)
