"""Which clauses there are, and which of them a user asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from surefoot.check.homework import NAME
from surefoot.check.protocol import Plan
from surefoot.check.untouched import UNTOUCHED
from surefoot.check.verdict import Clause
from surefoot.errors import InputError, nearest

__all__ = ["NOT_ASKED", "clauses", "not_asked", "planned"]

NOT_ASKED = "Not asked: "  # a note's beginning


def planned(
    only: str | Sequence[str] | None = None,
    skip: str | Sequence[str] | None = None,
    expected: Mapping[str, str] | None = None,
    *,
    quick: bool = False,
    deep: bool = False,
    seed: int = 0,
) -> Plan:
    """What is to be examined; `only` and `skip` name clauses, groups or "homework", `expected` clauses.

    Raises:
        InputError: there is no such clause or group, or none is left.
    """
    if not isinstance(expected, Mapping | None):
        raise InputError(
            "expected_failures must map each clause to a reason, as in {'sparse': 'not supported'}, but it "
            "is "
            f"{expected!r}."
        )
    expected = expected or {}
    if quick and deep:
        raise InputError("quick and deep cannot be combined; choose one.")
    picked, left = _several(only), _several(skip)
    known = clauses()
    groups = dict.fromkeys([*(c.group for c in known.values()), NAME])
    for name in (n for n in (*picked, *left, *expected) if n not in {**known, **groups}):
        near = nearest(name, [*known, *groups])
        hint = f"{near}?" if near else "."
        raise InputError(f"Unknown clause {name!r}{hint} `surefoot check --list` shows all.")
    for name in (n for n in expected if n in groups):
        raise InputError(f"{name!r} is a group of clauses; name single clauses that are expected to fail.")
    plan = Plan(seed=seed, quick=quick, deep=deep, only=picked, skip=left)
    if not any(map(plan.wants, known.values())):
        named = {"only": ",".join(picked), "skip": ",".join(left)}
        said = ["quick"] * quick + [f"{k}={v}" for k, v in named.items() if v]
        raise InputError(f"{' and '.join(said)} leave{'s' * (len(said) == 1)} no clause to examine.")
    return plan


def not_asked(plan: Plan) -> str:
    """Say that homework leaves clauses out, and how many; nothing where all are examined, or others."""
    if NAME not in plan.only:
        return ""
    left = [not plan.wants(c) for c in clauses().values()]
    return (
        f"{NOT_ASKED}{sum(left)} of {len(left)} clauses, which are not part of the homework;"
        " surefoot check --list --only homework shows those that are."
    )


def clauses() -> dict[str, Clause]:
    """Return every clause there is, by id, in the order of examination."""
    from surefoot.check import contract
    from surefoot.check.arithmetic import examine as arithmetic

    found: dict[str, Clause] = dict(arithmetic.CLAUSES)
    return {**found, **contract.CLAUSES, UNTOUCHED.id: UNTOUCHED}


def _several(names: str | Sequence[str] | None) -> tuple[str, ...]:
    """Names may be given one by one, or with commas; None is none."""
    given = [names] if isinstance(names, str) else names or ()
    return tuple(n.strip() for name in given for n in name.split(","))
