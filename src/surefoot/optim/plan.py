"""Which tensors go to which kernel: worked out once, and used again while nothing has changed.

Whatever a user may change between two steps (gradients, parameters, state, options) is compared before each
use, in a few passes over lists and without looking up a parameter in a dict: that there are as many as there
were, each state is the one it was, and every tensor is laid out as it was. Any difference means a new plan.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Iterable
from operator import is_, itemgetter
from typing import Any, TypeAlias

import torch
from torch import Tensor

from surefoot.optim.fastest import Found, Known
from surefoot.optim.flat import joined
from surefoot.optim.kernel_group import Call, KernelGroup, Share
from surefoot.optim.options import Options, fixed, read, with_lr
from surefoot.optim.state import BUFFER, LOST, Made, State, flat_buffers, forget, prepare, refuse_unfit

__all__ = ["Plan"]

Groups: TypeAlias = "list[dict[str, Any]]"
Work: TypeAlias = "list[Call]"


class Plan:
    """The kernel groups of all groups, and everything they were worked out from.

    Args:
        groups: as in `param_groups`.
        state: of the optimizer; what is missing is made.
        options: of each group.
        known: facts of each group's parameters.
        flat: whether `flatten` keeps the memory of parameters and gradients.
        once: for one step, since it will not last: nothing is noted to compare the next one with.

    Attributes:
        runs: the kernel groups.
        lasting: whether `work` may be asked.
        uses: how often it had the answer.

    State is known by ids, and by weak references that tell when it is gone: a plan keeps none alive that the
    user has let go of, as by moving it elsewhere between two steps.
    """

    def __init__(
        self,
        groups: Groups,
        state: State,
        options: list[Options],
        known: list[Known],
        *,
        flat: bool,
        once: bool,
    ) -> None:
        self.options = options
        self.runs: list[KernelGroup] = []
        shares: list[Share] = []
        made: list[Made] = []
        try:
            for i, (group, o) in enumerate(zip(groups, options, strict=True)):
                shares += _share_out(i, group["params"], state, o, made, known[i])
            keys, entries = list(state), list(state.values())
            places = {id(p): place for place, p in enumerate(keys)}
            self._first: Work = []
            for share in shares:
                params, o = groups[share.group]["params"], options[share.group]
                self.runs.append(run := KernelGroup(share, params, places, o))
                self._first.append(run.use_flat_memory(run.call(params, keys, entries, o), flat))
        except BaseException:
            forget(state, made + [new for run in self.runs for new in run.made])
            raise
        self.uses = 0
        fleeting = any(r.undampened or r.facts.fleeting for r in self.runs)
        self.lasting = not (once or fleeting)
        if self.lasting:
            self._remember(groups, state)

    def _remember(self, groups: Groups, state: State) -> None:
        self._given = [fixed(read(group)) for group in groups]  # what the options were made of
        self._lengths, self._count = [len(group["params"]) for group in groups], len(state)
        places = ((i, place, p) for i, group in enumerate(groups) for place, p in enumerate(group["params"]))
        self._idle = [(i, place) for i, place, p in places if p.grad is None]
        mine = weakref.ref(self)

        def gone(_: Any) -> None:
            if (plan := mine()) is not None:
                plan.runs, plan._count = [], -1  # and with them the views on flat memory

        kept = [t for call in self._first for t in call.buffers + call.lost]
        self._watched = [weakref.ref(t, gone) for t in kept]
        for call in self._first:
            call.run.guard(call)

    def work(self, groups: Groups, state: State) -> Work | None:
        """Each kernel group's tensors and options, or None if anything is not as it was."""
        # which parameters they are does not matter, so long as their state and all layouts are the same
        if [len(group["params"]) for group in groups] != self._lengths or len(state) != self._count:
            return None
        read_out: dict[int, float] = {}
        for i, group in enumerate(groups):
            last, given, values = self.options[i], self._given[i], read(group)
            if all(map(is_, values, given)):
                continue  # a group whose tensor was read never gets here: its number is another object
            if (o := with_lr(last, given, values, read_out)) is not None:
                given = (o.lr, *given[1:])
            else:
                o = Options.of(group)
                if o.kind != last.kind:
                    return None
                given = fixed(values)
            self.options[i], self._given[i] = o, given
        for i, place in self._idle:
            if groups[i]["params"][place].grad is not None:
                return None
        keys, entries, work = list(state), list(state.values()), []
        try:
            for run in self.runs:
                call = run.call(groups[run.group]["params"], keys, entries, self.options[run.group])
                if not run.fits(call):
                    return None
                work.append(call)
        except KeyError:
            return None
        self.uses += 1
        return work

    def fresh_work(self) -> Work:
        """The same right after the plan was made, when there is nothing to compare."""
        work, self._first = self._first, []
        return work


