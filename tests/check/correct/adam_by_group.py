"""Adam that counts steps for the group, as Keras, optax and apex do."""

import torch


class Adam(torch.optim.Optimizer):
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
            t = group["step"] = group.get("step", 0) + 1
            for p in group["params"]:
                if p.grad is None:
                    continue
                if p.is_complex():
                    raise RuntimeError("complex parameters are not supported")
                d = p.grad.add(p, alpha=group["weight_decay"])
                state = self.state[p]
                if not state:
                    state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(p), torch.zeros_like(p)
                m = state["exp_avg"].mul_(beta1).add_(d, alpha=1 - beta1)
                v = state["exp_avg_sq"].mul_(beta2).addcmul_(d, d, value=1 - beta2)
                denominator = (v / (1 - beta2**t)).sqrt().add_(group["eps"])
                p.addcdiv_(m / (1 - beta1**t), denominator, value=-group["lr"])
        return loss
