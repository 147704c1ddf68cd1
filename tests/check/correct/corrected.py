"""Momentum as Adam's first moment: an average of gradients, corrected for its start at 0."""

import torch


class DebiasedMomentum(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-2, beta1=0.9, weight_decay=0.0):
        if lr < 0 or not 0 <= beta1 < 1 or weight_decay < 0:
            raise ValueError("a hyperparameter is outside its domain")
        super().__init__(params, {"lr": lr, "beta1": beta1, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["step"], state["exp_avg"] = torch.tensor(0.0), torch.zeros_like(p)
                state["step"] += 1
                p.mul_(1 - group["lr"] * group["weight_decay"])
                state["exp_avg"].lerp_(p.grad, 1 - group["beta1"])
                p.sub_(state["exp_avg"], alpha=group["lr"] / (1 - group["beta1"] ** state["step"].item()))
        return loss
