"""RAdam with decoupled weight decay, computed in float32 whatever the parameters are."""

import math

import torch


class RAdam(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        if lr < 0 or eps < 0 or weight_decay < 0 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError("lr, eps and weight_decay must not be negative, and betas in [0, 1)")
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            longest = 2 / (1 - beta2) - 1
            for p in group["params"]:
                if p.grad is None:
                    continue
                if p.is_complex():
                    raise RuntimeError("complex parameters are not supported")
                w, g, state = p.float(), p.grad.float(), self.state[p]
                if not state:
                    state |= {"step": 0, "exp_avg": torch.zeros_like(w), "exp_avg_sq": torch.zeros_like(w)}
                state["step"] += 1
                t = state["step"]
                m = state["exp_avg"].mul_(beta1).add_(g, alpha=1 - beta1)
                v = state["exp_avg_sq"].mul_(beta2).addcmul_(g, g, value=1 - beta2)
                w = w * (1 - group["lr"] * group["weight_decay"])
                size = group["lr"] / (1 - beta1**t)
                length = longest - 2 * t * beta2**t / (1 - beta2**t)
                if length > 5:
                    size *= math.sqrt((1 - beta2**t) * (length - 4) * (length - 2) * longest)
                    size /= math.sqrt((longest - 4) * (longest - 2) * length)
                    w = w - size * m / (v.sqrt() + group["eps"])
                else:
                    w = w - size * m
                p.copy_(w)
        return loss
