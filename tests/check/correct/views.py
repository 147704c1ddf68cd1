"""A group's parameters are views of one flat vector, and one update of it steps them all."""

from itertools import accumulate

import torch


class FlatSGD(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-2, momentum=0.9, weight_decay=0.0, nesterov=False):
        if lr < 0 or momentum < 0 or weight_decay < 0:
            raise ValueError("lr, momentum and weight_decay must not be negative")
        if nesterov and momentum == 0:
            raise ValueError("Nesterov needs momentum")
        self.flat = []  # of each group: (vector, its parameters), by dtype
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
        super().__init__(params, defaults)

    @torch.no_grad()
    def add_param_group(self, param_group):
        super().add_param_group(param_group)
        self.flat.append(self._lay_out(self.param_groups[-1]["params"]))

    def _lay_out(self, params):
        out = []
        for dtype in dict.fromkeys(p.dtype for p in params if p.requires_grad):
            members = [p for p in params if p.requires_grad and p.dtype == dtype]
            vector = torch.cat([p.detach().reshape(-1) for p in members])
            for p, part in zip(members, vector.split([p.numel() for p in members]), strict=True):
                p.data = part.view(p.shape)
            out.append((vector, members))
        return out

    def __setstate__(self, state):
        super().__setstate__(state)
        self.flat = [self._lay_out(g["params"]) for g in self.param_groups]

    def __getstate__(self):
        return {k: v for k, v in self.__dict__.items() if k != "flat"}

    def _velocity(self, members):
        """One flat velocity, of which each parameter's state is a view; built anew after loading."""
        parts = [self.state[p].get("velocity") for p in members]
        sizes = [p.numel() for p in members]
        whole = getattr(parts[0], "_base", None)
        ours = whole is not None and whole.numel() == sum(sizes)
        for v, place in zip(parts, accumulate(sizes[:-1], initial=0), strict=True):
            ours = ours and v is not None and v._base is whole and v.storage_offset() == place
        if not ours:
            parts = [torch.zeros_like(p) if v is None else v for p, v in zip(members, parts, strict=True)]
            whole = torch.cat([v.reshape(-1) for v in parts])
            for p, part in zip(members, whole.split(sizes), strict=True):
                self.state[p]["velocity"] = part.view(p.shape)
        return whole

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group, flat in zip(self.param_groups, self.flat, strict=True):
            laid_out = {id(p) for _, members in flat for p in members}
            for p in group["params"]:  # frozen when they were laid out, and no longer
                if p.grad is not None and id(p) not in laid_out:
                    v = self._velocity([p]) if group["momentum"] else None
                    self._update(p.view(-1), p.grad.reshape(-1).clone(), v, group)
            for vector, members in flat:
                live = [p for p in members if p.grad is not None]
                if len(live) == len(members):
                    v = self._velocity(members) if group["momentum"] else None
                    self._update(vector, torch.cat([p.grad.reshape(-1) for p in members]), v, group)
                    for p in members:
                        torch.autograd.graph.increment_version(p)
                else:
                    for p in live:
                        v = self._velocity([p]) if group["momentum"] else None
                        self._update(p.view(-1), p.grad.reshape(-1).clone(), v, group)
        return loss

    @staticmethod
    def _update(w, d, v, group):
        d.add_(w, alpha=group["weight_decay"])
        if v is not None:
            v.mul_(group["momentum"]).add_(d)
            d = d.add_(v, alpha=group["momentum"]) if group["nesterov"] else v
        w.sub_(d, alpha=group["lr"])
