"""The same with torch._foreach: whole lists of tensors at once, by dtype; without dampening."""

import torch


class SGD(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, momentum=0.0, weight_decay=0.0, nesterov=False):
        if lr < 0 or momentum < 0 or weight_decay < 0:
            raise ValueError("lr, momentum and weight_decay must not be negative")
        super().__init__(
            params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
        )

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for dtype in {p.dtype for p in group["params"]}:
                self._bucket(group, [p for p in group["params"] if p.grad is not None and p.dtype == dtype])
        return loss

    def _bucket(self, group, params):
        if not params:
            return
        mu, decay = group["momentum"], group["weight_decay"]
        d = [p.grad for p in params]
        if decay != 0:
            d = torch._foreach_add(d, params, alpha=decay)
        if mu != 0:
            for p in params:
                if "momentum_buffer" not in self.state[p]:
                    self.state[p]["momentum_buffer"] = torch.zeros_like(p)
            buffers = [self.state[p]["momentum_buffer"] for p in params]
            torch._foreach_mul_(buffers, mu)
            torch._foreach_add_(buffers, d)
            d = torch._foreach_add(d, buffers, alpha=mu) if group["nesterov"] else buffers
        torch._foreach_add_(params, d, alpha=-group["lr"])
