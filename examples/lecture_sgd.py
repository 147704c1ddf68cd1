"""SGD with momentum as one writes it in a first lecture, with its slips left in: `surefoot check` names each.

    surefoot check examples/lecture_sgd.py:SGD

Found: a loss is returned that is never defined, and the closure is never called; weight decay is added into
p.grad; add_ is called in a way that is deprecated; nesterov is accepted and ignored; p.data is bound to a new
tensor, so views of the parameter go stale; no option is validated. docs/tutorial.md mends them one by one.
"""

import torch


class SGD(torch.optim.Optimizer):
    """w = w − lr·b, where b = momentum·b + (1 − dampening)·(∇f + weight_decay·w)."""

    def __init__(self, params, lr=1e-3, momentum=0, dampening=0, weight_decay=0, nesterov=False):
        """Set the defaults of every group."""
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
        }
        super().__init__(params, defaults)

    def step(self, closure=None):
        """Make one step."""
        for group in self.param_groups:
            momentum, dampening = group["momentum"], group["dampening"]
            weight_decay = group["weight_decay"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                d = p.grad.data
                if weight_decay != 0:
                    d.add_(weight_decay, p.data)
                if momentum != 0:
                    state = self.state[p]
                    if "momentum_buffer" not in state:
                        state["momentum_buffer"] = torch.clone(d)
                    else:
                        state["momentum_buffer"].mul_(momentum).add_(1 - dampening, d)
                    d = state["momentum_buffer"]
                p.data = p.data - group["lr"] * d
        return loss  # noqa: F821  (one of the slips)
