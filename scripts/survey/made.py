"""Optimizers of docs/survey.md that are not made from parameters alone: wrappers, some with marked groups.

Each function is called as its optimizer would be, if it were an ordinary one. A wrapper is put around torch's
SGD with momentum; where a library wants a mark for matrices, groups of matrices get it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import torch


def _groups(params: Any) -> list[dict[str, Any]]:
    """Return parameters as groups, whatever form they are given in."""
    given = list(params)
    return [dict(g) for g in given] if given and isinstance(given[0], dict) else [{"params": given}]


def _marked(
    optimizer: Callable[..., Any], params: Any, options: dict[str, Any], names: Iterable[str] = ()
) -> Any:
    """Make an optimizer whose groups say `use_muon`; with `names`, they hold these options, no others."""
    groups = _groups(params)
    for group in groups:
        members = group["params"] = [p[1] if isinstance(p, tuple) else p for p in group["params"]]
        group["use_muon"] = all(p.ndim >= 2 for p in members)
        group.update({n: options[n] for n in names if n not in group})
    return optimizer(groups) if names else optimizer(groups, **options)


def _around(wrapper: Callable[..., Any], params: Any, lr: float, momentum: float, **options: Any) -> Any:
    return wrapper(torch.optim.SGD(params, lr=lr, momentum=momentum), **options)


# pytorch_optimizer


def Muon(
    params: Any, lr: float = 0.02, momentum: float = 0.95, weight_decay: float = 0.0, nesterov: bool = True
) -> Any:
    """Muon of pytorch_optimizer."""
    from pytorch_optimizer import Muon as made

    return _marked(
        made, params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
    )


def AdaMuon(params: Any, lr: float = 0.02, weight_decay: float = 0.0) -> Any:
    """AdaMuon of pytorch_optimizer."""
    from pytorch_optimizer import AdaMuon as made

    return _marked(made, params, {"lr": lr, "weight_decay": weight_decay})


def AdaGO(params: Any, lr: float = 0.02, momentum: float = 0.95, weight_decay: float = 0.0) -> Any:
    """AdaGO of pytorch_optimizer."""
    from pytorch_optimizer import AdaGO as made

    return _marked(made, params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})


def MuonClip(params: Any, lr: float = 0.02, momentum: float = 0.95, weight_decay: float = 0.0) -> Any:
    """MuonClip of pytorch_optimizer."""
    from pytorch_optimizer import MuonClip as made

    return _marked(made, params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})


def NorMuon(params: Any, lr: float = 0.02, weight_decay: float = 0.0) -> Any:
    """NorMuon of pytorch_optimizer."""
    from pytorch_optimizer import NorMuon as made

    return _marked(made, params, {"lr": lr, "weight_decay": weight_decay})


def Lookahead(params: Any, lr: float = 0.1, momentum: float = 0.75) -> Any:
    """Lookahead of pytorch_optimizer, around SGD."""
    from pytorch_optimizer import Lookahead as made

    return _around(made, params, lr, momentum, k=2)


def TRAC(params: Any, lr: float = 0.1, momentum: float = 0.75) -> Any:
    """TRAC of pytorch_optimizer, around SGD."""
    from pytorch_optimizer import TRAC as made

    # by default its first steps are too small to see
    return _around(made, params, lr, momentum, s_prev=0.0625)


def OrthoGrad(params: Any, lr: float = 0.1, momentum: float = 0.75) -> Any:
    """OrthoGrad of pytorch_optimizer, around SGD."""
    from pytorch_optimizer import OrthoGrad as made

    return _around(made, params, lr, momentum)


def ScheduleFreeWrapper(params: Any, lr: float = 0.1, momentum: float = 0.75) -> Any:
    """ScheduleFreeWrapper of pytorch_optimizer, around SGD, in its training mode."""
    from pytorch_optimizer import ScheduleFreeWrapper as made

    optimizer = made(torch.optim.SGD(params, lr=lr), momentum=momentum)
    optimizer.train()
    return optimizer


# others


def AdamMini(
    params: Any,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> Any:
    """Adam_mini of adam-mini, which wants named parameters."""
    from adam_mini import Adam_mini

    count = itertools.count()
    named = [p if isinstance(p, tuple) else (f"layer{next(count)}.weight", p) for p in params]
    return Adam_mini(named, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, verbose=False)


def timm_Lookahead(params: Any, lr: float = 0.1, momentum: float = 0.75) -> Any:
    """Lookahead of timm, around SGD."""
    from timm.optim import Lookahead as made

    return _around(made, params, lr, momentum, k=2)


def torch_optimizer_Lookahead(params: Any, lr: float = 0.1, momentum: float = 0.75) -> Any:
    """Lookahead of torch-optimizer, around SGD."""
    from torch_optimizer import Lookahead as made

    return _around(made, params, lr, momentum, k=2)


def SingleDeviceMuonWithAuxAdam(
    params: Any, lr: float = 0.02, momentum: float = 0.95, weight_decay: float = 0.0
) -> Any:
    """SingleDeviceMuonWithAuxAdam of muon-optimizer, on matrices."""
    from muon import SingleDeviceMuonWithAuxAdam as made

    options = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
    return _marked(made, params, options, names=options)
