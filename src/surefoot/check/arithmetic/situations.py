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
        "A model still trains with one wrong coefficient in the update, but worse.",
        "Compare step() with the rule, line by line.", quick=True,
    ),
    _situation(
        "changed-lr", "a changed learning rate takes effect at the next step, and affects nothing earlier",
        scripts.changed_lr,
        "Schedulers write group['lr']; if lr is multiplied into the buffer, old values act for several "
        "steps.",
        "Read group['lr'] in step(), and do not multiply it into the buffer.", quick=True,
    ),
    _situation(
        "changed-options", "other hyperparameters may change during the run", scripts.changed_options,
        "Momentum and weight decay can be scheduled, too.",
        "Read every option from its group in step(), not in __init__, and do not cache old values.",
    ),
    _situation(
        "moved", "parameters changed outside step() are used as they are", scripts.moved,
        "Weight clipping, averaging and loading change parameters between steps.",
        "Do not keep a copy of the parameters in the state, unless the rule requires it.",
    ),
    _situation(
        "late", "late, missing and zero gradients", scripts.late,
        "A grad of None means no step, and zeros mean a step; a parameter's first step may come late.",
        "Skip a parameter only if its grad is None; treat a step as its first only if it has no state yet.",
        quick=True,
    ),
    _situation(
        "groups-arithmetic", "groups with different values of every option", scripts.groups,
        "Each parameter must be stepped with the options of its own group.",
        "Read every option inside the loop over param_groups.", quick=True,
    ),
    _situation(
        "twins", "tensors of equal shape, each with its own state", scripts.twins,
        "Layers repeat: a buffer looked up by shape or by position collects other parameters' gradients.",
        "Keep each parameter's state in self.state[p].", quick=True, near=0,
    ),
    _situation(
        "reused", "a gradient tensor that is reused", scripts.reused,
        "zero_grad(set_to_none=False) overwrites gradients in place; state that shares their memory changes "
        "too.",
        "Keep a copy: torch.clone(grad).detach().", quick=True,
    ),
    _situation(
        "sizes", "sizes around vector widths, in each dtype", scripts.sizes,
        "Fast paths handle whole vectors and the remaining elements separately; either is easily forgotten.",
        "Compare with a plain loop for sizes 1, V−1, V, V+1 and 2V+3, where V is the vector width.",
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
        "Mixed precision puts float32 and bfloat16 in one group; each parameter must be stepped exactly "
        "once.",
        "Apply to each parameter once what is now applied once per dtype bucket.", near=0,
    ),
    _situation(
        "long", "twenty steps with ordinary numbers, within rounding", scripts.long,
        "Small errors grow; a correct run's rounding error stays within (4 + t)·u·Θ̄, with momentum within "
        "2 (1 + 2μ)/(1 − μ) times that.",
        "Look for state that drifts, such as a step count shared by parameters or a value never updated.",
        near=1,
    ),
    _situation(
        "later", "three hundred steps follow the rule as the first twenty do", scripts.later,
        "Short runs do not show what begins late: a warm-up, a milestone, a counter that overflows.",
        "Look for code that depends on the step count; make it an option, or leave it to a scheduler.",
        near=0,
    ),
)  # fmt: skip
PLAIN = SITUATIONS[0]  # the steps that a rule is guessed by, and that show what all else builds on
CLAUSES = {s.clause.id: s.clause for s in SITUATIONS}


def played(situation: Situation, words: Words, options: Options, seed: int) -> Iterator[Script]:
    """Yield the scripts of a situation with some options; equal seeds give equal scripts."""
    return situation.make(words, options, random.Random(f"{seed} {situation.clause.id}"))
