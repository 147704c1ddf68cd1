"""What a program holds of an optimizer, and the hooks that it would pass by."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

import surefoot
from surefoot.train.compiled.options import constants, hooked


def nothing(*_):
    return None


@pytest.mark.parametrize(
    ("register", "whose"),
    [
        (lambda o, m: o.register_step_pre_hook(nothing), "its optimizer"),
        (lambda o, m: o.register_step_post_hook(nothing), "its optimizer"),
        (lambda o, m: register_optimizer_step_post_hook(nothing), "its optimizer"),
        (lambda o, m: m.register_forward_hook(nothing), "its model"),
        (lambda o, m: m[0].register_forward_pre_hook(nothing), "its module '0'"),
        (lambda o, m: m[0].register_full_backward_hook(nothing), "its module '0'"),
        (lambda o, m: m[0].register_full_backward_pre_hook(nothing), "its module '0'"),
        (lambda o, m: m[0].weight.register_hook(nothing), "its parameter '0.weight'"),
        (
            lambda o, m: m[0].bias.register_post_accumulate_grad_hook(nothing),
            "its parameter '0.bias'",
        ),
    ],
)
def test_every_kind_of_hook_is_seen(register, whose):
    model = nn.Sequential(nn.Linear(2, 2))
    optimizer = surefoot.SGD(model.parameters(), lr=0.1)
    assert hooked(model, optimizer) is None
    handle = register(optimizer, model)
    try:
        assert hooked(model, optimizer) == whose
    finally:
        handle.remove()
    assert hooked(model, optimizer) is None


def test_the_size_of_lr_and_momentum_is_no_constant():
    groups = surefoot.SGD([nn.Parameter(torch.ones(1))], lr=0.1, momentum=0.9).param_groups
    before = constants(groups)
    groups[0].update(lr=0.2, momentum=0.5)
    assert constants(groups) == before
    for option, value in {"momentum": 0, "weight_decay": 0.1, "nesterov": True, "dampening": 0.5}.items():
        kept = groups[0][option]
        groups[0][option] = value
        assert constants(groups) != before
        groups[0][option] = kept
