"""What the name of a class claims: the rule that it is named after."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any

from surefoot.check.words import Words
from surefoot.rules import DECAYS, RULES, Rule, get

__all__ = ["claims_momentum", "named_after", "title"]

# class names that are no rule's own name, all of them torch's SGD
OF_SGD = (
    "sgdw",
    "nag",
    "momentum",
    "momentumsgd",
    "sgdmomentum",
    "sgdm",
    "sgdwithmomentum",
    "gd",
    "gradientdescent",
    "stochasticgradientdescent",
    "nesterov",
)
NESTEROV = "nesterov"
# words that go with SGD's names and change nothing of what they claim
MOMENTUM = {"momentum", "with"}
AHEAD = {NESTEROV, "accelerated", "gradient", *MOMENTUM}

# words that make no other algorithm of a name: MyAdam claims to be Adam, and AdamS does not
PLAIN = {
    "my",
    "own",
    "our",
    "custom",
    "simple",
    "plain",
    "naive",
    "lecture",
    "homework",
    "fused",
    "fast",
    "torch",
    "optimizer",
    "optim",
    "basic",
    "vanilla",
    "hand",
    "from",
    "scratch",
    "impl",
    "v",
}


def title(rule: Rule, changes: dict[str, Any]) -> str:
    """What a rule with some options changed is called."""
    called = rule.title + (" with Nesterov" if changes.get("nesterov") else "")
    if "decay" not in changes:
        return called
    _, _, place = DECAYS[changes["decay"]].partition(") ")
    return f"{called}, but {'weight decay goes ' if place.startswith('into') else ''}{place}"


def named_after(name: str, words: Words) -> tuple[Rule | None, bool]:
    """The rule that a class is named after, by its longest run of words that is one; and if that is all."""
    parts = re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+", name)
    parts = [part for word in parts for part in _plainly(word)]
    parts = [NESTEROV if get_close_matches(part.lower(), [NESTEROV], cutoff=0.85) else part for part in parts]
    known = {
        n.lower().replace("_", ""): n for r in RULES.values() for n in (r.name, *r.aliases) if len(n) > 2
    }
    known |= dict.fromkeys(OF_SGD, "torch")
    runs = [
        ("".join(parts[i:j]).lower(), i, j) for i in range(len(parts)) for j in range(i + 1, len(parts) + 1)
    ]
    for run, i, j in sorted(runs, key=lambda r: (r[0] == NESTEROV, r[1] - r[2])):
        if run in known:
            changes: dict[str, Any] = {}
            rule = get(known[run])  # Chainer's momentum is Keras's, but not its decay
            rest = {x.lower() for x in parts[:i] + parts[j:] if not x.isdigit()}
            if rule.name == "torch":
                ahead = run == "nag" or NESTEROV in parts
                rest -= AHEAD if ahead else MOMENTUM
                if ahead and words.option("nesterov") is None:
                    changes["nesterov"] = True
            if run == "sgdw":
                changes["decay"] = "decoupled"
            whole = rest <= PLAIN and rule.name != "muon"  # whose rule is only what it orthogonalises
            return (rule.variant(title=title(rule, changes), **changes) if changes else rule), whole
    return None, False


def claims_momentum(name: str) -> bool:
    """Whether a class says by its name that it has momentum; one called SGD does not."""
    low = name.lower()
    return any(word in low for word in ("momentum", "nag", "nest", "sgdm", "heavy", "ball", "polyak"))


def _plainly(word: str) -> list[str]:
    """A word of a name, with the plain words that it begins with apart: myadam is my adam."""
    low = word.lower()
    found = [p for p in PLAIN if len(p) > 1 and low.startswith(p)] if low not in PLAIN else []
    if not found:
        return [word]
    size = max(map(len, found))
    return [word[:size], *_plainly(word[size:])]
