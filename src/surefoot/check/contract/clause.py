"""How a clause of the contract is declared.

A clause is one small function, its probe: plain torch, given only `make(params, **options)`. It returns what
it saw as claims (what, expected, got), which are judged elsewhere, in the parent process. Since a probe is
plain torch, its source is also the reproduction that a failure prints: it reads as a user would write it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from surefoot.check.protocol import Signature
from surefoot.check.verdict import Clause

__all__ = ["Claims", "Make", "Probed", "clause"]

Make: TypeAlias = Callable[..., Any]  # make(params, **options) -> an optimizer under test
Case: TypeAlias = "Mapping[str, Any]"
Cases: TypeAlias = "Sequence[Case] | Callable[[Signature], Sequence[Case]]"
# claims: what it is, what was expected, what came, and how far they may part (0 if left out);
# or why the clause does not apply; or {"differs": which other convention it is}
Claims: TypeAlias = "list[Any] | str | dict[str, str]"


@dataclass(frozen=True)
class Probed(Clause):
    """A clause with its probe.

    Args:
        probe: `(make, **case) -> claims`.
        over: "given" options only, "rich" (many at once), "flags" (rich, with each flag), "singles" (each
            known option alone, and each implementation) or "combos" (up to three together, and those).
        cases: what the probe is run with, one after the other, or how to find that from the signature.
        needs: facts about the optimizer without which the clause does not apply (see facts.py).
        comparing: facts without which nothing can be compared, so that only an exception counts.
        each: a failure counts only if all cases with the same value of this key fail.
        refusal: an exception whose text has this word says that the optimizer does not do this: not a fault.
        refuses: exceptions of these kinds say the same ("Exception": all kinds).
        mends: words of a failed claim, or of an exception → how to mend that, where it is more than `mend`.
        strict: not even the constructor may refuse.
        deep: only examined with --deep.
    """

    probe: Callable[..., Claims] = lambda make: []
    over: str = "given"
    cases: Cases = ({},)
    needs: Sequence[str] = ()
    comparing: Sequence[str] = ()
    each: str = ""
    refusal: str = ""
    refuses: Sequence[str] = ()
    mends: Mapping[str, str] = field(default_factory=dict)
    strict: bool = False
    deep: bool = False


def clause(
    group: str, title: str, *, why: str, mend: str, **how: Any
) -> Callable[[Callable[..., Claims]], Probed]:
    """Declare a probe as a clause; its id is the probe's name, `how` the rest of Probed."""

    def declare(probe: Callable[..., Claims]) -> Probed:
        return Probed(probe.__name__.replace("_", "-"), group, title, why, mend, probe, **how)

    return declare
