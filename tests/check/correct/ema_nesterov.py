"""Momentum as an exponential moving average, with Nesterov as Muon has it; a subclass of torch's own SGD."""

import torch


class EMASGD(torch.optim.SGD):
    def __init__(self, params, lr=1e-3, momentum=0.9, weight_decay=0.0, nesterov=False):
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov)

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            beta = group["momentum"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                g = p.grad.add(p, alpha=group["weight_decay"])
                state = self.state[p]
                if "exp_avg" not in state:
                    state["exp_avg"] = torch.zeros_like(p)
                m = state["exp_avg"].lerp_(g, 1 - beta)
                p.add_(g.lerp(m, beta) if group["nesterov"] else m, alpha=-group["lr"])
        return loss
