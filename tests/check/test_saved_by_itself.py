"""What a class saves and loads in its own way: what of it is lost, or cast, is told first."""

from __future__ import annotations

import torch

from surefoot.check import check
from surefoot.check.verdict import FAILED


class Each(torch.optim.Optimizer):
    def __init__(self, params, lr=0.1, momentum=0.5):
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                self.change(p, self.state[p], group)

    def change(self, p, s, group):
        s["v"] = group["momentum"] * s.get("v", torch.zeros_like(p)) + p.grad
        p -= group["lr"] * s["v"]


class SavesTheRate(Each):
    def state_dict(self):
        return {"lr": self.param_groups[0]["lr"]}

    def load_state_dict(self, state_dict):
        self.param_groups[0]["lr"] = state_dict["lr"]


def test_state_that_is_lost_is_told_before_what_a_scheduler_wrote():
    report = check(SavesTheRate, only=["resume", "distributed-checkpoint"])
    assert report["resume"].diagnosis.startswith("state[p]: v is lost")
    spread = report["distributed-checkpoint"]
    assert spread.diagnosis.startswith("Its own state_dict() has no 'state'")
    assert spread.mend.startswith("Leave state_dict() and load_state_dict() to torch")


class InFloat32(Each):
    """A mean in float32, whatever the parameter is in."""

    def change(self, p, s, group):
        m = s.setdefault("m", torch.zeros_like(p, dtype=torch.float32))
        m.lerp_(p.grad.float(), 1 - group["momentum"])
        p.sub_((group["lr"] * m).to(p.dtype))


def test_a_state_that_loading_casts_is_no_matter_of_pickles():
    report = check(InFloat32, only=["checkpoint-file", "load-dtype"])
    for verdict in report.verdicts:
        assert verdict.outcome == FAILED
        assert verdict.diagnosis.startswith("torch's load_state_dict casts state tensors")
        assert verdict.mend.startswith("Cast in step() where they are combined")
    assert "pickle" not in report["checkpoint-file"].why
