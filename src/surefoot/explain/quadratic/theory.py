"""A rule on a quadratic, in words: its step as a matrix, whether stable, how fast, what would be best."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from surefoot.explain.quadratic.quadratic import Quadratic, in_range
from surefoot.explain.quadratic.roots import characteristic, gap, stable
from surefoot.explain.quadratic.transition import gap_of, swings, transition
from surefoot.explain.quadratic.tuning import Tuning, best_momentum
from surefoot.rules import H, Rule, get
from surefoot.trace.values import exact

__all__ = ["Momentum", "as_momentum", "report"]

# formula → the factor that makes its lr that of classical momentum (or Nesterov's), and how that is written;
# by the formula, since a rule of the user's own may have any name
_GAIN: dict[Any, tuple[Callable[[H], Any], str]] = {
    **dict.fromkeys(
        (get(x).formula for x in ("torch", "mlx")),
        (lambda h: 1 - h.dampening if h.momentum else 1, "(1 − τ)"),
    ),
    **dict.fromkeys(
        (get(x).formula for x in ("optax", "keras", "sutskever", "heavy_ball")), (lambda h: 1, "")
    ),
    **dict.fromkeys((get(x).formula for x in ("ema", "ema_first")), (lambda h: 1 - h.momentum, "(1 − μ)")),
}


def report(f: Quadratic, rule: Rule, h: H) -> list[str]:
    """Return what is known about a rule on a quadratic, as lines of text.

    Args:
        f: the quadratic.
        rule: the rule.
        h: its hyperparameters.

    Returns:
        The lines: what f is, whether the rule is stable and how fast, what would be best.

    Example:
        >>> from surefoot.rules import get
        >>> torch = get("torch")
        >>> print(report(Quadratic((1, 100)), torch, torch.hyper(lr=0.01, momentum=0.9))[1])
        Stable: 0 < lr·h < 2(1 + μ) = 3.8 (Polyak 1987); here lr·h is 0.01 to 1.
    """
    several = len(f.curvatures) > 1
    known = (
        "curvatures h, the eigenvalues of its Hessian, are"
        if several
        else "curvature h, its second derivative, is"
    )
    alike = "all " if several and len(set(f.curvatures)) == 1 else ""
    head = f"f is quadratic; its {known} {alike}{f.span()}"
    if not any(f.curvatures):
        return ["f is linear: it has no curvature, and no minimum." if f.sloped else "f is constant."]
    if h.get("maximize"):
        return [f"{head}. The rule maximizes f, so no theory of descent applies."]
    if f.sloped and f.curvatures[0] >= 0:
        return [f"{head}. It has a slope in a direction without curvature, so it has no minimum."]
    if not f.convex:
        return [f"{head}: it has no minimum."]
    kappa = "∞" if math.isinf(f.condition) else f"{f.condition:.4g}"
    lines = [f"{head}, and its condition number is κ = {kappa}." if several else f"{head}."]
    decays = bool(h.get("weight_decay"))
    if flat := sum(x == 0 for x in f.curvatures):
        moves = "only weight decay moves w" if decays else "nothing moves"
        lines.append(f"It is flat in {flat} direction{'s' * (flat > 1)}, along which {moves}.")
    beside = ", without weight decay" if decays else ""
    best = _best(f, beside)
    if not in_range(h[x.name] for x in rule.hypers if x.is_number):
        return [*lines, "Rates are not computed for hyperparameters beyond 10^±100.", *best]
    if as_momentum(rule, h) is None and transition(rule, h.map(exact), f.curvatures[-1]) is None:
        best = _best(f, beside, of=" for gradient descent")  # not this rule's
    return [*lines, *_stability(f, rule, h.map(exact)), *best]


def _stability(f: Quadratic, rule: Rule, h: H) -> list[str]:
    """Say whether the rule is stable, by the condition known for it or else by its matrix, and its rate."""
    decays = bool(h.get("weight_decay"))  # which moves w where f is flat, too
    curvatures = [Fraction(x) for x in sorted(set(f.curvatures)) if x != 0 or decays]
    known = as_momentum(rule, h)
    if known is None:
        matrices = [transition(rule, h, x) for x in curvatures]
        if None in matrices:
            return [
                f"{rule.title}: its step is not a fixed linear map of w and state, so there is no such rate."
            ]
        found = [m for m in matrices if m is not None]
        words = "Stable" if min(map(gap_of, found)) > 0 else "Unstable"
        return [f"{words}: {_rate(list(map(gap_of, found)), curvatures, list(map(swings, found)))}."]
    gain, written, shift, nesterov = known
    lr, mu = h.lr * gain, h.momentum
    pairs = [characteristic(lr, mu, x + shift, nesterov=nesterov) for x in curvatures]
    gaps = [gap(*pair) for pair in pairs]
    edges = (float(curvatures[0] + shift), float(curvatures[-1] + shift))
    rate = _rate(gaps, curvatures, [pair == (-2, 1) for pair in pairs])
    rates = [f"Rate: {rate}.", *_for_this_lr(rule, h, best_momentum(float(lr), *edges, nesterov=nesterov))]
    bound, limit = (
        "2(1 + μ)/(1 + 2μ)" if nesterov else "2(1 + μ)",
        2 * (1 + mu) / (1 + 2 * mu if nesterov else 1),
    )
    product = f"lr{written}·" + ("(h + weight_decay)" if shift else "h")
    low, high = (f"{float(lr * (x + shift)):.4g}" for x in (curvatures[0], curvatures[-1]))
    source = "" if nesterov else " (Polyak 1987)"
    least = 1 - 1 / mu if nesterov and mu > 1 else Fraction(0)
    above = f"1 − 1/μ = {float(least):.4g}" if least else "0"
    needs = f"{above} < {product} < {bound} = {float(limit):.4g}"
    if all(stable(*pair) for pair in pairs):
        here = low if low == high else f"{low} to {high}"
        return [f"Stable: {needs}{source}; here {product} is {here}.", *rates]
    if mu >= 1 and not nesterov:
        return [f"Unstable: μ = {float(mu):.4g}, but it must be below 1{source}.", *rates]
    if lr <= 0:
        away = "w climbs" if lr else "nothing moves"
        if not gain and h.lr and rule.formula is get("torch").formula:
            away = "only the first gradient moves w, since it is not dampened"
        return [f"Unstable: {needs} is needed{source}, but {product} is {low}: {away}."]
    most, fewest = limit / (curvatures[-1] + shift) / gain, least / (curvatures[0] + shift) / gain
    if fewest >= most:
        missed = (
            f"no lr satisfies this at both h = {float(curvatures[0]):.4g} and {float(curvatures[-1]):.4g}"
        )
    elif h.lr >= most:
        missed = f"{product} is {high} at h = {float(curvatures[-1]):.4g}; lr must be below {float(most):.4g}"
    else:
        missed = f"{product} is {low} at h = {float(curvatures[0]):.4g}; lr must be above {float(fewest):.4g}"
    return [f"Unstable: {needs} is needed{source}, but {missed}.", *rates]


class Momentum(NamedTuple):
    """How a rule reads as classical or Nesterov momentum: its lr counts `gain` times, h grows by `shift`."""

    gain: Any
    written: str  # the gain in a formula
    shift: Any
    nesterov: bool


def as_momentum(rule: Rule, h: H) -> Momentum | None:
    """Return how a rule reads as momentum, or None if it is no such rule."""
    if rule.formula not in _GAIN or h.get("maximize") or (h.get("weight_decay") and h.get("decay") != "l2"):
        return None
    find, written = _GAIN[rule.formula]
    gain = find(h)
    nesterov = bool(h.get("nesterov", False)) or rule.look is not None
    if nesterov and written == "(1 − τ)" and gain != 1:
        return None  # torch refuses it, and its gradient then counts in two ways
    return Momentum(gain, written if gain != 1 else "", h.get("weight_decay", 0), nesterov)


def _for_this_lr(rule: Rule, h: H, best: Tuning | None) -> list[str]:
    """Say which momentum is best with the lr as it is, where momentum has no say in what the lr counts."""
    if best is None or h.get("dampening") or _GAIN[rule.formula][1] == "(1 − μ)":
        return []
    return [f"With this lr the best momentum is {_factor(1 - best.momentum)}: rate {_factor(best.gap)}."]


def _rate(gaps: Sequence[float], curvatures: Sequence[Any], swings: Sequence[bool]) -> str:
    """Say what the factor 1 − gap does to the error, where the gap is least.

    `swings` says where −1 is a double root: w = 1, −3, 5, −7, … grows although the factor is 1.
    """
    gap = min(gaps)
    if gap == 0 and any(swings):
        at = f"at h = {float(curvatures[list(swings).index(True)]):.4g}"
        return f"in the end the error grows by the same amount in each step ({at}, where −1 is a double root)"
    curvature = curvatures[list(gaps).index(gap)]
    where = f"in the end each step multiplies the error by {_factor(gap)} (at h = {float(curvature):.4g})"
    if gap > 0:
        return f"{where}: {_steps(gap)} steps for a decimal digit" if gap < 1 else f"{where}: it is gone"
    return f"{where}: it grows tenfold in {_steps(gap)} steps" if gap < 0 else f"{where}: it never settles"


def _factor(gap: float) -> str:
    """Write 1 − gap, also where it differs from 1 only far behind the point."""
    rounded = f"{1 - gap:.4g}"
    return f"1 {'−' if gap > 0 else '+'} {abs(gap):.3g}" if gap and rounded == "1" else rounded


def _steps(gap: float) -> str:
    """Return in how many steps the error changes tenfold."""
    steps = abs(math.log(10) / math.log1p(-gap)) if gap < 1 and gap else 0
    if not 1000 <= steps < 1e7:
        return f"{steps:.3g}" if steps else "–"
    return f"{float(f'{steps:.3g}'):,.0f}"


def _best(f: Quadratic, beside: str, of: str = "") -> list[str]:
    """Return the best settings as a table, with their sources; one for all where the curvatures are equal."""
    ratio = f.largest / f.smallest
    if ratio == 1:
        best = f"lr 1/h = {1 / f.largest:.4g} without momentum, whose first step reaches the minimum"
        return [f"The best there is{of}{beside}: {best}."]
    rows = [("method", "lr", "momentum", "rate", "steps a digit", "source")]
    for t in f.best():
        momentum, rate = _factor(1 - t.momentum), _factor(t.gap)
        rows.append((t.method, f"{t.lr:.4g}", momentum, rate, _steps(t.gap), t.source))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = ("  " + "  ".join(x.ljust(n) for x, n in zip(row, widths, strict=True)).rstrip() for row in rows)
    where = " where f is not flat," if math.isinf(f.condition) else ""
    return [f"The best there is{where} for κ = {ratio:.4g}{beside}:", *table]
