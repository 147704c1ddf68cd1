"""AdamW by a student: the paper's formulas line by line, in new tensors, on named hyperparameters."""

import torch


class MyAdamW(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8, wd=0.01):
        if lr < 0 or wd < 0 or epsilon < 0 or not (0 <= beta1 < 1 and 0 <= beta2 < 1):
            raise ValueError("bad hyperparameter")
        super().__init__(params, {"lr": lr, "beta1": beta1, "beta2": beta2, "epsilon": epsilon, "wd": wd})

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            lr, b1, b2, eps, wd = (group[k] for k in ("lr", "beta1", "beta2", "epsilon", "wd"))
            for theta in group["params"]:
                if theta.grad is None:
                    continue
                if theta.is_complex():
                    raise RuntimeError("complex parameters are not supported")
                s = self.state[theta]
                t = s["t"] = s.get("t", 0) + 1
                s["m"] = b1 * s.get("m", 0) + (1 - b1) * theta.grad
                s["v"] = b2 * s.get("v", 0) + (1 - b2) * theta.grad**2
                m_hat = s["m"] / (1 - b1**t)
                v_hat = s["v"] / (1 - b2**t)
                theta -= lr * wd * theta
                theta -= lr * m_hat / (v_hat.sqrt() + eps)
        return loss
