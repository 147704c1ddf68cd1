"""First steps are detected by the last parameter, for all (apex FusedSGD, first_run)."""

import torch


class SGD(torch.optim.Optimizer):
    def __init__(
        self, params, lr=1e-3, momentum=0, dampening=0, weight_decay=0, nesterov=False, *, maximize=False
    ):
        if lr < 0 or momentum < 0 or weight_decay < 0:
            raise ValueError("lr, momentum and weight_decay must not be negative")
        if nesterov and (momentum == 0 or dampening != 0):
            raise ValueError("Nesterov needs momentum and no dampening")
        defaults = {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay}
        defaults |= {"nesterov": nesterov, "maximize": maximize}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            first_run = True
            for p in group["params"]:
                if p.grad is not None:
                    first_run = p not in self.state
            for p in group["params"]:
                if p.grad is None:
                    continue
                d = -p.grad if group["maximize"] else p.grad
                if group["weight_decay"] != 0:
                    d = d + group["weight_decay"] * p
                if group["momentum"] != 0:
                    state = self.state[p]
                    if first_run:
                        buf = state["momentum_buffer"] = d.clone()
                    else:
                        buf = state.setdefault("momentum_buffer", torch.zeros_like(p))
                        buf.mul_(group["momentum"]).add_(d, alpha=1 - group["dampening"])
                    d = d + group["momentum"] * buf if group["nesterov"] else buf
                p.add_(d, alpha=-group["lr"])
        return loss
