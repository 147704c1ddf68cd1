"""Clauses on copying a run. They come last: __setstate__ may change the class for all that is asked later."""

from __future__ import annotations

import copy
import pickle

from surefoot.check.contract.clause import Claims, Make, clause
from surefoot.check.contract.tools import run, weight


@clause(
    "state",
    "can be pickled together with its parameters",
    why="Process pools, cluster jobs and whole-model checkpoints pickle the optimizer.",
    mend="Keep no lambdas, hooks, open files or local functions in attributes; pickle does not use "
    "state_dict.",
    over="rich",
    needs=["a step that returns", "importable"],
    comparing=["repeatable"],
)
def pickles(make: Make) -> Claims:
    w, twin = weight(2, 2), weight(2, 2)
    run(make([w]), [w], range(4))
    opt = make([twin])
    run(opt, [twin], range(2))
    twin, opt = pickle.loads(pickle.dumps((twin, opt)))
    run(opt, [twin], range(2, 4))
    return [("w after 4 steps, pickled after 2", w.tolist(), twin.tolist())]


@clause(
    "state",
    "can be deep-copied together with its parameters",
    why="Hyperparameter searches and model averaging copy a run and continue both copies.",
    mend="Keep state in self.state[p], not under id(p).",
    mends={"whose copy": "Make __deepcopy__ copy the state's tensors too, or remove it."},
    over="rich",
    comparing=["repeatable"],
)
def deep_copies(make: Make) -> Claims:
    w, twin = weight(2, 2), weight(2, 2)
    run(make([w]), [w], range(4))
    opt = make([twin])
    run(opt, [twin], range(2))
    other, copied = copy.deepcopy((twin, opt))
    run(copied, [other], range(2, 4))
    run(opt, [twin], range(2, 4))
    return [
        ("w after 4 steps, copied after 2", w.tolist(), other.tolist()),
        ("w after 4 steps, whose copy made its own steps first", w.tolist(), twin.tolist()),
    ]
