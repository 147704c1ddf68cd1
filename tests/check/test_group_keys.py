"""Options that groups hold under another name than the constructor's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from surefoot.check import check
from surefoot.check.contract.keys import group_keys
from surefoot.check.verdict import FAILED, PASSED
from surefoot.trace import Script, record, to_torch_code

TESTS = Path(__file__).parents[1]


class Port(torch.optim.SGD):
    def __init__(self, params, learning_rate=0.1, beta=0.0, use_nesterov=False, unused=1.0):
        super().__init__(params, lr=learning_rate, momentum=beta, nesterov=use_nesterov)


def test_keys_are_found_by_what_they_hold():
    options = {"learning_rate": 0.1, "beta": 0.0, "use_nesterov": False, "unused": 1.0, "lr": 0.1}
    keys = group_keys(Port, options)  # nesterov is refused without momentum
    assert keys == {"learning_rate": "lr", "beta": "momentum", "use_nesterov": "nesterov"}


def test_a_script_is_played_and_written_with_the_keys_of_groups():
    script = Script.of({"w": [2]}, gradients=[{"w": [1]}, {"w": [1]}], learning_rate=[0.5, 0.25])
    keys = {"learning_rate": "lr"}
    assert record(script, Port, keys=keys).steps[-1].w == {"w": (1.25,)}
    scope: dict[str, object] = {"Port": Port}
    exec(to_torch_code(script, "Port", keys=keys), scope)
    assert scope["w"].tolist() == [1.25]


def test_groups_and_schedules_of_a_port_are_tried():
    report = check(f"{TESTS}/check/correct/port.py:PortedSGD", only=["groups-arithmetic", "changed-lr"])
    assert [v.outcome for v in report.verdicts] == [PASSED, PASSED], str(report)


def test_what_a_port_does_wrong_when_its_lr_changes_is_found():
    report = check(f"{TESTS}/mutants/velocity_rescaled_twice.py:SGD", "keras", only=["changed-lr"])
    assert report["changed-lr"].outcome == FAILED
    assert 'optimizer.param_groups[0]["lr"] = ' in report["changed-lr"].repro
    with pytest.raises(AssertionError, match="should be"):
        exec(report["changed-lr"].repro, {})
