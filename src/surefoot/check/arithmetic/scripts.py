"""What happens in each situation: gradients, events, numbers.

The numbers are small and dyadic, so that a run of a few steps is exact in float32 and float64 whatever the
order of operations; sizes lie around the widths of vector registers, where fast paths have their seams.
"""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from surefoot.check.options.hypers import TRIED
from surefoot.check.options.words import Words
from surefoot.check.protocol import Options
from surefoot.trace import Group, Move, Script, Set, Step
from surefoot.trace.values import build

HALF = Fraction(1, 2)
ONCE = "initial_accumulator_value"  # is for the constructor alone
# w₀ = (0, 1, 3): with 0 decay shows nothing, with two values a decay without w shows
START = (0, 1, 3)
GRADIENTS = ((1, 0, 2), (0, 0, -1), (HALF, -1, 1), (-1, 2, 0))
SMOOTH = ((1, HALF, 2), (-HALF, 1, -1), (1, -2, HALF), (-1, HALF, 1))  # never 0: for rules that divide by √v
# means are about to change their signs: which of them has had a gradient already shows in a rule of signs
FALLING = (1, Fraction(-3, 16), Fraction(-5, 32))
TINY = Fraction(1, 2**21)
NEAR_1 = Fraction(127, 128)  # some hold momentum to what they think is usual
LARGE = 2**17  # what is clipped or clamped on the way shows in numbers of this size
OTHER = ((-1, 2), (HALF, 0), (1, 1), (0, -2))


def _steps(
    gradients: Sequence[Mapping[str, Any]], events: Mapping[int, tuple[Any, ...]] = {}
) -> tuple[Step, ...]:
    return tuple(Step(g, events.get(t, ())) for t, g in enumerate(gradients, 1))


def _one(
    options: Options,
    events: Mapping[int, tuple[Any, ...]] = {},
    *,
    start: Sequence[Any] = START,
    gradients: Sequence[Any] = SMOOTH,
    reuse_gradients: bool = False,
) -> Script:
    """One tensor in one group."""
    steps = _steps([{"w": g} for g in gradients], events)
    return Script({"w": start}, (Group(("w",), options),), steps, reuse_gradients=reuse_gradients)


def plain(words: Words, options: Options, rng: random.Random) -> Iterator[Script]:
    """Constant options; zeros among the gradients, and a momentum near 1; large numbers, then small."""
    yield _one(options)
    mu = words.option("momentum")
    high = {mu: NEAR_1} if mu and options.get(mu) == TRIED["momentum"][0] else {}
    yield _one({**options, **high}, gradients=GRADIENTS)
    falling = [tuple(LARGE * share * x for x in SMOOTH[0]) for share in FALLING]
    yield _one(options, start=tuple(LARGE * x for x in START), gradients=falling)


def few(options: Options) -> Script:
    """Four plain steps, without zeros."""
    return _one(options)


def once(options: Options, gradient: Any) -> Script:
    """One step from 0."""
    return _one(options, start=(0,), gradients=[(gradient,)])


def longer(options: Options) -> Script:
    """Eight plain steps: for four, RAdam is a corrected mean of gradients."""
    return _one(options, gradients=SMOOTH * 2)


def changed_lr(words: Words, options: Options, rng: random.Random) -> Iterator[Script]:
    """A learning rate that falls, and rises again; and one that is 0 for a step, as a frozen group's is."""
    lr = words.option("lr")
    if lr is not None:
        yield _one(options, {3: (Set(lr, 0),), 4: (Set(lr, HALF),)})
        yield _one(options, {2: (Set(lr, words.tried(lr)[1]),), 4: (Set(lr, HALF),)})


def changed_options(words: Words, options: Options, rng: random.Random) -> Iterator[Script]:
    """Every other number that is switched on, changed before step 3."""
    for option, value in options.items():
        first, second = words.tried(option)
        if words.hyper[option] not in ("lr", ONCE) and value == first and not isinstance(value, bool):
            yield _one(options, {3: (Set(option, second),)})
            if words.hyper[option] == "weight_decay":  # also where a condition may go wrong
                yield _one(options, {2: (Set(option, 0),), 3: (Set(option, 1),), 4: (Set(option, 2),)})
            if words.hyper[option] == "momentum":
                yield _one(options, {2: (Set(option, 0),), 3: (Set(option, second),)})


