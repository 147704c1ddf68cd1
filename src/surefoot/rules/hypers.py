"""The hyperparameters that the field knows: their letters, defaults, domains."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from surefoot.rules.hyper import Hyper

__all__ = ["AVERAGING", "DECAYS", "FRAME", "HYPERS", "hyper_for"]

# where weight decay enters; the letters are those of the table in docs/rules.md
DECAYS = {
    "l2": "(a) into the gradient, before momentum",
    "decoupled": "(b) w shrinks by γλ before the step",
    "after_momentum": "(c) λw is added to the step, after momentum",
    "after_step": "(d) w shrinks by γλ after the step",
    "no_lr": "(e) w shrinks by λ, without the learning rate, before the step",
    "corrected": "(f) w shrinks by λγ²/γ_max before the step",
}


def _number(name: str, default: Any, letter: str, latex: str, meaning: str, bounds: str = "[0,") -> Hyper:
    """A number whose bounds are written as an interval: `[0,1)`, `(0,`, or nothing."""
    low, _, high = bounds.partition(",")
    lo = int(low[1:]) if low[1:] else None
    hi = int(high[:-1]) if high[:-1] else None
    left = f"{lo:g} {'<' if low[0] == '(' else '≤'} " if lo is not None else ""
    right = f" {'<' if high[-1] == ')' else '≤'} {hi:g}" if hi is not None else ""
    domain = (
        f"{letter} {'>' if low[0] == '(' else '≥'} {lo:g}" if left and not right else f"{left}{letter}{right}"
    )
    return Hyper(
        name, default, letter, latex, domain if left or right else "any value", meaning,
        low=lo, high=hi, open_low=low[:1] == "(", open_high=high[-1:] == ")",
    )  # fmt: skip


def _option(name: str, default: Any, meaning: str, choices: tuple[Any, ...] = (False, True)) -> Hyper:
    domain = "True or False" if choices == (False, True) else "one of " + ", ".join(map(str, choices))
    return Hyper(name, default, name, rf"\text{{{name.replace('_', ' ')}}}", domain, meaning, choices)


HYPERS = {
    x.name: x
    for x in (
        _number("lr", 1e-3, "γ", r"\gamma", "learning rate"),
        _number("momentum", 0, "μ", r"\mu", "how much of the buffer is kept"),
        _number("dampening", 0, "τ", r"\tau", "how much of the gradient is held back from the buffer", ","),
        _number("weight_decay", 0, "λ", r"\lambda", "pull of each parameter towards 0"),
        _number("lr_max", None, "γ_max", r"\gamma_{\max}", "highest learning rate of the schedule", "(0,"),
        _number("beta1", 0.9, "β₁", r"\beta_1", "how much of the mean of gradients is kept", "[0,1)"),
        _number(
            "beta2", 0.999, "β₂", r"\beta_2", "how much of the mean of squared gradients is kept", "[0,1)"
        ),
        _number("eps", 1e-8, "ε", r"\varepsilon", "keeps the divisor away from 0"),
        _number("alpha", 0.99, "α", r"\alpha", "how much of the mean of squared gradients is kept"),
        _number("rho", 0.9, "ρ", r"\rho", "how much of the running means is kept", "[0,1]"),
        _number("lr_decay", 0, "η", r"\eta", "how fast the learning rate falls with the step count"),
        _number("initial_accumulator_value", 0, "τ", r"\tau", "where the sum of squares starts"),
        _number("momentum_decay", 4e-3, "ψ", r"\psi", "how fast Nesterov's momentum warms up"),
        _option("nesterov", False, "the step uses the buffer one step ahead"),
        _option("maximize", False, "maximize instead of minimize: the gradient's sign is flipped first"),
        _option("amsgrad", False, "divide by the largest mean of squares so far"),
        _option("centered", False, "subtract the squared mean of gradients: divide by the variance"),
        _option("decay", "l2", "where weight decay enters", tuple(DECAYS)),
    )
}


# a momentum that averages: at 1 the buffer would never change
AVERAGING = _number("momentum", 0, "μ", r"\mu", "how much of the mean is kept", "[0,1)")
# what every rule takes, unless it has one of them of its own
FRAME = tuple(HYPERS[x] for x in ("weight_decay", "decay", "lr_max", "maximize"))


def hyper_for(name: str, default: Any = ...) -> Hyper:
    """The hyperparameter of that name as the field knows it, or a new one (its name is its letter)."""
    if isinstance(default, Hyper):
        return default
    known = HYPERS.get(name)
    if known and known.choices and default is not ... and default not in known.choices:
        known = None  # another thing of the same name, as a decay that is a number
    if known is None:
        known = (
            _option(name, False, "")
            if isinstance(default, bool)
            else _number(name, None, name, name, "", ",")
        )
    return known if default is ... else replace(known, default=default)
