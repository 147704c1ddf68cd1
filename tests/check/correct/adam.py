"""Adam with AMSGrad, `step` counted in Python ints, as it was before torch counted in tensors."""

import math

import torch


class Adam(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, amsgrad=False):
        if lr < 0 or eps < 0 or weight_decay < 0 or not all(0 <= b < 1 for b in betas):
            raise ValueError("a hyperparameter is outside its domain")
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad}
        super().__init__(params, defaults)

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
                if p.grad.is_sparse or p.is_complex():
                    raise RuntimeError("Adam does not support sparse gradients or complex parameters")
                self._one(p, self.state[p], group, *group["betas"])
        return loss

    def _one(self, p, state, group, beta1, beta2):
        if not state:
            state["step"] = 0
            state["mean"], state["square"] = torch.zeros_like(p), torch.zeros_like(p)
        state["step"] += 1
        g = p.grad.add(p, alpha=group["weight_decay"]) if group["weight_decay"] else p.grad
        state["mean"].mul_(beta1).add_(g, alpha=1 - beta1)
        state["square"].mul_(beta2).addcmul_(g, g, value=1 - beta2)
        square = state["square"]
        if group["amsgrad"]:
            square = state["largest"] = torch.maximum(state.get("largest", square), square)
        root = square.sqrt().div_(math.sqrt(1 - beta2 ** state["step"])).add_(group["eps"])
        p.addcdiv_(state["mean"], root, value=-group["lr"] / (1 - beta1 ** state["step"]))