def moved(words: Words, options: Options, rng: random.Random) -> Iterator[Script]:
    """Parameters changed from outside, as when weights are clipped or averaged."""
    plain = _one(options, {3: (Move("w", (2, -1, HALF)),)})
    yield plain
    # beside a parameter of half precision some keep a copy in single, and write over what was done to it
    yield dataclasses.replace(plain, dtypes={"w": "bfloat16"})


def late(words: Words, options: Options, rng: random.Random) -> Iterator[Script]:
    """First gradients that come late, some missing in between, one of zeros, one, and a group's, never."""
    start = {"a": START, "b": (1, -2), "c": (2,), "d": (3, 1)}
    group = (Group(tuple(start), options),)
    a, b, c = SMOOTH, [g[:2] for g in OTHER], [(1,), (0,), (HALF,), (1,)]
    yield Script(start, group, _steps([
        {"a": a[0], "c": c[0]}, {"a": a[1], "b": b[0], "c": c[1]}, {"b": b[1], "c": c[2]},
        {"a": a[2], "b": b[2]},
    ]))  # fmt: skip
    yield Script(start, group, _steps([{"b": b[2]}, {}, {"a": a[0], "b": b[0]}, {"a": a[1], "c": c[1]}]))
    idle = Group(("a",), options), Group(("b",), options)
    yield Script({n: start[n] for n in "ab"}, idle, _steps([{"b": b[0]}]))


def groups(words: Words, options: Options, rng: random.Random) -> Iterator[Script]:
    """Two groups that differ in every number, and in each switch."""
    other = {}
    for option, value in options.items():
        first, second = words.tried(option)
        once = isinstance(first, bool) or words.hyper[option] == ONCE
        other[option] = second if value == first and not once else value
    stays = {o for o, h in words.hyper.items() if h == ONCE}
    off = {o: words.off(o) if o in words.switchable({}) and o not in stays else v for o, v in options.items()}
    for second in (other, off) if off != options else (other,):
        if second != options:
            gradients = [{"a": a, "b": b} for a, b in zip(SMOOTH, OTHER, strict=True)]
            members = (Group(("a",), options), Group(("b",), second))
            yield Script({"a": START, "b": (2, -3)}, members, _steps(gradients))


def twins(words: Words, options: Options, rng: random.Random) -> Iterator[Script]:
    """Tensors of one shape and dtype, two in a group and one at the same place of another group."""
    gradients = [
        {name: SMOOTH[(t + shift) % 4] for shift, name in enumerate(("a", "b", "c"))} for t in range(3)
    ]
    members = (Group(("a", "b"), options), Group(("c",), options))
    yield Script({"a": START, "b": (2, -3, 1), "c": (-1, 2, HALF)}, members, _steps(gradients))


def reused(words: Words, options: Options, rng: random.Random) -> Iterator[Script]:
    """One gradient tensor throughout, overwritten after each step: what is kept must be a copy."""
    gradients: list[dict[str, Any]] = [{"w": SMOOTH[0]}]
    gradients += [{"w": g, "late": x} for g, x in zip(SMOOTH[1:], OTHER[1:], strict=True)]
    group = (Group(("w", "late"), options),)
    yield Script({"w": START, "late": (2, -3)}, group, _steps(gradients), reuse_gradients=True)
    # weight decay and maximize make a new tensor of the gradient, and would hide that it is kept
    bare = {
        o: words.off(o) if words.hyper[o] in ("weight_decay", "maximize") else v for o, v in options.items()
    }
    if bare != options:
        yield _one(bare, reuse_gradients=True)


