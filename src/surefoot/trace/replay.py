"""Play a Script on a rule, number by number: exactly, or on whatever kind of number is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from surefoot.errors import InputError
from surefoot.rules import Rule, get
from surefoot.rules.numbers import to_mpmath
from surefoot.trace.events import Move, Set
from surefoot.trace.magnitude import Magnitude
from surefoot.trace.script import Script
from surefoot.trace.trace import Moment, Trace
from surefoot.trace.values import Number, Shape, Value, build, elements, exact, map_value, shape

__all__ = ["magnitudes", "replay"]

State = dict[str, Any]
_BITS = 3322  # of 10^1000


def replay(
    script: Script,
    rule: Rule | str,
    number: Callable[[Any], Number] = Fraction,
    *,
    follow: Trace | None = None,
    hyper_number: Callable[[Any], Number] | None = None,
) -> Trace:
    """Play a script on a rule: each element goes through `rule.step` on its own, in the numbers asked for.

    Args:
        script: what to play.
        rule: a rule or its name.
        number: makes the numbers to compute in of Fractions: `Fraction` itself (exact; for rules without
            roots), `mpmath.mpf`, `float`.
        follow: a recorded trace of the same script: each step begins from its w and, where it has the slot,
            its state, so that what one step does wrong is not held against the next. A slot that the rule
            has not written by then stays its own: some keep a buffer at momentum 0 too.
        hyper_number: the same for hyperparameters, if other than `number`.

    Returns:
        The Trace, in those numbers.

    Raises:
        InputError: an option that the rule does not have or allow; a step that cannot be computed.

    Example:
        >>> from surefoot.trace.script import Script
        >>> script = Script.of({"w": 2}, gradients=[{"w": 18}, {"w": 17}], lr="1/1000", momentum="9/10")
        >>> replay(script, "torch").steps[1].state
        {'w': {'momentum_buffer': Fraction(166, 5)}}
    """
    rule = get(rule)
    if getattr(number, "__module__", "").startswith("mpmath"):  # its mpf takes no Fraction
        number = to_mpmath
    shapes = {n: shape(v) for n, v in script.start.items()}

    def make(x: Number) -> Number:  # NaN and the infinities are floats, and stay so
        return x if type(x) is number or isinstance(x, float) else number(x)

    w = {n: map_value(make, v) for n, v in script.start.items()}
    start = dict(w)
    states: dict[str, list[State]] = {}  # name → the state of each element; absent before the first gradient
    starts: dict[str, State] = {}  # name → the state that it had then
    options = [dict(group.options) for group in script.groups]
    moments: list[Moment] = []
    for t, step in enumerate(script.steps, 1):
        if follow is not None and t > 1:
            w = {n: map_value(make, v) for n, v in follow.steps[t - 2].w.items()}
            _adopt(states, follow.steps[t - 2].state, moments[-1].state, shapes, make)
        for event in step.events:
            if isinstance(event, Set):
                for index in event.meant(len(options)):
                    options[index][event.option] = event.value
            elif isinstance(event, Move):
                w[event.name] = map_value(make, event.value)
        before = dict(w)
        try:
            if t == 1 or step.events:
                hypers = [rule.hyper(**o).map(lambda x: (hyper_number or number)(exact(x))) for o in options]
                h = {n: hypers[script.group_of(n)] for n in script.names}
            point = {n: _point(rule, h[n], w[n], states.get(n)) for n in script.names}
            gradients = step.gradients
            if gradients is None:
                assert script.function is not None  # a Script without either is refused when it is made
                gradients = script.function.gradient(point, number)
            given = {n: map_value(make, g) for n, g in gradients.items()}
            for name, g in given.items():
                if script.groups[script.group_of(name)].joins <= t:
                    starts.setdefault(name, rule.init(h[name], w[name]))
                    w[name], states[name] = _step(rule, h[name], w[name], g, states.get(name))
        except InputError as error:
            raise InputError(f"At step {t}: {error}") from None
        except (ZeroDivisionError, OverflowError):
            raise InputError(
                f"At step {t}: a division by zero, or a number too large, in rule {rule.name!r}."
            ) from None
        except ValueError as error:  # the root of what rounding made negative
            raise InputError(f"At step {t}: {error} in rule {rule.name!r}.") from None
        for name in given:
            if any(_has_run_away(x) for x in elements(w[name])):
                raise InputError(
                    f"At step {t}: {name} has grown beyond 10^1000; a smaller lr may keep it finite."
                )
        state = {n: _collect(s, starts[n], shapes[n]) for n, s in states.items()}
        moments.append(Moment(tuple(map(dict, options)), before, point, given, dict(w), state))
    return Trace(script, rule.name, start, tuple(moments))


def magnitudes(script: Script, rule: Rule | str, *, follow: Trace | None = None) -> Trace:
    """Run the rule on absolute values: the Θ̄ of `compare`, for every number of the rule's trace.

    Args:
        script: what to play.
        rule: a rule or its name.
        follow: as in `replay`.

    Returns:
        The Trace, in numbers that carry such a bound; `float` gives it.

    Raises:
        InputError: an option that the rule does not have or allow; a step that cannot be computed.
    """

    def hyper_number(x: Fraction) -> Number:  # 0.9 is rounded, so 1 − 0.9 is a cancellation; 0.75 is not
        return float(x) if x == float(x) else Magnitude.of(x)

    return replay(script, rule, Magnitude.of, follow=follow, hyper_number=hyper_number)


def _has_run_away(x: Number) -> bool:
    """Whether an mpmath number is too large to be wanted in writing; floats become inf by themselves."""
    if not hasattr(x, "man_exp"):
        return False
    return bool(x.exp + x.bc > _BITS or (x.man == 0 and abs(x) > 1))  # the infinities have no bits


def _point(rule: Rule, h: Any, w: Value, states: list[State] | None) -> Value:
    """Where the gradient is taken; a rule that looks ahead needs its state for it."""
    if rule.look is None:
        return w
    numbers = list(elements(w))
    states = states or [rule.init(h, x) for x in numbers]
    return build(shape(w), [rule.point(h, x, s) for x, s in zip(numbers, states, strict=True)])


def _step(rule: Rule, h: Any, w: Value, g: Value, states: list[State] | None) -> tuple[Value, list[State]]:
    numbers = list(elements(w))
    states = states or [rule.init(h, x) for x in numbers]
    done = [rule.step(h, x, d, s) for x, d, s in zip(numbers, elements(g), states, strict=True)]
    return build(shape(w), [x for x, _ in done]), [s for _, s in done]


def _collect(states: list[State], start: State, shape: Shape) -> dict[str, Value]:
    """Make slot → value of each element's slot → number, without slots that have not been written."""
    if not states:
        return {}
    slots = [slot for slot, x in states[0].items() if x is not start[slot]]
    return {slot: build(shape, [s[slot] for s in states]) for slot in slots}


def _adopt(
    states: dict[str, list[State]],
    recorded: Mapping[str, Mapping[str, Value]],
    written: Mapping[str, Mapping[str, Value]],
    shapes: Mapping[str, Shape],
    number: Callable[[Any], Number],
) -> None:
    """Replace what a rule's states hold by what was recorded under a slot that the rule has written too."""
    for name, mine in states.items():
        for slot, value in recorded.get(name, {}).items():
            if slot in written.get(name, {}) and shape(value) == shapes[name]:
                for s, x in zip(mine, elements(value), strict=True):
                    s[slot] = number(x)
