"""Libraries that the name of a class may speak of, and what each of them has for a rule of that name."""

from __future__ import annotations

from surefoot.check.known.libraries import elsewhere
from surefoot.rules import Rule

__all__ = ["FRAMEWORKS", "as_there", "has_form"]

# as written in names → the rule or its alias that is its SGD; none where it has several of its own
FRAMEWORKS = {
    "torch": "torch",
    "pytorch": "torch",
    "apex": "torch",
    "mlx": "mlx",
    "optax": "optax",
    "jax": "jax",
    "flax": "jax",
    "tensorflow": "tensorflow",
    "tf": "tensorflow",
    "paddle": "paddle",
    "mindspore": "mindspore",
    "keras": "keras",
    "caffe": "caffe",
    "mxnet": "mxnet",
    "gluon": "mxnet",
    "sklearn": "sklearn",
    "chainer": "chainer",
    "cntk": "",
}
_HAT = dict.fromkeys(("adam", "adamw", "amsgrad"), "adam_hat")
_KERAS = {**_HAT, "rmsprop": "rmsprop_keras", "adagrad": "adagrad_under", "adamax": "adamax_after"}
_SAME = {name: name for name in ("adam", "adamw")}  # as torch has them
_OPTAX = {
    **_SAME,
    "nadam": "nadam_unscheduled",
    "adamax": "adamax_after",
    "amsgrad": "amsgrad_corrected",
    "rmsprop": "rmsprop_keras",
    "adagrad": "adagrad_under",
}
# what form of a rule a library is known to have
_FORMS = {
    "keras": _KERAS,
    "tensorflow": {**_HAT, "rmsprop": "rmsprop_tf"},
    "optax": _OPTAX,
    "caffe": _HAT,
    "mxnet": _HAT,
    "mindspore": _HAT,
    "chainer": _HAT,
    "sklearn": _HAT,
    "jax": _SAME,
    "paddle": {**_SAME, "rmsprop": "rmsprop_keras", "adagrad": "adagrad"},
}


def has_form(rule: Rule, framework: str) -> bool:
    """Whether it is known which form of a rule a library has."""
    library = FRAMEWORKS[framework]
    return library == "torch" or rule.family in _FORMS.get(library, {})


def as_there(rule: Rule, framework: str) -> Rule:
    """A rule in the form that a library has for it; the rule itself where that is none of its own."""
    form = _FORMS.get(FRAMEWORKS[framework], {}).get(rule.family)
    return next((found for found in elsewhere(rule) if found.family == form), rule)