def sizes(words: Words, options: Options, rng: random.Random) -> Iterator[Script]:
    """Tensors of one element and of sizes about vector registers: V−1, V, V+1, 2V+3 for V = 8, 16 and 32.

    And as many as a path for many tensors may wait for.
    """
    fates = [
        (rng.choice((-2, 1, HALF, 3)), rng.choice((-1, HALF, 2)), rng.choice((-2, 1))) for _ in range(12)
    ]
    start, gradients = {}, [{}, {}]  # type: ignore[var-annotated]
    for size in (1, 7, 8, 9, 15, 16, 17, 19, 31, 33, 35, 67, 2, 3, 4, 5, 6):
        start[f"w{size}"], *rows = zip(*(rng.choice(fates) for _ in range(size)), strict=True)
        for step, row in zip(gradients, rows, strict=True):
            step[f"w{size}"] = row
    yield Script(start, (Group(tuple(start), options),), _steps(gradients))


def dimensions(words: Words, options: Options, rng: random.Random) -> Iterator[Script]:
    """A vector, matrices, a column, weights of convolutions, a vector of more than a thousand elements."""
    fates = [
        (rng.choice((-2, 1, HALF, 3)), rng.choice((-1, HALF, 2)), rng.choice((-2, 1)), rng.choice((1, HALF)))
        for _ in range(12)
    ]
    sizes = {"v": (3,), "m": (3, 4), "c": (5, 1), "k": (2, 3, 2, 2), "big": (1031,), "l": (2, 3, 2)}
    sizes["q"] = (3, 3)  # what is turned by mistake keeps this shape
    rows: dict[str, list[Any]] = {}
    for name, size in sizes.items():
        columns = zip(*(rng.choice(fates) for _ in range(math.prod(size))), strict=True)
        rows[name] = [build(size, column) for column in columns]
    gradients = [{name: row[t] for name, row in rows.items()} for t in (1, 2, 3)]
    start = {name: row[0] for name, row in rows.items()}
    yield Script(start, (Group(tuple(start), options),), _steps(gradients))


def dtypes(words: Words, options: Options, rng: random.Random) -> Iterator[Script]:
    """Four dtypes in one group, as in mixed precision."""
    kinds = {"a": "float64", "b": "float32", "c": "float16", "d": "bfloat16", "e": "float32"}
    gradients = [{n: g[:2] if n in "bd" else g for n in kinds} for g in SMOOTH[:3]]
    start = {n: START[:2] if n in "bd" else START for n in kinds}
    yield Script(start, (Group(tuple(kinds), options),), _steps(gradients), dtypes=kinds)


def long(words: Words, options: Options, rng: random.Random) -> Iterator[Script]:
    """Twenty steps of random numbers, ordinary hyperparameters, a schedule, a gap: not exact any more."""
    lr = words.option("lr")
    events = {t: (Set(lr, Fraction(0.1 * 0.9**t)),) for t in (7, 8, 15)} if lr is not None else {}
    start = {"a": [_number(rng) for _ in range(3)], "b": [_number(rng)], "c": [Fraction(0)]}
    gradients: list[dict[str, list[Fraction]]] = [
        {n: [_number(rng) for _ in v] for n, v in start.items() if not (n == "b" and t in (5, 6))}
        for t in range(20)
    ]
    for step in gradients:  # nearly 0, which is not 0
        step["c"] = [TINY * x for x in step["c"]]
    yield Script(start, (Group(("a", "b", "c"), _ordinary(words, options)),), _steps(gradients, events))


def later(words: Words, options: Options, rng: random.Random) -> Iterator[Script]:
    """Three hundred steps of random numbers: more than a byte counts, and than most warm-ups take."""
    gradients = [[_number(rng)] for _ in range(300)]
    yield _one(_ordinary(words, options), start=[_number(rng)], gradients=gradients)


def _number(rng: random.Random) -> Fraction:
    """Of ordinary size, with more digits than float16 and bfloat16 have, and no more than float32."""
    return Fraction(rng.choice((-1, 1)) * rng.randint(2**18, 2**21), 2**20)


def _ordinary(words: Words, options: Options) -> Options:
    """The options, those that are on with values of every day."""
    usual = {"momentum": 0.9, "dampening": 0.1, "weight_decay": 0.05, "lr": 0.1}
    hyper = words.hyper
    return {o: Fraction(usual[hyper[o]]) if hyper[o] in usual and v else v for o, v in options.items()}
