"""What was once called a fault of an optimizer, and was none: met while surveying real libraries."""

from __future__ import annotations

import torch

from surefoot.check import check
from surefoot.check.verdict import DIFFERS


class CarefulLoading(torch.optim.SGD):
    """Loads as torch does, and then looks after its own."""

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        for group in self.param_groups:
            group.setdefault("later_option", 0)


def test_an_override_that_loads_by_torchs_own_means_shares_what_torch_shares():
    report = check(CarefulLoading, only=["loaded-apart"])
    assert report["loaded-apart"].outcome == DIFFERS
