"""What an optimizer's groups call an option that its constructor calls otherwise: `lr` for `learning_rate`.

Schedulers write into the groups, and groups differ in them: an option is changed by its key there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from surefoot.trace.keys import Key

__all__ = ["group_keys"]

_NUMBERS = (bool, int, float)


def group_keys(make: Callable[[Mapping[str, Any]], Any], options: Mapping[str, Any]) -> dict[str, Key]:
    """Return option → key, for numbers and switches that the groups hold under another name, or in a tuple.

    Args:
        make: makes an optimizer with some options; None, or one without groups, where it cannot.
        options: option → default.
    """
    usual = _group(make({}))
    numbers = {o: v for o, v in options.items() if isinstance(v, int | float)}
    left = [o for o in numbers if usual and o not in usual]
    found = {o: key for o in left if (key := _key(make, o, numbers)) is not None}
    parts = {tuple(key[:2]) for key in found.values() if not isinstance(key, str)}

    def whole(key: Key) -> bool:
        """A tuple can be told by options alone if each of its places is one's."""
        return isinstance(key, str) or all((key[0], place) in parts for place in range(len(key[2])))

    return {o: key for o, key in found.items() if whole(key)}


def _key(make: Callable[[Mapping[str, Any]], Any], option: str, numbers: Mapping[str, Any]) -> Key | None:
    """The one key, or place in a tuple, that an option changes, to what it is given."""
    # a switch may be refused without another option, as nesterov is without momentum
    others = ({o: v + 0.5} for o, v in numbers.items() if o != option and not isinstance(v, bool))
    for beside in ({}, *others):
        usual = _places(_group(make(beside)))
        for value in _values(numbers[option]):
            if usual and (there := _places(_group(make({**beside, option: value})))):
                told = [place for place, v in there.items() if not _same(v, usual.get(place))]
                if len(told) != 1 or told[0] in numbers or not _same(there[told[0]], value):
                    return None  # one that is an option itself is only reckoned from this one
                place = told[0]
                if isinstance(place, str):
                    return place
                key, index = place
                return key, index, _group(make({}))[key]
    return None


def _places(group: Mapping[str, Any]) -> dict[Any, Any]:
    """Key → number, and (key, place) → number for those in tuples."""
    found = {k: v for k, v in group.items() if type(v) in _NUMBERS}
    tuples = ((k, v) for k, v in group.items() if isinstance(v, tuple) and {*map(type, v)} <= {*_NUMBERS})
    return {**found, **{(k, i): x for k, v in tuples for i, x in enumerate(v)}}


def _group(made: Any) -> dict[str, Any]:
    groups = getattr(made, "param_groups", None)
    if not isinstance(groups, list) or len(groups) != 1 or not isinstance(groups[0], dict):
        return {}
    return groups[0]


def _values(default: Any) -> Iterator[Any]:
    """Other values that are likely to be accepted."""
    if isinstance(default, bool):
        yield not default
        return
    yield from (v for v in (default / 2, default * 0.75 + 0.125, 0.5) if v != default)


def _same(a: Any, b: Any) -> bool:
    return type(a) in _NUMBERS and type(b) in _NUMBERS and a == b
