"""What two models or losses must differ in, and what not, for a program of their own."""

from __future__ import annotations

import functools
import logging
import re
import subprocess
import sys
import threading
import types
from collections import deque
from decimal import Decimal

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from surefoot.train.compiled import fingerprint as module
from surefoot.train.compiled.fingerprint import Untold, fingerprint


def told(thing):
    """The fingerprint, where a model's parameters are inputs."""
    return fingerprint(
        thing,
        {id(p): n for n, p in thing.named_parameters()} if isinstance(thing, (Net, nn.Sequential)) else {},
    )


def closing_over(number):
    return lambda output, target: functional.mse_loss(output, target) * number


def from_text(text, **names):
    space = {"functional": functional, "torch": torch, "__name__": "__main__", **names}
    exec(text, space)
    return space


def own(text="return functional.relu(x)", **names):
    """A function as a notebook has it: no file holds its source."""
    return from_text(f"def own(x):\n    {text}", **names)["own"]


class Net(nn.Module):
    limit = 1.0

    def __init__(self, act=functional.relu, scale=2.0):
        super().__init__()
        self.layer, self.act, self.scale = nn.Linear(2, 2), act, scale

    def forward(self, x):
        return self.act(self.layer(x)) * self.scale * self.limit


class Limited(Net):
    limit = 2.0


class Slotted:
    __slots__ = ("number",)

    def __init__(self, number):
        self.number = number


class SlottedToo(Slotted):
    __slots__ = ()


class OneSlot:
    __slots__ = "number"

    __init__ = Slotted.__init__


class Share(float):
    """A number of a type of its own."""


class Table(dict):
    """A dict that may have attributes."""


def named(thing):
    thing.name = "thing"
    return thing


def helper(number):
    found = types.ModuleType("helper_of_a_user")
    found.NUMBER = number
    return found


def frozen_norm(training):
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    net[1].train(training)
    return net


@pytest.mark.parametrize(
    ("make", "others"),
    [
        (lambda: nn.HuberLoss(delta=1.0), [lambda: nn.HuberLoss(delta=2.0), lambda: nn.SmoothL1Loss()]),
        (
            nn.CrossEntropyLoss,
            [
                lambda: nn.CrossEntropyLoss(label_smoothing=0.1),
                lambda: nn.CrossEntropyLoss(ignore_index=3),
                lambda: nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0])),
                lambda: nn.CrossEntropyLoss(weight=torch.tensor([1.0, 3.0])),
            ],
        ),
        (lambda: closing_over(1.0), [lambda: closing_over(2.0), lambda: functional.mse_loss]),
        (
            lambda: functools.partial(functional.cross_entropy, label_smoothing=0.1),
            [lambda: functools.partial(functional.cross_entropy, label_smoothing=0.2)],
        ),
        (Net, [lambda: Net(functional.gelu), lambda: Net(scale=3.0), Limited]),
        (lambda: frozen_norm(True), [lambda: frozen_norm(False)]),
        (
            own,
            [
                lambda: own("return functional.gelu(x)"),
                lambda: own("return x * 2.0"),
                lambda: own("return x * 3.0"),
                lambda: own("return x * N", N=2.0),
                lambda: own("return x * N", N=3.0),
                lambda: own("return x * helper.NUMBER", helper=helper(2.0)),
                lambda: own("return x * helper.NUMBER", helper=helper(3.0)),
                lambda: own("return [i * N for i in x]", N=2.0),
                lambda: own("return [i * N for i in x]", N=3.0),
                lambda: own("return x * table[0]", table=np.ones(2)),
                lambda: own("return x * table[0]", table=np.zeros(2)),
                lambda: own("return other(x)", other=own()),
                lambda: own("return other(x)", other=own("return x")),
            ],
        ),
        (lambda: Slotted(1), [lambda: Slotted(2)]),
        (lambda: SlottedToo(1), [lambda: SlottedToo(2)]),
        (lambda: OneSlot(1), [lambda: OneSlot(2)]),
        (lambda: Share(0.5), [lambda: Share(0.25)]),
        (lambda: Table(a=1), [lambda: Table(a=2), lambda: named(Table(a=1))]),
        (lambda: range(3), [lambda: range(5)]),
        (lambda: deque([1]), [lambda: deque([2])]),
        (lambda: Decimal(1), [lambda: Decimal(2)]),
        (lambda: bytearray(b"a"), [lambda: bytearray(b"b")]),
        (lambda: re.compile("a"), [lambda: re.compile("b")]),
        (lambda: types.MappingProxyType({1: 2}), [lambda: types.MappingProxyType({1: 3})]),
        (own, [lambda: named(own())]),
    ],
)
def test_what_computes_something_else_is_another(make, others):
    assert told(make()) == told(make())
    told_of = [told(found()) for found in (make, *others)]
    assert len(set(told_of)) == len(told_of)


def test_the_values_of_what_a_program_takes_do_not_matter():
    net, other = Net(), Net()
    assert fingerprint(net) != fingerprint(other)
    assert told(net) == told(other)


def test_what_cannot_be_told_by_value_is_said():
    with pytest.raises(Untold, match="refers to a memoryview, whose value cannot be determined"):
        fingerprint(own("return view", view=memoryview(b"a")))


def test_what_computes_nothing_stands_in_no_way():
    class Careful(Net):
        log, lock = logging.getLogger("careful"), threading.RLock()
        limits = torch.finfo(torch.float32)

        @functools.cached_property
        def double(self):
            return self.scale * 2

        def forward(self, x):
            self.log.debug("forward")
            with self.lock:
                return super().forward(x) * self.double

    assert told(Careful()) == told(Careful())
    assert told(Careful(scale=3.0)) != told(Careful())


def test_a_loss_that_reads_the_models_tensors_is_refused():
    net = nn.Linear(2, 2)
    known = {id(p): n for n, p in net.named_parameters()}

    def penalised(output, target):
        return functional.mse_loss(output, target) + net.weight.square().sum()

    class Penalised(nn.Module):
        def __init__(self):
            super().__init__()
            self.of = list(net.parameters())

    for loss in (penalised, Penalised(), functools.partial(torch.add, net.weight)):
        with pytest.raises(Untold, match=r"^its loss reads the model's own tensors$"):
            fingerprint(loss, known, apart="its loss")
    assert fingerprint(nn.MSELoss(), known, apart="its loss") == fingerprint(nn.MSELoss())


def test_it_is_the_same_in_another_process():
    code = (
        "from surefoot.train import models\n"
        "from surefoot.train.compiled.fingerprint import fingerprint\n"
        "from surefoot.train.objective.losses import squared_error\n"
        "net = models.cnn((8, 8), 3)\n"
        "print(fingerprint([net, squared_error], {id(p): n for n, p in net.named_parameters()}))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1


def test_things_that_refer_to_themselves_come_to_an_end():
    net = Net()
    net.itself = [net]
    net.method = net.forward
    assert len(fingerprint(net)) == 64


def test_what_cannot_be_looked_through_is_said(monkeypatch):
    monkeypatch.setattr(module, "_MOST", 10)
    with pytest.raises(Untold, match=r"^its model or loss refers to too many objects to inspect$"):
        fingerprint([[i] for i in range(20)])
