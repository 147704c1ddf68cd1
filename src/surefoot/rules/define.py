"""`@rule`: make a Rule of a plain function. The rules of surefoot are made so, and so is a user's own."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, overload

from surefoot.errors import InputError, unknown
from surefoot.rules.body import Body
from surefoot.rules.hyper import H, Hyper
from surefoot.rules.hypers import FRAME, HYPERS, hyper_for
from surefoot.rules.names import LETTERS
from surefoot.rules.rule import Formula, Rule, Slot, State

__all__ = ["rule"]

# what a step that divides by 0, or a sentence of surefoot's own, is told by
_PASSING = (InputError, ArithmeticError, ValueError)
# what a step's own lines are called, which a slot of the same name would be taken for
_TAKEN = {
    "w": "the parameter",
    "g": "the gradient",
    "d": "the gradient with weight decay",
    "ascent": "the gradient turned for maximize",
    "w_decayed": "the parameter after weight decay",
    "w_stepped": "the parameter before weight decay",
}


_ABOUT = ("aliases", "source", "exact", "mistake", "look")  # fields of Rule that may be given
_VALUES = (int, float, Fraction, Hyper, type(None))


@overload
def rule(function: Callable[..., Any], /) -> Rule: ...
@overload
def rule(
    *,
    name: str | None = None,
    title: str | None = None,
    slots: Mapping[str, str] | None = None,
    aliases: tuple[str, ...] = (),
    source: str = "",
    exact: bool = True,
    mistake: str | None = None,
    look: Callable[[H, Any, State], Any] | None = None,
    **defaults: Any,
) -> Callable[[Callable[..., Any]], Rule]: ...
def rule(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    title: str | None = None,
    slots: Mapping[str, str] | None = None,
    **about: Any,
) -> Any:
    """Make a Rule of a plain function `(w, g, *slots, *, hyperparameters)`.

    The function returns the new w, followed by the new value of each slot; or it is a generator that yields
    `("b", value)` for each quantity it names and returns the new w, and then explanations show each of them.
    It uses + - * / ** alone, and `sqrt`, `sign`, `maximum` and `select` of `surefoot.rules.numbers`; a rule
    with roots is made by `rule(exact=False)`. A float in it is the decimal that is written: 0.1 is 1/10.
    The default of a slot is its value before the first gradient, None for "not there yet". `weight_decay`,
    `decay`, `lr_max` and `maximize` are added, unless the function takes one of them itself.

    Args:
        function: the formula; or leave it out and give any of the following, all of them keywords.
        name: default: the function's name.
        title: default: the first line of its docstring.
        slots: letter in the signature -> name of the slot in `optimizer.state`.
        about: aliases, source, exact, mistake, look, as in `Rule`; and hyperparameters given another default.

    Returns:
        The Rule; anything in surefoot that takes a rule's name takes it too.

    Raises:
        InputError: the signature is not of that form, or a slot is called as a line of every step is, such
            as g.

    Example:
        >>> from surefoot.rules import rule
        >>> @rule
        ... def mine(w, g, b=0, *, lr=0.5, momentum=0.5):
        ...     b = momentum * b + g
        ...     return w - lr * b, b
        >>> mine.step(mine.hyper(), 3.0, 2.0, {"b": 0})
        (2.0, {'b': 2.0})
    """
    about |= {"name": name, "title": title, "slots": slots}
    return _make(function, **about) if function is not None else lambda f: _make(f, **about)


def _make(
    function: Callable[..., Any],
    *,
    name: str | None,
    title: str | None,
    slots: Mapping[str, str] | None,
    **about: Any,
) -> Rule:
    if isinstance(function, Rule):
        raise InputError(f"{function.name!r} is already a rule; surefoot.rule makes a rule from a function.")
    if not callable(function):
        raise InputError(
            f"surefoot.rule makes a rule from a function, not from {function!r}; surefoot.rules.get finds a "
            "rule by its name."
        )
    name = str(name or getattr(function, "__name__", type(function).__name__))
    signature = inspect.signature(function)
    parameters = signature.parameters.values()
    placed = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    keywords = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
    if len(placed) < 2 or len(placed) + len(keywords) != len(parameters):
        raise InputError(
            f"The rule {name!r} takes {signature}; it must take (w, g, slots…, *, hyperparameters…)."
        )
    _refuse_order(name, [p.name for p in placed])
    for p in keywords:
        if p.default is not p.empty and not isinstance(p.default, _VALUES) and p.name not in HYPERS:
            raise InputError(
                f"The rule {name!r} has the default {p.default!r} for {p.name}; a hyperparameter must be "
                "a number, or True or False."
            )
    hyper_names = [x.name for x in keywords]
    for p in placed[2:]:
        number = p.default is p.empty or isinstance(p.default, (int, float, Fraction, type(None)))
        if not number and p.default not in hyper_names:
            raise InputError(
                f"The rule {name!r} starts its slot {p.name!r} at {p.default!r}; a slot must start at a "
                "number, at a hyperparameter given by its name, or as None."
            )
    names = {p.name: p.name for p in placed[2:]}
    for letter, slot in (slots or {}).items():
        if letter not in names:
            raise unknown(f"slot of the rule {name!r}", letter, names)
        names[letter] = slot
    for called in itertools.chain(names, names.values()):
        if called in _TAKEN:
            raise InputError(
                f"The rule {name!r} has a slot {called!r}, but this is the name of {_TAKEN[called]} in every "
                "rule; give the slot another name, such as 'b'."
            )
    kept = tuple(
        Slot(names[p.name], LETTERS.get(p.name, p.name), 0 if p.default is p.empty else p.default)
        for p in placed[2:]
    )
    hypers = tuple(
        hyper_for(p.name) if p.default is p.empty else hyper_for(p.name, p.default) for p in keywords
    )
    if not {x.name for x in FRAME} & {x.name for x in hypers}:
        hypers += FRAME
    title = title or (inspect.getdoc(function) or name).partition("\n")[0].rstrip(".")
    fields = {k: about.pop(k) for k in set(about) & {*_ABOUT}}
    needed = [
        p.name for p, x in zip(keywords, hypers, strict=False) if p.default is p.empty and x.default is None
    ]
    body = Body(name, function, names, exact=fields.get("exact", True))
    formula = _adapt(body, [x.name for x in keywords], needed)
    made = Rule(name, title, formula, hypers, kept, **fields)
    for key in about:
        if key not in made.defaults:
            takes = ["name", "title", "slots", *_ABOUT, *made.defaults]
            raise unknown(f"keyword of the rule {name!r}", key, takes)
    return made.variant(name, aliases=made.aliases, **about) if about else made


def _refuse_order(name: str, placed: list[str]) -> None:
    """Refuse a gradient before its parameter, and a hyperparameter in a slot's place."""
    if placed[0] in ("g", "grad", "gradient") and placed[1] in ("w", "p", "param", "parameter"):
        raise InputError(
            f"The rule {name!r} takes ({placed[0]}, {placed[1]}); w must come first, then its gradient."
        )
    for x in placed[2:]:
        if x in HYPERS:
            raise InputError(
                f"The rule {name!r} takes {x} before the *, where slots belong; a hyperparameter comes "
                f"after it: (w, g, slots…, *, {x}=…)."
            )