def _share_out(
    group: int, params: list[Tensor], state: State, o: Options, made: list[Made], known: Known
) -> Iterable[Share]:
    """One group's parameters, by the kernel that steps them; missing state starts at 0, and is noted."""
    stepped = [(place, p, g) for place, p in enumerate(params) if (g := p.grad) is not None]
    end_to_end = joined([p for _, p, _ in stepped]) is not None
    keys = [key for key, needed in ((BUFFER, o.momentum != 0), (LOST, o.kahan)) if needed]
    held: list[Tensor | None] = []
    buffers: dict[int, Tensor] | None = None
    found: list[tuple[int, Found, list[Made]]] = []
    for place, p, g in stepped:
        if keys:
            entry = state.get(p, {})
            held = [entry.get(key) for key in keys]
        one, new = known.get(p, g, held), _NONE
        if one is None:
            if buffers is None:
                flat = end_to_end and o.momentum != 0
                buffers = flat_buffers([p for _, p, _ in stepped], state, o) if flat else {}
            one, new = _find_out(p, g, state, o, known, keys, buffers, made)
        found.append((place, one, new))
    count = sum([small for _, (_, small), _ in found])
    # to part small from large would part their memory, where they lie end to end
    many_small = count >= 4 and not (end_to_end and count < len(found))
    dampened = o.convention == "torch" and o.dampening != 0
    shares: dict[tuple[int, int, bool, bool], Share] = {}
    for time, (place, (facts, small), new) in zip(_times(stepped), found, strict=False):
        undampened = dampened and any(key == BUFFER for _, key, _ in new)
        small = small and many_small
        key = time, id(facts), small, undampened
        if (share := shares.get(key)) is None:
            share = shares[key] = Share(group, facts, small, undampened, [], [])
        share.indices.append(place)
        if new:
            share.made.extend(new)
    return [shares[key] for key in sorted(shares, key=itemgetter(0))]


def _times(stepped: list[tuple[int, Tensor, Tensor]]) -> Iterable[int]:
    """How often each parameter has come before: one that is twice in a group is stepped by two calls.

    A kernel that takes a list would do each of its lines for all of it first.
    """
    ids = [id(p) for _, p, _ in stepped]
    if len(set(ids)) == len(ids):
        return itertools.repeat(0)
    return [ids[:place].count(one) for place, one in enumerate(ids)]


def _find_out(
    p: Tensor,
    g: Tensor,
    state: State,
    o: Options,
    known: Known,
    keys: list[str],
    buffers: dict[int, Tensor],
    made: list[Made],
) -> tuple[Found, list[Made]]:
    """A parameter's facts, and what had to be made of its state."""
    if p.is_inference() and not torch.is_inference_mode_enabled():
        raise RuntimeError(
            "Inplace update to inference tensor outside InferenceMode is not allowed: the parameter of"
            f" shape {tuple(p.shape)} was made under torch.inference_mode(); make the model outside it"
        )
    before = len(made)
    if keys:
        prepare(state[p], p, g, o, made, buffers.get(id(p)))
    held = [state[p][key] for key in keys]
    refuse_unfit(p, g, state[p][BUFFER] if o.momentum != 0 else None, state[p][LOST] if o.kahan else None, o)
    return known.note(p, g, held), made[before:]


_NONE: list[Made] = []
