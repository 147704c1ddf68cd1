"""When two rules that make the same steps go on doing so, and how one takes over from the other."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from surefoot.rules.agree import agree, response, run
from surefoot.rules.calls import refused, show
from surefoot.rules.hyper import H
from surefoot.rules.hypers import DECAYS
from surefoot.rules.rule import Rule
from surefoot.rules.table import get

__all__ = ["agree_under", "conditions"]


def conditions(source: Rule, h: H, target: Rule, h2: H) -> tuple[str, str, str]:
    """When the two agree, what a schedule does, and how state is carried over: three texts."""
    lr, momentum, both = (
        agree_under(names, source, h, target, h2) for names in (("lr",), ("momentum",), ("lr", "momentum"))
    )
    kept = [name for name, free in (("lr", lr), ("momentum", momentum)) if not free]
    stays = "does not change" if len(kept) == 1 else "do not change"
    while_kept = f", while {' and '.join(kept)} {stays}" if kept else ""
    holds = f"They take the same steps, from the first on{while_kept}."
    for rule in {source.name: source, target.name: target}.values():
        if rule.look is not None and source.look is not target.look:
            holds += f" For {rule.name} these are steps of the point where it takes the gradient, not of w."
    if not agree(source, h, target, h2, moved=1):
        holds += " They diverge if anything else changes w between steps."
    elif momentum and not agree_under(("momentum",), source, h, target, h2, moved=1):
        holds += " With momentum they diverge if anything else changes w between steps."
    if h2.get("weight_decay") and h2.decay != target.hyper().decay:
        place = DECAYS[h2.decay].partition(") ")[2]
        holds += f" {target.name} itself does not have this weight decay: {place}."
    for said in dict.fromkeys((refused(source, h), refused(target, h2))):
        holds += f" {said}." if said else ""
    if lr:
        only = "" if both or not momentum else " while momentum is 0"
        schedule = f"If lr changes, {_together(source, h, target, h2)}; then they still agree{only}."
    elif h.get("weight_decay") or not (source.slots and target.slots):
        schedule = "If lr changes, they diverge: these values are for this lr."
    else:
        schedule = _parting(source, target, h.get("nesterov") or h2.get("nesterov"))
    if not momentum:
        schedule += f"\nIf momentum changes, they diverge: these values are for {show(h.momentum)}."
    return holds, schedule, _carried(source, h, target, h2)


def agree_under(names: tuple[str, ...], source: Rule, h: H, target: Rule, h2: H, *, moved: int = 0) -> bool:
    """Whether they still agree after these hyperparameters change alike in both, and w by `moved`.

    What is 0 now may be another number later, as lr is in a warm-up.
    """
    if "momentum" in names and "momentum" not in h:
        names = tuple(x for x in names if x != "momentum")
    off, scale = not (h.lr or h2.lr), _scale(source, h, target, h2)
    if off and names == ("momentum",):  # at lr 0 nothing tells one momentum from another
        moving = h.replace(lr=1), h2.replace(lr=scale)
        h, h2 = moving if agree(source, moving[0], target, moving[1]) else (h, h2)
    ways = [(h, h2)]
    if "momentum" in names:
        value = h.momentum / 2 if h.momentum else Fraction(1, 2)
        ways = [(_with_momentum(h, value), _with_momentum(h2, value))]
    if "lr" in names and not off:
        ways = [(a.replace(lr=h.lr / 2), b.replace(lr=h2.lr / 2)) for a, b in ways]
    elif "lr" in names:  # two, since a rule of the user's own may take the square of lr
        ways = [(a.replace(lr=lr), b.replace(lr=lr * scale)) for a, b in ways for lr in (1, Fraction(1, 2))]
    return all(agree(source, h, target, h2, then=then, moved=moved) for then in ways)


def _with_momentum(h: H, value: Fraction) -> H:
    """The same with another momentum; Lion that is Signum has it in both betas."""
    names = ["momentum"] if "momentum" in h else [x for x in ("beta1", "beta2") if x in h]
    return h.replace(**dict.fromkeys(names, value))


def _scale(source: Rule, h: H, target: Rule, h2: H) -> Fraction:
    """How many times the source's lr the target's must be, where both are 0 now."""
    if h.lr or h2.lr:
        return Fraction(1)
    ours, theirs = response(source, h.replace(lr=1)), response(target, h2.replace(lr=1))
    if not (ours and theirs and ours[0][0] and theirs[0][0]):
        return Fraction(1)
    return max(Fraction(0), Fraction(ours[0][0] / theirs[0][0]))


def _together(source: Rule, h: H, target: Rule, h2: H) -> str:
    """How a new lr is given to both."""
    if h.lr or h2.lr:
        return "multiply both by the same factor"
    scale = _scale(source, h, target, h2)
    if scale == 1:
        return "give both the same lr"
    return f"give {target.name} {show(scale)} times that of {source.name}"


def _parting(source: Rule, target: Rule, nesterov: Any) -> str:
    """By how much a new lr parts a rule whose slot holds lr from one whose buffer does not."""
    holder, other = sorted((source, target), key=lambda r: r.slots[0].name == "momentum_buffer")
    its = "its w" if holder.look is None else "the point where it takes the gradient"
    return (
        f"If lr changes, they diverge: what {holder.name} carries over contains the old lr, so at that step "
        f"{its} is {'μ²' if nesterov else 'μ'} b (γ_new − γ_old) above "
        f"{other.name}'s{'' if holder.look is None else ' w'}, "
        f"where b is {other.name}'s buffer before the step and γ its lr."
    )


def _carried(source: Rule, h: H, target: Rule, h2: H) -> str:
    """The target's buffer as a multiple of the source's, if it is one, and its w where that is another."""
    if not (source.exact and target.exact):
        return ""
    pairs = list(zip(run(source, h)[1], run(target, h2)[1], strict=True))
    if any(a is None or b is None for a, b in pairs):
        return ""
    factors = {b / a if a and b else None for a, b in pairs if a or b}  # where both are 0, any would do
    factor = factors.pop() if factors else None
    if factors or factor is None:
        return ""
    ours, theirs = f"{source.slots[0].name} of {source.name}", f"{target.slots[0].name} of {target.name}"
    moved = _moved(source, h, target, h2)
    return "" if moved is None else f"In the middle of a run: {theirs} = {_times(factor)}{ours}{moved}."


def _moved(source: Rule, h: H, target: Rule, h2: H) -> str | None:
    """How w is carried over where one of the two keeps another point than the other; None if unknown."""
    if source.look is target.look:
        return ""
    if (source.look or target.look) is not get("sutskever").look or (source.look and target.look):
        return None
    ahead = h.momentum if source.look else h2.momentum
    if not ahead:
        return ""
    if source.look:
        return f", and w of {target.name} = w + {_times(ahead)}velocity of {source.name}"
    return f", and w of {target.name} = w of {source.name} − {_times(ahead)}that velocity"


def _times(factor: Fraction) -> str:
    return "" if factor == 1 else f"{show(factor).replace('-', '−')} × "