def _adapt(body: Body, keywords: list[str], needed: list[str]) -> Callable[..., Formula]:
    """The function as a formula of (h, w, g, s), the letters of its slots turned into their names."""
    function, name, names = body.function, body.name, body.slots

    def arguments(h: H, s: State) -> tuple[list[Any], dict[str, Any]]:
        for x in needed:
            if h[x] is None:
                raise InputError(
                    f"The rule {name!r} has no value for {x}; give one, as {x}=0.5, or write a default into "
                    "the rule."
                )
        return [s[x] for x in names.values()], {k: h[k] for k in keywords}

    def generated(h: H, w: Any, g: Any, s: State) -> Formula:
        old, options = arguments(h, s)
        given = [w, g, *old, *options.values()]
        run = body.on(w, g)(w, g, *old, **options)
        value = None
        try:
            while True:
                letter, value = run.send(value)
                value = yield names.get(letter, letter), body.checked(value, given)
        except StopIteration as done:
            return body.checked(done.value, given)
        except _PASSING:
            raise
        except Exception as error:
            raise body.raised(error) from error

    def returned(h: H, w: Any, g: Any, s: State) -> Formula:
        old, options = arguments(h, s)
        given = [w, g, *old, *options.values()]
        try:
            new = body.on(w, g)(w, g, *old, **options)
        except _PASSING:
            raise
        except Exception as error:
            raise body.raised(error) from error
        first, *kept = (body.checked(x, given) for x in body.unpacked(new))
        for slot, value in zip(names.values(), kept, strict=True):
            _ = yield slot, value
        return first

    return generated if inspect.isgeneratorfunction(function) else returned
