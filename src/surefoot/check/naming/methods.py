"""Words in the name of a class that tell of a method beside the rule it is named after."""

from __future__ import annotations

import re

__all__ = ["another_method", "words_of"]

# what changes the steps by design; found in a name's words, or across them
_METHODS = (
    "cautious schedulefree schedfree lookahead lion adan lars lamb sam asam gsam swa averaged averaging "
    "prodigy dadapt dadaptation adaptive adapted hypergradient sign signum qh qhm quasi aggmo "
    "aggregated norm normed normalized normalised clip clipped clipping clamp clamped gc "
    "central centralized centralised centralization quantized quantised private noisy noise langevin "
    "sgld svrg saga sarah storm mars natural proximal prox dual mirror trust cyclic cyclical cosine "
    "warmup warm restart restarts "
    "schedule scheduled demon yogi belief tiger muon shampoo soap kfac grokfast orthogonal "
    "orthogonalized fedprox perturbed entropy elastic corrected stable sparse lowrank galore masked "
    "annealed projected spectral adagrad"
)


def words_of(name: str) -> list[str]:
    """The words that a class's name is made of, and its numbers.

    Example:
        >>> words_of("MyRAdam8bit")
        ['My', 'R', 'Adam', '8', 'bit']
    """
    return re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+", name)


def another_method(name: str) -> str | None:
    """The word of a class's name that tells of another method, if one does: cautious in CautiousMomentum."""
    words = words_of(name)
    runs = ("".join(words[i:j]) for i in range(len(words)) for j in (i + 2, i + 1) if j <= len(words))
    known = _METHODS.split()
    bits = next((m.group() for m in re.finditer(r"\d+\s?bit", name.lower())), None)
    return next((run for run in runs if run.lower() in known), bits)
