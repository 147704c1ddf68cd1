"""Which rule an optimizer follows, read off from what it does with chosen gradients.

Where the rule is linear, one unit gradient shows all of it: how far w moves at once, by which factor each
later move shrinks, and what changes when the learning rate or the parameter does. Then every known rule is
held against the same recordings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from surefoot.check.arithmetic.claim import Claim
from surefoot.check.arithmetic.wording import number
from surefoot.check.identify.fits import fit
from surefoot.check.identify.identification import Identification, show
from surefoot.check.identify.probes import ask, matters_in_matrices
from surefoot.check.identify.readings import LARGER, SPARES, Reading, is_linear, read
from surefoot.check.options.rate import first_move
from surefoot.check.options.renamed import understood
from surefoot.check.options.words import Words
from surefoot.check.protocol import IN_BACKWARD, LR, Died, Patient, Raised
from surefoot.errors import InputError
from surefoot.loading import before_torch
from surefoot.trace.values import exact

__all__ = ["Identification", "Reading", "identify"]

_LARGEST = 10**6  # an lr; beyond it decay alone may leave the floats within the probes


def identify(
    optimizer: str | Callable[..., Any],
    *,
    options: Mapping[str, Any] | None = None,
    sandbox: bool | None = None,
) -> Identification:
    """Find out which rule a torch optimizer follows, with which hyperparameters.

    Δwₜ = −γ·(response to each earlier gradient), for a linear rule

    Args:
        optimizer: the class, or `"file.py:Class"`, or `"module:Class"`.
        options: constructor options, e.g. `{"momentum": 0.9}`; lr is 1/4 unless given.
        sandbox: run it in a process of its own; by default for files and modules, where the system
            can, not for classes.

    Returns:
        Identification: prints as a page; `.rule`, `.readings`, `.ruled_out`.

    Raises:
        InputError: it cannot be made, raises when it is stepped, or can have no such process.

    Example:
        >>> import torch
        >>> found = identify(torch.optim.SGD, options={"momentum": 0.9, "nesterov": True})
        >>> found.rule.name, found["momentum"], found["Nesterov"]
        ('torch', '0.9', 'yes')
    """
    before_torch()
    from surefoot.check.sandbox.sandbox import Sandbox
    from surefoot.check.sandbox.server import apart
    from surefoot.check.subject.load import load
    from surefoot.check.subject.patient import Here

    name = optimizer if isinstance(optimizer, str) else getattr(optimizer, "__name__", "optimizer")
    if apart(optimizer, sandbox) and isinstance(optimizer, str):
        there = Sandbox(optimizer, options)
        try:
            return _of_patient(there, name)
        finally:
            there.close()
    return _of_patient(Here(load(optimizer), options), name)


def _of_patient(patient: Patient, subject: str) -> Identification:
    """Find out which rule the optimizer of a Patient follows; see `identify`."""
    signature = patient.signature
    if signature.needs_closure:
        raise InputError(f"{signature.name}.step() needs a closure, so it cannot be run on chosen gradients.")
    if signature.in_backward:
        raise InputError(IN_BACKWARD)
    signature.refuse_words(patient.given)
    words = Words.of(signature, patient.given)
    if words.ambiguous:
        return _identified(patient, subject, understood(patient, words, None) or words)
    found = _identified(patient, subject, words)
    if not found.fits and (better := understood(patient, words, None)) is not None:
        return _identified(patient, subject, better)
    return found


def _identified(patient: Patient, subject: str, words: Words) -> Identification:
    """What the optimizer shows of itself, with its options in these words."""
    signature = patient.signature
    option = words.option("lr") or "lr"
    ours = {option: LR} if option in words.hyper and option not in {*patient.given, *words.held} else {}
    value = {**words.values, **ours, **patient.given}.get(option, LR)
    lr = exact(value, option)
    if not isinstance(lr, Fraction) or lr <= 0:
        raise InputError(f"{option} is {show(value)}; it must be positive so that steps can be measured.")
    if lr > _LARGEST:
        raise InputError(f"{option} is {show(value)}, too large for steps to be measured; use 1 or less.")
    try:
        answers = ask(patient, words, lr)
    except (Raised, Died) as error:
        given = ", ".join(f"{k}={v!r}" for k, v in patient.given.items() if k != option)
        options = f" with {given}" if given else ""
        raise InputError(f"{signature.name} could not be run{options}: {error}") from error
    if words.option("lr") is None:
        words = replace(words, first=first_move(answers.traces["impulse"]))
        lr = exact(words.first.size) if words.first else lr
    linear = is_linear(answers.moves)
    seen = read(answers, float(lr), words)
    if answers.spares:
        seen = (*seen, SPARES)
    decay = words.option("weight_decay")
    if decay in words.held and (held := words.values.get(decay)):
        told = f"{show(held)}, set by the function that builds it: it acts in every probe and hides the rest"
        seen = (*seen[:1], Reading("weight decay", "always on", told))
    found = fit(answers, words)
    if decay in found.unused and matters_in_matrices(patient, decay, answers.decay):
        found = replace(found, unused=tuple(o for o in found.unused if o != decay))
        seen = (*(r for r in seen if r.what != "weight decay"), LARGER)
    if found.rules and (rate := Claim(found.rules[0], words).rate) is not None:
        seen = (
            *seen,
            Reading("learning rate", "not an option", f"the first move corresponds to lr = {number(rate)}"),
        )
    return Identification(
        subject=subject,
        options=_lr_first({**ours, **signature.call(patient.given)}, option),
        linear=linear,
        readings=seen,
        fits=found.rules,
        ruled_out=found.ruled_out,
        mistake=found.mistake,
        impulse=tuple(-m / float(lr) for m in answers.moves["late impulse"][1:]),
        unused=found.unused,
        rough=found.rough,
    )


def _lr_first(options: Mapping[str, Any], rate: str) -> dict[str, Any]:
    return dict(sorted(options.items(), key=lambda pair: pair[0] != rate))
