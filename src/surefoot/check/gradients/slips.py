"""Classic mistakes of a backward written by hand, named where the slopes measured leave no other."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from surefoot.check.gradients.slope import Slope
from surefoot.check.gradients.surface import Direction, Surface
from surefoot.errors import InputError

__all__ = ["named_slips"]

_ROWS = 64  # of a batch of more, single rows are not looked at
_KNOWN = 100  # a slope so many times its error proves something
_NEAR = 1e-5  # relative, as of a slope that is right

Measured = list[tuple[Direction, Slope]]


def named_slips(
    surface: Surface,
    gradients: dict[str, Tensor],
    plan: dict[str, list[Direction]],
    found: dict[str, list[Slope]],
) -> dict[str, str]:
    """A sentence for each leaf whose wrong gradient is explained by one mistake, and by one alone.

    Each mistake says what the right gradient would be; it explains the wrong one if that has all the slopes
    that were measured, and more than one of them is known well.

    Args:
        surface: rows of its batch are looked at.
        gradients: autograd's, at the start.
        plan: the directions measured.
        found: the slopes along them.
    """
    wrong = [n for n, slopes in found.items() if any(s.verdict == "wrong" for s in slopes)]
    here = {n: [(v, s) for v, s in zip(plan[n], found[n], strict=True) if not s.aside] for n in found}
    named = {}
    for n in wrong:
        proven = [s for _, s in here[n] if s.verdict == "wrong" and _known(s)]
        complex_ = surface.leaves[n].is_complex()
        if len({s.numeric for s in proven}) < 2 or complex_:
            continue
        if _scaled(proven):  # what one factor explains is nothing else
            told = _factors(proven[0].autograd / proven[0].numeric, surface)
        else:
            told = [said for said, right in _turned(gradients[n]) if _fits(right, here[n])]
            told += _misplaced(n, gradients, here)
        if len(told) == 1:
            named[n] = told[0]
    left = [n for n in wrong if n not in named and not surface.leaves[n].is_complex()]
    left = [n for n in left if not _scaled([s for _, s in here[n] if _known(s)])]
    return named | (_of_rows(surface, left, here) if left else {})


def _factors(ratio: float, surface: Surface) -> list[str]:
    """What a factor may be: of a mean over the batch, or of a square."""
    rows, elements = surface.evaluate.rows, surface.evaluate.elements
    counts = {rows: f"The batch has {rows} rows"}
    counts.setdefault(elements, f"The loss compares {elements} numbers")
    found = []
    for count, said in counts.items():
        if count > 1 and abs(ratio - count) < _NEAR * count:
            found.append(f"{said}: is the 1/{count} of a mean missing?")
        if count > 1 and abs(ratio * count - 1) < _NEAR:
            found.append(f"{said}: is a mean taken for a sum, or taken twice?")
    return [*found, "Is the 2 of a square's slope missing?"] if abs(ratio - 0.5) < _NEAR else found


def _turned(gradient: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Of a matrix: what the right gradient is, if this one is its transpose."""
    if gradient.ndim != 2 or min(gradient.shape) < 2:
        return
    rows, columns = gradient.shape
    if rows == columns:
        ways = [("The gradient is the transpose of the right one", gradient.T)]
    else:
        ways = [
            (
                f"The gradient is the transpose of the right one, {columns}×{rows}, read row by row as "
                f"{rows}×{columns}",
                gradient.reshape(columns, rows).T,
            )
        ]
    for said, right in ways:
        yield f"{said}.", right
        yield f"{said}, with the wrong sign.", -right


def _misplaced(name: str, gradients: dict[str, Tensor], here: dict[str, Measured]) -> list[str]:
    """Whose gradient of the same shape this is, by the slopes measured of that one."""
    own = gradients[name]
    alike = [n for n, g in gradients.items() if n != name and g.shape == own.shape]
    found = []
    for n in alike:
        if len({s.numeric for _, s in here[n] if _known(s)}) > 1 and _fits(own, here[n]):
            swapped = _fits(gradients[n], here[name])
            found.append(f"The gradient is that of {n}{': the two are swapped' if swapped else ''}.")
    return found


def _of_rows(surface: Surface, names: list[str], here: dict[str, Measured]) -> dict[str, str]:
    """Of which the gradients of single rows of the batch are right, and that of all rows is not."""
    count = surface.evaluate.rows
    if not 2 <= count <= _ROWS:
        return {}
    try:
        losses, each = zip(*(surface.row(i) for i in range(count)), strict=True)
    except InputError:
        return {}
    whole = surface.start
    share = next((k for k in (1.0, 1 / count) if abs(sum(losses) * k - whole) <= 1e-9 * abs(whole)), None)
    if share is None or not whole:
        return {}
    said = (
        f"The gradients of the batch's {count} rows, each alone, add up to the right one: is the sum over "
        "the batch missing, or one row used for all?"
    )
    sums = {n: sum((g[n] for g in each), torch.zeros(())) * share for n in names}
    several = {
        n: len({s.numeric for _, s in here[n] if s.verdict == "wrong" and _known(s)}) > 1 for n in names
    }
    return {n: said for n in names if several[n] and _fits(sums[n], here[n])}


def _known(s: Slope) -> bool:
    return abs(s.numeric) > _KNOWN * s.error


def _scaled(slopes: list[Slope]) -> bool:
    """Whether one factor, as 0 or −1, makes all of autograd's numbers of the slopes."""
    ratios = [s.autograd / s.numeric for s in slopes]
    return bool(ratios) and max(ratios) - min(ratios) <= _NEAR * abs(ratios[0])


def _fits(right: Tensor, measured: Measured) -> bool:
    """Whether a gradient has all the slopes measured."""
    for v, s in measured:
        slope = (right[v] if isinstance(v, tuple) else (right * v).sum()).item()
        if not abs(slope - s.numeric) <= 4 * s.error + _NEAR * max(abs(slope), abs(s.numeric)):
            return False
    return bool(measured)
