"""Which clauses there are, and which of them a user asks for."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from surefoot.check.untouched import UNTOUCHED
from surefoot.check.verdict import Clause
from surefoot.errors import InputError, nearest

__all__ = ["chosen", "clauses"]


def chosen(
    only: str | Sequence[str] | None, skip: str | Sequence[str] | None, expected: Collection[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of clauses and groups to examine and to leave out, one by one; `expected` are clauses.

    Raises:
        InputError: there is no such clause, or no such group.
    """
    picked, left = _several(only), _several(skip)
    known = clauses()
    groups = dict.fromkeys(c.group for c in known.values())
    for name in (n for n in (*picked, *left, *expected) if n not in {**known, **groups}):
        near = nearest(name, [*known, *groups])
        hint = f"{near}?" if near else "."
        raise InputError(f"Unknown clause {name!r}{hint} surefoot check --list shows all.")
    for name in (n for n in expected if n in groups):
        raise InputError(f"{name!r} is a group of clauses; what is expected to fail is one clause.")
    return picked, left


def clauses() -> dict[str, Clause]:
    """Return every clause there is, by id, in the order of examination."""
    from surefoot.check import arithmetic, contract

    found: dict[str, Clause] = dict(arithmetic.CLAUSES)
    return {**found, **contract.CLAUSES, UNTOUCHED.id: UNTOUCHED}


def _several(names: str | Sequence[str] | None) -> tuple[str, ...]:
    """Names may be given one by one, or with commas; None is none."""
    given = [names] if isinstance(names, str) else names or ()
    return tuple(n.strip() for name in given for n in name.split(","))
