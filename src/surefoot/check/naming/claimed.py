"""What the name of a class claims: the rule that it is named after."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from surefoot.check.naming.frameworks import FRAMEWORKS, as_there, has_form
from surefoot.check.naming.methods import words_of
from surefoot.check.options.words import Words
from surefoot.rules import DECAYS, RULES, Rule, get

__all__ = ["Name", "asked_for", "claims_momentum", "denies", "is_plain", "looks_ahead", "read_name", "title"]

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
    "port",
    "ported",
    "style",
    "clone",
    "reference",
    "manual",
    "minimal",
    "pure",
    "python",
    "numpy",
    "cuda",
    "triton",
    "demo",
    "example",
    "exercise",
    "solution",
    "assignment",
    "student",
}
# the same where they stand alone: Newton is not new
ALONE = {
    *("hw", "ex", "exam", "task", "problem", "question", "answer", "week", "lab", "class", "course", "sol"),
    *("new", "old", "test", "final", "draft", "attempt", "version", "team", "the", "opt"),
    *("ok", "good", "right", "wrong", "bad", "broken", "buggy", "bug"),
}
EXTENDED = re.compile(r"EX[A-Z]")  # EXAdam is another algorithm, and Ex3Adam an exercise


def title(rule: Rule, changes: dict[str, Any]) -> str:
    """What a rule with some options changed is called."""
    called = rule.title + (" with Nesterov" if changes.get("nesterov") else "")
    if "decay" not in changes:
        return called
    _, _, place = DECAYS[changes["decay"]].partition(") ")
    return f"{called}, but {'weight decay goes ' if place.startswith('into') else ''}{place}"


@dataclass(frozen=True)
class Name:
    """The rule that a class is named after; the words that its name has beside, but for plain ones."""

    rule: Rule | None = None
    rest: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether that is all that the name says."""  # Muon's rule is only what it orthogonalises
        return self.rule is not None and not self.rest and self.rule.name != "muon"


def read_name(name: str, words: Words) -> Name:
    """Read the name of a class: by its longest run of words that is a rule, in the form of its library."""
    parts = [part for word in words_of(name) for part in _plainly(word)]
    parts = [NESTEROV if get_close_matches(part.lower(), [NESTEROV], cutoff=0.85) else part for part in parts]
    parts = _with_frameworks(parts)
    there = next((part for part in parts if part in FRAMEWORKS), None)
    # a class of the name Lookahead is the wrapper of Zhang et al. 2019
    aliases = (n for r in RULES.values() for n in r.aliases if n != "lookahead")
    known = {n.lower().replace("_", ""): n for n in (*RULES, *aliases) if len(n) > 2}
    of_sgd = {*OF_SGD, "sgd"}
    known |= dict.fromkeys(of_sgd, "torch") | {n: a for n, a in FRAMEWORKS.items() if a}
    runs = [
        ("".join(parts[i:j]).lower(), i, j) for i in range(len(parts)) for j in range(i + 1, len(parts) + 1)
    ]

    def order(run: tuple[str, int, int]) -> tuple[bool, int, int]:
        """KerasAdam is an Adam, and KerasSGD Keras's."""
        said, i, j = run
        kind = (1 if said in FRAMEWORKS else 2 if said in of_sgd else 0) if there else 0
        return said == NESTEROV, kind, i - j

    of_sgd_at_all = bool({x.lower() for x in parts} & {*of_sgd, NESTEROV})
    for run, i, j in sorted(runs, key=order):
        if run in FRAMEWORKS and run not in RULES and not of_sgd_at_all:
            continue  # a library's name alone is none of an optimizer
        if run in known:
            changes: dict[str, Any] = {}
            rule = get(known[run])  # Chainer's momentum is Keras's, but not its decay
            rest = {x.lower() for x in parts[:i] + parts[j:] if not x.isdigit()}
            if there and (rule.name == "torch" or run in FRAMEWORKS or has_form(rule, there)):
                rest -= FRAMEWORKS.keys()
            if rule.name == "torch" or run in FRAMEWORKS:
                ahead = run == "nag" or NESTEROV in parts
                rest -= AHEAD if ahead else MOMENTUM
                rest -= of_sgd if run in FRAMEWORKS else set()
                if ahead and "nesterov" in rule.defaults and words.option("nesterov") is None:
                    changes["nesterov"] = True
            elif there:
                rule = as_there(rule, there)
            if run == "sgdw":
                changes["decay"] = "decoupled"
            rule = rule.variant(title=title(rule, changes), **changes) if changes else rule
            alone = ALONE - {"ex"} if EXTENDED.search(name) else ALONE
            return Name(rule, tuple(sorted(rest - PLAIN - alone)))
    return Name()


def is_plain(name: str) -> bool:
    """Whether a class's name tells of no method at all.

    Example:
        >>> is_plain("CustomOptimizer"), is_plain("Optimizer1"), is_plain("Signed")
        (True, True, False)
    """
    parts = [part.lower() for word in words_of(name) for part in _plainly(word)]
    return all(part in PLAIN or part in ALONE or part.isdigit() for part in parts)


def denies(name: str, named: Rule, behaves: Rule) -> bool:
    """Whether a class does not do what its name says.

    AdamW and SGDW decouple their decay, and add none to the gradient; Nesterov looks ahead.
    """
    if not looks_ahead(behaves) and named.defaults.get("nesterov"):
        return True
    return behaves.defaults.get("decay") == "l2" and any(w in name.lower() for w in ("adamw", "sgdw"))


def looks_ahead(rule: Rule) -> bool:
    """Whether it is a form of Nesterov's momentum."""
    return bool(rule.defaults.get("nesterov")) or rule.family in ("sutskever", "chainer_nag", "two_points")


def asked_for(rule: Rule) -> str:
    """The options of the command that hold a class to a rule; "" if there are none for a form of it."""
    usual = RULES[rule.family].defaults if rule.family in RULES else {}
    changed = {k for k, v in rule.defaults.items() if usual.get(k) != v}
    if not usual or changed - {"decay"}:
        return ""
    return f"--rule {rule.family}" + (f" --decay {rule.defaults['decay']}" if changed else "")


def _with_frameworks(parts: list[str]) -> list[str]:
    """The words, those together that are a library's name: mx net."""
    for i in range(len(parts) - 1):
        if (both := (parts[i] + parts[i + 1]).lower()) in FRAMEWORKS:
            return _with_frameworks([*parts[:i], both, *parts[i + 2 :]])
    return [part.lower() if part.lower() in FRAMEWORKS else part for part in parts]


def claims_momentum(name: str) -> bool:
    """Whether a class says by its name that it has momentum; one called SGD does not."""
    low = name.lower()
    return any(word in low for word in ("momentum", "nag", "nest", "sgdm", "heavy", "ball", "polyak"))


def _plainly(word: str) -> list[str]:
    """A word of a name, with the plain words that it begins with apart: myadam is my adam."""
    low = word.lower()
    plain = {*PLAIN, *FRAMEWORKS}
    found = [p for p in plain if len(p) > 1 and low.startswith(p)] if low not in plain else []
    if not found:
        return [word]
    size = max(map(len, found))
    return [word[:size], *_plainly(word[size:])]
