"""Mistakes of bookkeeping: whose options, which gradients, which count, whose first step.

No formula is at fault here. So each of these is a claim that changes the script before the rule is played,
and some also tell each parameter, step by step, what it should not have from the others.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from surefoot.check.arithmetic.claim import Claim
from surefoot.check.known import twists
from surefoot.check.known.ends import AT_MISSING, ONLY_FIRST
from surefoot.rules.hypers import hyper_for
from surefoot.trace import Group, Script, Set, Step

__all__ = [
    "BY_COUNT",
    "CUT_OFF",
    "GOES_ON",
    "KEPT",
    "OR_DEFAULT",
    "SKIPS",
    "STILL",
    "misread",
    "with_shared_counts",
]

SKIPS = "steps with lr 0 are skipped entirely, so state does not accumulate their gradients"
STILL = "parameters never change"
OR_DEFAULT = "is 0, the constructor's value is used instead"
KEPT = "a list of them is not cleared"
BY_COUNT = "the step is divided by the number of parameters in its group"
CUT_OFF = "the learning rate is truncated after"
GOES_ON = "a group without gradients ends step()"
Telling = Callable[[Script], "list[dict[str, int]]"]  # for each step, what each parameter is told


def misread(claim: Claim) -> Iterator[tuple[str, Claim]]:
    """Yield known mistakes of bookkeeping: what each is, and the claim with this mistake."""

    def twisted(twist: Callable[[Script], Script]) -> Claim:
        return dataclasses.replace(claim, twist=twist)

    for option in claim.words.switchable({}):
        unheard = claim.words.without({option})
        yield f"{option} is accepted but never used", dataclasses.replace(claim, words=unheard)
    options = {hyper: option for option, hyper in claim.words.hyper.items()}
    names = {h: "the learning rate" if h == "lr" else f"the option {o}" for h, o in options.items()}
    switches = {h for h, o in options.items() if isinstance(claim.words.tried(o)[0], bool)}
    for option, name in names.items():
        said = f"{name} is read once, at construction or at the first step, so later changes are ignored"
        yield said, twisted(partial(Script.without_changes, options={option}))
        yield (
            f"a change of {name} takes effect one step too late",
            twisted(partial(twists.behind, option=option)),
        )
    said = "options are read once, at construction or at the first step, so later changes are ignored"
    yield said, twisted(partial(Script.without_changes, options=options))
    for option in (h for h in options if h not in switches):  # a switch that is off is no number
        said = f"where {names[option]} {OR_DEFAULT}, as in `group[{options[option]!r}] or default`"
        yield said, twisted(partial(twists.zero_as_default, option=option))
    for option, name in names.items():
        said = f"{name} of the constructor, or of the first group, is used for every group"
        yield said, twisted(partial(twists.of_group, index=0, options={option}))
    for which, index in (("first", 0), ("last", -1)):
        said = f"the options of the {which} group are used for every group"
        yield said, twisted(partial(twists.of_group, index=index, options=options))
    said = f"the parameters of a group are stepped again with each later group: {KEPT}"
    yield said, twisted(twists.lists_kept)
    yield (
        f"{GOES_ON}, so that later groups are not stepped",
        twisted(twists.idle_ends),
    )
    yield f"only the first group {ONLY_FIRST}", twisted(twists.first_group)
    for ready in (True, False):
        said = f"only the first parameter of each group {ONLY_FIRST}"
        yield said, twisted(partial(twists.first_alone, ready=ready))
        said = f"only the first parameter {ONLY_FIRST}"
        yield said, twisted(partial(twists.first_alone, of_all=True, ready=ready))
    said = f"{AT_MISSING}, so that those after it in its group are not stepped"
    yield said, twisted(partial(twists.until_missing, of_all=False))
    said = f"{AT_MISSING}, so that none after it is stepped"
    yield said, twisted(partial(twists.until_missing, of_all=True))
    yield "a missing gradient is treated as zeros, and a step is done", twisted(twists.zeros)
    said = "a missing gradient is treated as zeros, after a parameter's first gradient"
    yield said, twisted(partial(twists.zeros, from_the_start=False))
    if any(slot.name == "momentum_buffer" and slot.start is None for slot in claim.rule.slots):
        for said, telling in FIRST_STEPS.items():
            yield said, _told(claim, telling, _first_step)
    if any(slot.name == "step" for slot in claim.rule.slots):
        for said, telling in COUNTS.items():
            counted = _told(claim, telling, _count)
            own = {theirs: ours for theirs, ours in claim.slots.items() if ours != "step"}
            yield said, counted if telling is not _of_the_first else dataclasses.replace(counted, slots=own)
    yield "a gradient of zeros is treated as missing", twisted(twists.zeros_missing)
    yield SKIPS, twisted(twists.zero_lr_skipped)
    yield "each element of a gradient is clamped to [−1, 1]", twisted(twists.clamped)
    yield STILL, twisted(twists.still)
    yield BY_COUNT, twisted(twists.shared_out)
    for digits in (2, 3, 4):
        yield f"{CUT_OFF} {digits} digits", twisted(partial(twists.cut_off, digits=digits))


def with_shared_counts(claim: Claim) -> Iterator[Claim]:
    """Yield the same claim of an optimizer that counts steps per group: calls of step(), or steps made."""
    if any(slot.name == "step" for slot in claim.rule.slots):
        for telling in (_asked_for, _made):
            yield _told(claim, telling, _count)
            if {"exp_avg", "exp_avg_sq"} <= {slot.name for slot in claim.rule.slots}:
                yield _told(claim, telling, _count_corrected)


def _told(claim: Claim, telling: Telling, state: Callable[[Any, Any], dict[str, Any]]) -> Claim:
    """The claim whose rule is told something at each step, by one more option, and sets its state by it."""
    rule = claim.rule

    def formula(h: Any, w: Any, g: Any, s: Any) -> Any:
        return rule.formula(h, w, g, state(h, s))

    hypers = (*rule.hypers, hyper_for("told", 0))
    told = dataclasses.replace(rule, formula=formula, hypers=hypers)
    return dataclasses.replace(claim, rule=told, twist=lambda script: _tell(script, telling(script)))


def _tell(script: Script, told: list[dict[str, int]]) -> Script:
    """The script with each parameter in a group of its own, which is told its number before each step."""
    index = {name: i for i, name in enumerate(script.names)}
    groups = [script.groups[script.group_of(name)] for name in script.names]
    steps = []
    for step, numbers in zip(script.steps, told, strict=True):
        events: list[Any] = []
        for e in step.events:
            if isinstance(e, Set) and e.group is not None:
                events += [dataclasses.replace(e, group=index[n]) for n in script.groups[e.group].names]
            else:
                events.append(e)
        events += [Set("told", number, index[name]) for name, number in numbers.items()]
        steps.append(Step(step.gradients, tuple(events)))
    alone = (Group((n,), g.options, g.joins) for n, g in zip(script.names, groups, strict=True))
    return dataclasses.replace(script, groups=tuple(alone), steps=tuple(steps))


def _count(h: Any, s: Mapping[str, Any]) -> dict[str, Any]:
    return {**s, "step": int(h.told) - 1}


def _count_corrected(h: Any, s: Mapping[str, Any]) -> dict[str, Any]:
    """As when the means are kept with their bias corrected: they then forget how old they were."""
    before, counted = s["step"], _count(h, s)
    if before:
        for slot, beta in (("exp_avg", h.beta1), ("exp_avg_sq", h.beta2)):
            counted[slot] = s[slot] * (1 - beta ** counted["step"]) / (1 - beta**before)
    return counted


def _asked_for(script: Script) -> list[dict[str, int]]:
    return [dict.fromkeys(script.names, t) for t, _ in enumerate(script.steps, 1)]


def _made(script: Script) -> list[dict[str, int]]:
    """Steps are counted when some parameter of the group has a gradient."""
    counts = [0] * len(script.groups)
    told = []
    for step in script.steps:
        for i in {script.group_of(n) for n in step.given}:
            counts[i] += 1
        told.append({n: counts[script.group_of(n)] for n in script.names})
    return told


def _counted_by(key: Callable[[Script, str, int], Any]) -> Telling:
    """A count that each parameter with a gradient advances; those share one whose key is the same.

    The key is made of the script, the parameter's name, and the step of its first gradient.
    """

    def telling(script: Script) -> list[dict[str, int]]:
        counts: dict[Any, int] = {}
        first: dict[str, int] = {}
        told = []
        for t, step in enumerate(script.steps):
            now = {}
            for name in (n for n in script.names if n in step.given):
                shared = key(script, name, first.setdefault(name, t))
                counts[shared] = now[name] = counts.get(shared, 0) + 1
            told.append(now)
        return told

    return telling


def _first_step(h: Any, s: Mapping[str, Any]) -> dict[str, Any]:
    old = s["momentum_buffer"]
    return {**s, "momentum_buffer": None if int(h.told) else 0 if old is None else old}


def _first_of_all(script: Script) -> list[dict[str, int]]:
    return [dict.fromkeys(script.names, int(t == 0)) for t, _ in enumerate(script.steps)]


def _first_parameter(script: Script) -> list[dict[str, int]]:
    """Only the first parameter that is ever stepped makes a first step."""
    stepped = ((t, n) for t, s in enumerate(script.steps) for n in script.names if n in s.given)
    first = next(stepped, None)
    return [{n: int((t, n) == first) for n in script.names} for t, _ in enumerate(script.steps)]


def _as_the_last(script: Script) -> list[dict[str, int]]:
    """A group's step is a first one if it is so for the last of its parameters that has a gradient."""
    seen: set[str] = set()
    told = []
    for step in script.steps:
        new: dict[str, int] = {}
        for group in script.groups:
            here = [n for n in group.names if n in step.given]
            new |= dict.fromkeys(group.names, int(bool(here) and here[-1] not in seen))
        seen |= set(step.given)
        told.append(new)
    return told


