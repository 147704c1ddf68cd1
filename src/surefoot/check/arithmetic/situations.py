"""The situations in which an optimizer is watched: what is examined in each, why, and how to mend it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from surefoot.check.arithmetic import scripts
from surefoot.check.options.words import Words
from surefoot.check.protocol import Options
from surefoot.check.verdict import Clause
from surefoot.trace import Script

__all__ = ["CLAUSES", "PLAIN", "SITUATIONS", "Situation", "played"]


@dataclass(frozen=True)
class Situation:
    """One kind of script; `make(words, options, rng)` yields none where it does not apply."""

    clause: Clause
    make: Callable[[Words, Options, random.Random], Iterator[Script]]
    dtypes: tuple[str, ...] = ("float64",)
    near: int = 2  # combinations with up to so many options fewer than the largest accepted are tried, too


def _situation(
    id: str, title: str, make: Any, why: str, mend: str, *, quick: bool = False, **more: Any
) -> Situation:
    return Situation(Clause(id, "arithmetic", title, why, mend, quick=quick), make, **more)


SITUATIONS = (
    _situation(
        "rule", "every step follows the rule", scripts.plain,
        "This defines the optimizer: with one wrong coefficient it still trains, only worse.",
        "Compare step() with the rule line by line.", quick=True,
    ),
    _situation(
        "changed-lr", "a changed learning rate takes effect from the next step on", scripts.changed_lr,
        "Schedulers write group['lr']; a rule with lr inside the buffer keeps using the old one for a while.",
        "Read group['lr'] in step(), and keep lr out of the buffer.", quick=True,
    ),
    _situation(
        "changed-options", "other hyperparameters may change during the run", scripts.changed_options,
        "Momentum and weight decay can be scheduled too.",
        "Read every option from its group in step(), not in __init__, and keep nothing that depends "
        "on an old value.",
    ),
    _situation(
        "moved", "parameters changed from outside are used as they are", scripts.moved,
        "Clipping, averaging and loading of weights change parameters between steps.",
        "Keep no copy of the parameters in the state, unless the rule says so.",
    ),
    _situation(
        "late", "late, missing and zero gradients", scripts.late,
        "Layers join late, heads take turns: None means no step, a gradient of zeros is a step, and "
        "each parameter has its own first step.",
        "Skip parameters whose grad is None, and no others; a parameter's first step is the one that "
        "finds no state.", quick=True,
    ),
    _situation(
        "groups-arithmetic", "groups that differ in every option", scripts.groups,
        "Each parameter must be stepped with the options of its own group.",
        "Read every option inside the loop over param_groups.", quick=True,
    ),
    _situation(
        "twins", "tensors of the same shape, each with its own state", scripts.twins,
        "Layers repeat: a buffer looked up by its shape, or by its place in the group, mixes the "
        "gradients of several tensors.",
        "Keep each parameter's state under the parameter itself: self.state[p].", quick=True, near=0,
    ),
    _situation(
        "reused", "a gradient tensor that is reused", scripts.reused,
        "zero_grad(set_to_none=False) overwrites gradients in place; state that shares their memory "
        "changes too.",
        "Keep a copy: torch.clone(grad).detach().", quick=True,
    ),
    _situation(
        "sizes", "sizes around vector widths, in each dtype", scripts.sizes,
        "Fast paths treat whole vectors and the remainder separately; one of the two is easily forgotten.",
        "Compare with a plain loop at the sizes 1, V−1, V, V+1 and 2V+3.",
        dtypes=("float64", "float32", "float16", "bfloat16"), near=0,
    ),
    _situation(
        "dimensions", "matrices, convolutions and large tensors are stepped like vectors", scripts.dimensions,
        "The rule is elementwise: an update that depends on a tensor's shape or size is a different rule.",
        "Look for code that uses dim(), numel(), or a mean or norm over the tensor.",
        dtypes=("float64", "float32"), near=0,
    ),
    _situation(
        "dtypes", "several dtypes in one group", scripts.dtypes,
        "Mixed precision puts float32 and bfloat16 side by side; the bucket of each dtype must be "
        "stepped exactly once.",
        "Do once per parameter what is done per bucket.", near=0,
    ),
    _situation(
        "long", "twenty steps with ordinary numbers, within rounding", scripts.long,
        "Errors that are small at first grow; correct roundings stay within (4 + t)·u·Θ̄, for momentum "
        "2 (1 + 2μ)/(1 − μ) times that.",
        "Look for state that drifts: a step count shared between parameters, a value not updated.", near=1,
    ),
    _situation(
        "later", "three hundred steps follow the rule like the first twenty", scripts.later,
        "A warm-up, a milestone, a counter that overflows: a short run does not show what begins late.",
        "Look for code that depends on the number of steps; make it an option, or leave it to a "
        "scheduler.", near=0,
    ),
)  # fmt: skip
PLAIN = SITUATIONS[0]  # the steps that a rule is guessed by, and that show what all else builds on
CLAUSES = {s.clause.id: s.clause for s in SITUATIONS}


def played(situation: Situation, words: Words, options: Options, seed: int) -> Iterator[Script]:
    """Yield the scripts of a situation with some options; equal seeds give equal scripts."""
    return situation.make(words, options, random.Random(f"{seed} {situation.clause.id}"))
