"""Flat buffers: a group's gradients joined into one long vector per dtype, stepped, and taken apart again."""

import torch


class SGD(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, momentum=0.0, weight_decay=0.0, maximize=False):
        if lr < 0 or momentum < 0 or weight_decay < 0:
            raise ValueError("lr, momentum and weight_decay must not be negative")
        super().__init__(
            params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "maximize": maximize}
        )

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for dtype in {p.dtype for p in group["params"]}:
                members = [p for p in group["params"] if p.grad is not None and p.dtype == dtype]
                if members:
                    self._flat(group, members)
        return loss

    def _flat(self, group, members):
        w = torch.cat([p.reshape(-1) for p in members])
        d = torch.cat([p.grad.reshape(-1) for p in members])
        d = (-d if group["maximize"] else d) + group["weight_decay"] * w
        sizes = [p.numel() for p in members]
        if group["momentum"] != 0:
            zeros = [self.state[p].setdefault("velocity", torch.zeros_like(p)).reshape(-1) for p in members]
            d = group["momentum"] * torch.cat(zeros) + d
            for p, part in zip(members, d.split(sizes), strict=True):
                self.state[p]["velocity"].copy_(part.view_as(p))
        for p, part in zip(members, (w - group["lr"] * d).split(sizes), strict=True):
            p.copy_(part.view_as(p))
