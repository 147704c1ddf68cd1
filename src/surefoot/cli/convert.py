"""`surefoot convert`: hyperparameters from one convention to another."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from surefoot.cli.kinds import Decay, Flag, NamedRule, called
from surefoot.cli.streams import width

if TYPE_CHECKING:
    from cyclopts import Token

    from surefoot.rules import Rule

__all__ = ["convert"]

# a library with more than one: which of them its name stands for
_MEANT = {"mindspore": "as nn.Momentum, which has no dampening; nn.SGD is another rule"}


def _one_number(_: Any, tokens: tuple[Token, ...]) -> Any:
    """Command line text as one number; several with commas are a schedule elsewhere, and not here."""
    from cyclopts import CoercionError

    from surefoot.errors import InputError
    from surefoot.trace.values import exact, too_long

    text = tokens[0].value
    try:
        number = exact(text)
    except InputError:
        number = None
    if number is None and not too_long(text):
        several = f"takes one number here, but got several: {text!r}." if "," in text else None
        raise CoercionError(msg=several, target_type=float, token=tokens[0]) from None
    if number is None or (isinstance(number, Fraction) and number and not 1e-300 < abs(number) < 1e300):
        raise CoercionError(
            msg=f"must be a number between 10^−300 and 10^300, not {text!r}.", token=tokens[0]
        )
    return number


Number = Annotated[float | None, Parameter(converter=_one_number), called("NUMBER")]


def convert(
    *,
    from_: Annotated[NamedRule, Parameter(name="--from")],
    to: NamedRule | None = None,
    lr: Number = None,
    momentum: Number = None,
    dampening: Number = None,
    nesterov: bool | None = None,
    weight_decay: Number = None,
    decay: Decay = None,
    lr_max: Number = None,
    beta1: Number = None,
    beta2: Number = None,
    eps: Number = None,
    maximize: Flag = False,
    json: Flag = False,
) -> int:
    """Find the hyperparameters of one convention that take the same steps as those of another.

    Every answer is proved by running both rules in exact arithmetic.

    For example:
      surefoot convert --from keras --to torch --lr 0.01 --momentum 0.9
      surefoot convert --from muon --lr 0.02 --momentum 0.95

    Exit code 0: there is an equivalent; 1: there is none; 2: the input is wrong.

    Args:
        from_: The convention you have, such as torch, keras or muon: `surefoot rules` lists them.
        to: The convention you want. [default: each rule of the SGD family, one line each]
        lr: Learning rate. It and the others default to the rule's own values.
        momentum: How much of the buffer is kept from step to step.
        dampening: How much of a gradient is held back from the buffer.
        nesterov: The step looks one step ahead; muon's does unless you give --no-nesterov.
        weight_decay: Pull of each parameter towards 0.
        decay: Where it enters: l2, decoupled, after_momentum, after_step, no_lr or corrected.
        lr_max: Highest lr of the schedule, for decay "corrected".
        beta1: How much of the mean of gradients is kept, if the rule has one.
        beta2: How much of the mean of squared gradients is kept, if the rule has one.
        eps: Keeps a divisor away from 0, if the rule has one.
        maximize: Maximize instead of minimize.
        json: Print JSON.
    """
    from surefoot import rules

    given = {
        "lr": lr,
        "momentum": momentum,
        "dampening": dampening,
        "nesterov": nesterov,
        "weight_decay": weight_decay,
        "decay": decay,
        "lr_max": lr_max,
        "beta1": beta1,
        "beta2": beta2,
        "eps": eps,
        "maximize": maximize or None,
    }
    given = {k: v for k, v in given.items() if v is not None}
    source = rules.get(from_)
    _refuse(from_, source, given)
    targets = [rules.get(to)] if to is not None else [r for r in rules.SGD_FAMILY if r.name != source.name]
    found = [rules.convert(source, target, **given) for target in targets]
    if json:
        import json as library

        data = [x.to_dict() for x in found] if to is None else found[0].to_dict()
        print(library.dumps(data, indent=2, ensure_ascii=False))
    elif to is not None:
        print(found[0].text(width()))
    else:
        print("\n".join(str(x).partition("\n")[0] for x in found))
    return 0 if any(x.hyper for x in found) else 1


def _refuse(asked: str, source: Rule, given: Mapping[str, Any]) -> None:
    """Refuse a hyperparameter that the convention does not have, and say which that is, by its own name."""
    from surefoot.errors import InputError, unknown

    known = [x.name for x in source.hypers]
    for name in (n for n, value in given.items() if value and n not in known):
        said = str(unknown(f"hyperparameter of {source.name}", name, known))
        if asked.lower() != source.name:
            meant = f", {_MEANT[asked.lower()]}" if asked.lower() in _MEANT and name == "dampening" else ""
            said += f" {asked} means {source.name} here ({source.title}){meant}."
        raise InputError(said)
