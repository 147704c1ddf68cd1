"""Scripts and Traces as plain data (what JSON holds) and back: for files, and for a pipe from elsewhere.

A number is a string: "9/10", "-3", "nan". Reading runs no code, and what is not of this form is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from surefoot.errors import InputError
from surefoot.trace.events import Event, Group, Move, Option, Reload, Set, Step, read_option
from surefoot.trace.script import Script
from surefoot.trace.trace import Moment, Trace
from surefoot.trace.values import Value, exact, exact_binary

__all__ = ["script_from_plain", "script_to_plain", "trace_from_plain", "trace_to_plain"]

Plain = dict[str, Any]


def script_to_plain(script: Script) -> Plain:
    """Write a script as dicts, lists, strings and booleans.

    Raises:
        InputError: it has a function to differentiate, which is no plain data; give it gradients instead.

    Example:
        >>> script = Script.of({"w": 1}, gradients=[{"w": "1/3"}], lr=0.1)
        >>> script_to_plain(script)["steps"]
        [{'gradients': {'w': '1/3'}, 'events': []}]
        >>> script_from_plain(script_to_plain(script)) == script
        True
    """
    if script.function is not None:
        raise InputError(
            "A script with a function cannot be written as plain data; give it gradients instead."
        )
    return {
        "start": _values(script.start),
        "groups": [
            {"names": list(g.names), "options": _options(g.options), "joins": g.joins} for g in script.groups
        ],
        "steps": [
            {"gradients": _values(s.given), "events": [_event(e) for e in s.events]} for s in script.steps
        ],
        "dtypes": dict(script.dtypes),
        "reuse_gradients": script.reuse_gradients,
    }


def script_from_plain(plain: Plain) -> Script:
    """Read what `script_to_plain` wrote.

    Raises:
        InputError: it is not of that form.
    """
    try:
        return Script(
            start=plain["start"],
            groups=tuple(Group(g["names"], g["options"], g["joins"]) for g in plain["groups"]),
            steps=tuple(
                Step(s["gradients"], tuple(_read_event(e) for e in s["events"])) for s in plain["steps"]
            ),
            dtypes=plain["dtypes"],
            reuse_gradients=plain["reuse_gradients"],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"This is not a script: {type(error).__name__} at {error}.") from None


def trace_to_plain(trace: Trace) -> Plain:
    """Write a trace, without its script, as dicts, lists and strings."""
    return {
        "label": trace.label,
        "start": _values(trace.start),
        "steps": [
            {
                "options": [_options(o) for o in m.options],
                "before": _values(m.before),
                "point": _values(m.point),
                "gradients": _values(m.gradients),
                "w": _values(m.w),
                "state": {n: _values(slots) for n, slots in m.state.items()},
            }
            for m in trace.steps
        ],
        "dtypes": dict(trace.dtypes),
        "state_dtypes": dict(trace.state_dtypes),
    }


def trace_from_plain(plain: Plain, script: Script) -> Trace:
    """Read what `trace_to_plain` wrote: the trace of a script.

    Raises:
        InputError: it is not of that form.
    """
    try:
        moments = tuple(
            Moment(
                options=tuple({k: read_option(v, k) for k, v in o.items()} for o in m["options"]),
                before=_read(m["before"]),
                point=_read(m["point"]),
                gradients=_read(m["gradients"]),
                w=_read(m["w"]),
                state={str(n): _read(slots) for n, slots in m["state"].items()},
            )
            for m in plain["steps"]
        )
        of_w, of_state = (
            {str(n): str(d) for n, d in plain[key].items()} for key in ("dtypes", "state_dtypes")
        )
        return Trace(script, str(plain["label"]), _read(plain["start"]), moments, of_w, of_state)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"This is not a trace: {type(error).__name__} at {error}.") from None


def _values(values: Mapping[str, Value]) -> Plain:
    return {name: _plain(value) for name, value in values.items()}


def _plain(value: Value) -> Any:
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return str(value if isinstance(value, Fraction) else exact_binary(value))


def _options(options: Mapping[str, Option]) -> Plain:
    return {k: _plain_option(v) for k, v in options.items()}


def _plain_option(value: Option) -> Any:
    return value if value is None or isinstance(value, (bool, str)) else _plain(value)


def _event(event: Event) -> Plain:
    if isinstance(event, Set):
        return {"set": event.option, "value": _plain_option(event.value), "group": event.group}
    if isinstance(event, Move):
        return {"move": event.name, "value": _plain(event.value)}
    return {"reload": True}


def _read_event(plain: Plain) -> Event:
    if "set" in plain:
        return Set(plain["set"], plain["value"], plain["group"])
    return Move(plain["move"], plain["value"]) if "move" in plain else Reload()


def _read(plain: Plain) -> dict[str, Value]:
    return {str(name): exact(value, str(name)) for name, value in plain.items()}
