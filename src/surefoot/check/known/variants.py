"""The forms in which a rule may be meant: with weight decay in each of its places, and with Nesterov."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from surefoot.check.naming.claimed import title
from surefoot.check.options.words import Words
from surefoot.rules import DECAYS, RULES, Rule

__all__ = ["conventions", "variants"]


def conventions(words: Words) -> Iterator[Rule]:
    """Yield every rule that hears all of the optimizer's options, with weight decay in each of its places."""
    for rule in RULES.values():
        if rule.mistake or rule.name in ("adamw", "amsgrad") or words.unheard(rule):
            continue
        yield from variants(rule, words)


def variants(rule: Rule, words: Words) -> Iterator[Rule]:
    """Yield a rule with weight decay in each of its places, and with Nesterov if there is no such option."""
    usual = rule.defaults.get("decay")
    always = [False, True] if "nesterov" in rule.defaults and words.option("nesterov") is None else [None]
    places = [usual]
    if usual is not None and words.option("weight_decay") is not None:
        places += [d for d in DECAYS if d != usual]
    for nesterov in always:
        for place in places:
            changes: dict[str, Any] = {"nesterov": True} if nesterov else {}
            if place != usual:
                changes["decay"] = place
            yield rule.variant(title=title(rule, changes), **changes) if changes else rule
