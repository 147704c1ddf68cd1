"""Options that an examination leaves as they are: switches, and what is None unless it is given."""

from __future__ import annotations

from surefoot.check.arithmetic.wording import listed
from surefoot.check.contract.settings import PATHS, alternatives
from surefoot.check.options.words import Words
from surefoot.check.protocol import Options, Signature

__all__ = ["unexamined"]

# how a rule is computed, which other clauses see to, or no matter of its steps
_ELSEWHERE = {*PATHS, "differentiable", "generator", "seed", "verbose"}


def unexamined(words: Words, signature: Signature, given: Options) -> str:
    """Say which switches, and options without a value, no rule was held against; "" if there are none."""
    known = {*words.hyper, *given, *_ELSEWHERE, *(option for option, _ in alternatives(signature))}
    left = {
        o: v
        for o, v in signature.options.items()
        if (v is None or isinstance(v, bool)) and o not in known and not o.startswith("_")
    }
    if not left:
        return ""
    what = "its effect was" if len(left) == 1 else "their effect was"
    return (
        f"{listed(left)} {'was' if len(left) == 1 else 'were'} kept at "
        f"{listed(map(repr, left.values()))}; {what} not judged."
    )
