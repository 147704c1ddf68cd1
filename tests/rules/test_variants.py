"""The shortest probe: two steps, lr changed before the second, tell 83 of 101 variants apart."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction

from surefoot.rules import DECAYS, get

F = Fraction
START, GRADIENTS, RATES = (0, 1, 3), ((1, 0, 2), (0, 0, -1)), (F(1, 4), F(1, 8))
HYPER = {"momentum": F(3, 4), "dampening": F(1, 2), "weight_decay": F(1, 8), "lr_max": F(1, 4)}

PLAIN = ["P", "P0", "T", "K", "SN", "HB", "E0", "E1", "EB", "L", "CN"]
NESTEROV = ["P", "P0", "T", "K", "E0", "E1"]  # E0 with Nesterov is EN, K is KN


def variants():
    """17 rules × 6 places for the decay; the heavy ball's (c) is its (a) and counts once."""
    rules = {x: get(x) for x in PLAIN} | {x + "N": get(x).variant(nesterov=True) for x in NESTEROV}
    assert len(rules) == 17
    places = [
        (name, decay) for name in rules for decay in DECAYS if (name, decay) != ("HB", "after_momentum")
    ]
    return {(name, decay): (rules[name], decay) for name, decay in places}


def seen(rule, decay):
    """What a probe sees: where the gradient would be taken next, of each element after each step."""
    known = {x.name for x in rule.hypers}
    h = rule.hyper(decay=decay, **{k: v for k, v in HYPER.items() if k in known}).map(F)
    paths = []
    for w, *gradients in zip(map(F, START), *GRADIENTS, strict=True):
        s = rule.init(h, w)
        for lr, g in zip(RATES, gradients, strict=True):
            w, s = rule.step(h.replace(lr=lr), w, F(g), s)
            paths.append(rule.point(h, w, s))
    return tuple(paths)


def test_the_probe_tells_83_of_101_variants_apart():
    groups = defaultdict(set)
    for name, (rule, decay) in variants().items():
        groups[seen(rule, decay)].add(name)
    assert (sum(map(len, groups.values())), len(groups)) == (101, 83)

    same = {frozenset(g) for g in groups.values() if len(g) > 1}
    rules = {name for name, _ in variants()} - {"HB"}
    assert same == {
        frozenset({("K", "l2"), ("HB", "l2")}),
        frozenset({("KN", "l2"), ("SN", "l2")}),
        *(frozenset({(r, "decoupled"), (r, "after_momentum")}) for r in rules),
    }
