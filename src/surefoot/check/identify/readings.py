"""The hyperparameters of a linear rule, read off from how far w moved."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from surefoot.check.arithmetic.wording import number
from surefoot.check.identify.probes import Answers
from surefoot.check.options.words import Words
from surefoot.rules import DECAYS
from surefoot.trace.values import elements

__all__ = ["LARGER", "SPARES", "Reading", "is_linear", "read"]


@dataclass(frozen=True)
class Reading:
    """One thing read off: what, its value, and from which numbers."""

    what: str
    value: str
    because: str


LARGER = Reading("weight decay", "of larger tensors only", "a single number does not change")
SPARES = Reading("weight decay reaches", "matrices only", "w with fewer than two dimensions does not change")


def read(answers: Answers, lr: float, words: Words) -> tuple[Reading, ...]:
    """Read off what shows."""
    if not any(answers.moves["impulse"]):
        return still_readings(answers)
    if is_linear(answers.moves):
        return tuple(readings(answers, lr, words))
    return tuple(nonlinear_readings(answers))


def is_linear(moves: Mapping[str, tuple[float, ...]]) -> bool:
    """Whether twice the gradient moves w twice as far."""
    once, twice = moves["impulse"], moves["double"]
    return all(_near(b, 2 * a) for a, b in zip(once, twice, strict=True))


def readings(answers: Answers, lr: float, words: Words) -> Iterator[Reading]:
    """Read the hyperparameters off a linear rule."""
    first = [-m for m in answers.moves["impulse"]]
    late = [-m for m in answers.moves["late impulse"][1:]]
    mu = late[2] / late[1] if late[1] else 0.0
    geometric = all(_near(b, mu * a) for a, b in itertools.pairwise(late[1:]))
    nesterov = bool(mu) and not _near(late[1], mu * late[0]) and _near(late[1] * (1 + mu), mu**2 * late[0])
    ahead = 1 + mu if nesterov else 1.0
    gain, start = late[0] / ahead / lr, first[0] / ahead / lr
    adds_up = _adds_up(answers)
    if climbs := gain < 0 and start < 0 and adds_up and words.option("lr") is not None:
        gain, start = -gain, -start
    yield Reading("first move", number(-first[0]), "for a gradient of 1 at step 1, from w = 0")
    if climbs:
        meant = words.values.get(words.option("maximize") or "")
        told = "w moves along the gradient, " + (
            "as maximize asks for" if meant else "not against it: lr enters with the other sign"
        )
        yield Reading("direction", "uphill", told)
    if not geometric:
        yield Reading("momentum", "not constant", f"later moves: {', '.join(number(-m) for m in late[1:5])}")
    elif mu:
        yield Reading("momentum", number(mu), f"each later move is {number(mu)} times the previous one")
    elif not adds_up:
        told = "a gradient moves w once; with other gradients present, by a different amount"
        yield Reading("momentum", "0 for a single gradient", told)
    else:
        option = words.option("momentum")
        hint = "; try --option momentum=0.9" if option and not words.values.get(option) else ""
        yield Reading("momentum", "0", f"each gradient moves w only once{hint}")
    plain = not mu or _near(late[1], mu * late[0])
    if mu and geometric:
        because = f"a gradient of 1 at step 2 moves w by {number(-late[0])}, then {number(-late[1])}"
        yield Reading("Nesterov", "yes" if nesterov else "no" if plain else "in an unknown way", because)
    if geometric and (plain or nesterov):
        shown = None if words.option("lr") is not None else lr
        yield from _gains(gain, start, mu, shown) if adds_up else [_changing(gain, start, shown)]
    if mu and "changed lr" in answers.moves:
        yield _where_lr(answers)
    if "decay" in answers.moves:
        yield _where_decay(answers, lr, mu)
    shifted = answers.moves["moved"]
    same = all(_near(a, b) for a, b in zip(shifted, answers.moves["impulse"], strict=True))
    told = "the moves after it are the same" if same else f"the next move is then {number(shifted[2])}"
    yield Reading("w moved from outside", "no effect" if same else "changes later moves", told)


def _gains(gain: float, start: float, mu: float, shown: float | None) -> Iterator[Reading]:
    """How much of a gradient enters, at first and later; `shown`: the first move, where lr is no option."""
    if _near(gain, 1.0) and _near(start, 1.0):
        told = "each gradient is multiplied by the full learning rate"
        yield Reading(
            "dampening", "0", told if shown is None else "each gradient has the same weight as the first"
        )
    elif mu and _near(start, 1.0):
        yield Reading(
            "dampening",
            number(1 - gain),
            f"later gradients have weight {number(gain)}, the first has weight 1",
        )
        yield Reading("buffer starts as", "the first gradient", "which is not dampened")
    elif mu and _near(gain, 1 - mu) and _near(start, gain):
        yield Reading(
            "average", "yes", f"gradients have weight 1 − momentum = {number(gain)}, including the first"
        )
        yield Reading("buffer starts as", "0", "the first gradient has the same weight as later ones")
    elif mu and _near(start, gain):
        yield Reading(
            "dampening", number(1 - gain), f"gradients have weight {number(gain)}, including the first"
        )
        yield Reading("buffer starts as", "0", "the first gradient has the same weight as later ones")
    elif _near(gain, start):
        way = "; w moves uphill" if gain < 0 else ""
        told = "of the learning rate, for every gradient" if shown is None else "times every gradient"
        yield Reading("gain", number(gain * (shown or 1)), f"{told}{way}")
    else:
        yield _changing(gain, start, shown)


def _changing(gain: float, start: float, shown: float | None) -> Reading:
    """What is to be said where two first steps do not tell of all others: lr has a schedule inside, say."""
    told = f"a gradient has weight {number(start)} at step 1 and {number(gain)} at step 2"
    if _near(gain, start):
        told = f"alone, {told}; with other gradients, a different one"
    unit = "the learning rate" if shown is None else "the first move"
    return Reading("gain", "not constant", f"{told} (of {unit})")


def _adds_up(answers: Answers) -> bool:
    """Whether among many gradients w moves by the sum of what the first alone, and one at step 2, do."""
    first, late = answers.moves["impulse"], answers.moves["late impulse"][1:]
    steps = answers.traces["signs"].script.steps
    gradients = [float(next(elements(s.gradients["w"]))) for s in steps if s.gradients]
    for t, moved in enumerate(answers.moves["signs"][: len(late)]):
        sums = gradients[0] * first[t] + sum(g * late[t - s] for s, g in enumerate(gradients[1 : t + 1], 1))
        if not math.isclose(moved, sums, rel_tol=1e-6, abs_tol=1e-6):
            return False
    return True


def _where_lr(answers: Answers) -> Reading:
    before, after = answers.moves["impulse"][2], answers.moves["changed lr"][2]
    ratio = after / before if before else math.nan
    now = "does not change" if _near(ratio, 1.0) else f"is {number(ratio)} times as large"
    told = f"with half the lr, the next move {now}"
    if _near(ratio, 0.5):
        return Reading("learning rate", "outside the buffer", told)
    return Reading("learning rate", "inside the buffer" if _near(ratio, 1.0) else "elsewhere", told)


def _where_decay(answers: Answers, lr: float, mu: float) -> Reading:
    """Where weight decay enters, by what it does to w = 1 without gradients, and to a step from w = 0."""
    size, moves, with_both = float(answers.decay), answers.moves["decay"], answers.moves["decay on the way"]
    if not any(moves):
        alone = answers.moves["impulse"]
        if is_linear(answers.moves) and not all(map(_near, alone, with_both)):
            if all(map(_near, answers.moves["decay and gradient"], with_both)):
                told = f"with {number(size)}, w = 1 moves like w = 0, but differently than without it"
                return Reading("weight decay", "of the gradients, not of w", told)
            told = f"with {number(size)}, w = 1 does not change until there is a gradient"
            return Reading("weight decay", "only with a gradient", told)
        return Reading("weight decay", "none", f"with {number(size)}, w = 1 does not change")
    first, second = answers.moves["impulse"], answers.moves["late impulse"]
    told = f"with {number(size)}, w = 1 moves by {number(moves[0])}, then {number(moves[1])}"
    if _near(moves[0], -size) and not _near(lr, 1.0):
        ahead = answers.moves["impulse"][0]
        after = bool(ahead) and _near(answers.moves["decay and gradient"][0] / ahead, 1 - size)
        where = DECAYS["no_lr"][4:].replace("before", "after") if after else DECAYS["no_lr"][4:]
        return Reading("weight decay", where, f"{told}; a step from 0 shrinks too" if after else told)
    shrinks = _near(moves[1], moves[0] * (1 + moves[0]))
    # what w's own λw would do as a gradient, at both steps
    as_gradient = size * first[0], size * (first[1] + (1 + moves[0]) * second[1])
    if not shrinks and all(map(_near, moves, as_gradient)):
        return Reading("weight decay", DECAYS["l2"][4:], told)
    if not shrinks:
        return Reading("weight decay", "in an unknown way", told)
    if not _near(moves[0], -lr * size) and not _near(moves[0], as_gradient[0]):
        share = moves[0] / (-lr * size)
        what = f"{number(abs(share))} γλ" if not _near(abs(share), 1.0) else "γλ"
        return Reading("weight decay", f"w {'shrinks' if share > 0 else 'grows'} by {what} per step", told)
    step = answers.moves["decay and gradient"][0] / (answers.moves["impulse"][0] or math.nan)
    if _near(step, 1 - lr * size):
        return Reading("weight decay", DECAYS["after_step"][4:], f"{told}; a step from 0 shrinks too")
    if mu:
        return Reading("weight decay", "decoupled: w shrinks by γλ before the step", told)
    return Reading(
        "weight decay", "γλw per step", f"{told}; without momentum, its place cannot be determined"
    )


def still_readings(answers: Answers) -> tuple[Reading, ...]:
    """What can be said of an optimizer that does nothing, or nothing upon a first gradient."""
    if any(any(answers.moves[name]) for name in ("late impulse", "half", "double", "signs")):
        return (Reading("first move", "0", "a first gradient of 1 never moves w; other gradients do"),)
    return (Reading("first move", "0", "no gradient ever moves w"),)


def nonlinear_readings(answers: Answers) -> Iterator[Reading]:
    """What can be said of a rule that is not linear."""
    once, twice = answers.moves["impulse"], answers.moves["double"]
    yield Reading("first move", number(once[0]), "for a gradient of 1 at step 1, from w = 0")
    half = answers.moves["half"]
    if not once[0]:
        yield Reading("size of the gradient", "matters, not linearly", "the first gradient does not move w")
        return
    ratio, below = twice[0] / once[0], once[0] / half[0] if half[0] else math.nan
    if _near(below, 2.0) and _near(ratio, 2.0):
        told = "twice the gradient moves w twice as far at step 1, but not later"
        yield Reading("size of the gradient", "matters, not linearly", told)
        return
    if _near(below, 2.0):
        told = f"a gradient of 1 moves w twice as far as 1/2, but a gradient of 2 {_times(ratio)} as 1"
        yield Reading("size of the gradient", "bounded" if abs(ratio) < 2 else "matters, not linearly", told)
        return
    near = abs(ratio - 1) < 0.01
    scale = "no effect" if _near(ratio, 1.0) else "hardly matters" if near else "matters, not linearly"
    yield Reading("size of the gradient", scale, f"twice the gradient moves w {_times(ratio)}")


def _times(ratio: float) -> str:
    if _near(ratio, 1.0):
        return "as far"
    return "hardly farther" if abs(ratio - 1) < 0.01 else f"{number(ratio)} times as far"


def _near(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)