def _of_the_first(script: Script) -> list[dict[str, int]]:
    """Each parameter counts its own steps; a group goes by the first of them that has a gradient."""
    counts = dict.fromkeys(script.names, 0)
    told = []
    for step in script.steps:
        now: dict[str, int] = {}
        for group in script.groups:
            here = [n for n in group.names if n in step.given]
            for name in here:
                counts[name] += 1
            now |= dict.fromkeys(here, counts[here[0]] if here else 0)
        told.append(now)
    return told


FIRST_STEPS: dict[str, Telling] = {
    "first steps are detected only in the first call of step(): a buffer whose first gradient comes later "
    "starts at 0, dampened": _first_of_all,
    "first steps are detected once, by the first parameter: the buffers of all others start at 0, "
    "dampened": _first_parameter,
    "a group's last parameter decides for all whether a step is the first: other buffers start at 0, "
    "dampened, or restart": _as_the_last,
}
COUNTS: dict[str, Telling] = {
    "the step count is incremented once per parameter, not once per step": _counted_by(
        lambda script, name, first: script.group_of(name)
    ),
    "one step count for all groups is incremented once per parameter, not once per step": _counted_by(
        lambda script, name, first: 0
    ),
    "the step count is one tensor shared by parameters that started together: "
    "each of them increments it": _counted_by(lambda script, name, first: first),
    "the step count of a group's first parameter with a gradient is used for the whole group": _of_the_first,
}
