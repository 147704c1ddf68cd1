"""Adam whose step count has the parameter's dtype: in bfloat16 it stops at 256."""

import torch


class SGD(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        if lr < 0 or eps < 0 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError("lr, betas or eps is outside its domain")
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                if p.is_complex():
                    raise RuntimeError("complex parameters are not supported")
                state = self.state[p]
                if not state:
                    state["step"] = torch.zeros((), dtype=p.dtype)
                    state["m"], state["v"] = torch.zeros_like(p), torch.zeros_like(p)
                t = state["step"].add_(1).item()
                state["m"].lerp_(p.grad, 1 - b1)
                state["v"].mul_(b2).addcmul_(p.grad, p.grad, value=1 - b2)
                root = (state["v"] / (1 - b2**t)).sqrt_().add_(group["eps"])
                p.addcdiv_(state["m"], root, value=-group["lr"] / (1 - b1**t))
        return loss
