"""torch._foreach throughout, and the lists of a group kept from step to step while they are still right."""

from collections import defaultdict

import torch


class SGDMomentum(torch.optim.Optimizer):
    def __init__(self, params, lr, momentum=0.9, dampening=0.0, weight_decay=0.0):
        if lr < 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if momentum < 0.0:
            raise ValueError(f"Invalid momentum: {momentum}")
        if weight_decay < 0.0:
            raise ValueError(f"Invalid weight_decay: {weight_decay}")
        self._lists = {}
        defaults = {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    def add_param_group(self, group):
        super().add_param_group(group)
        self._lists.clear()

    def __getstate__(self):
        return {k: v for k, v in self.__dict__.items() if k != "_lists"}

    def __setstate__(self, state):
        super().__setstate__(state)
        self._lists = {}

    def _buckets(self, index, group):
        here = tuple(p.grad is not None for p in group["params"])
        known, buckets = self._lists.get(index, (None, None))
        if known != here:
            buckets = defaultdict(list)
            for p, has in zip(group["params"], here, strict=True):
                if has:
                    buckets[p.dtype, p.device].append(p)
            self._lists[index] = here, buckets
        return buckets.values()

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for index, group in enumerate(self.param_groups):
            for params in self._buckets(index, group):
                grads = [p.grad for p in params]
                if any(g.is_sparse for g in grads):
                    raise RuntimeError("SGDMomentum does not support sparse gradients")
                if group["weight_decay"]:
                    grads = torch._foreach_add(grads, params, alpha=group["weight_decay"])
                if group["momentum"]:
                    fresh = [p for p in params if "momentum_buffer" not in self.state[p]]
                    for p in fresh:
                        self.state[p]["momentum_buffer"] = torch.zeros_like(p)
                    buffers = [self.state[p]["momentum_buffer"] for p in params]
                    torch._foreach_mul_(buffers, group["momentum"])
                    if group["dampening"] and fresh:
                        new = {id(p) for p in fresh}
                        for p, b, g in zip(params, buffers, grads, strict=True):
                            b.add_(g, alpha=1 if id(p) in new else 1 - group["dampening"])
                    else:
                        torch._foreach_add_(buffers, grads, alpha=1 - group["dampening"])
                    grads = buffers
                torch._foreach_add_(params, grads, alpha=-group["lr"])
        return loss
