"""torch.optim.Optimizer without torch._dynamo.

torch wraps four methods of Optimizer so that torch.compile does not look inside. The wrapper imports torch._dynamo
(over a second) at the first call, though nobody compiles. Here they are called without the wrapper until somebody
has imported torch._dynamo; from then on with it.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer

__all__ = ["LightOptimizer"]


def _light(name: str) -> Callable[..., Any]:
    wrapped: Callable[..., Any] = getattr(Optimizer, name)
    plain: Callable[..., Any] = getattr(wrapped, "__wrapped__", wrapped)

    @functools.wraps(plain)
    def method(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        return (wrapped if "torch._dynamo" in sys.modules else plain)(self, *args, **kwargs)

    return method


class LightOptimizer(Optimizer):
    """A torch.optim.Optimizer that does not import torch._dynamo."""

    add_param_group = _light("add_param_group")
    zero_grad = _light("zero_grad")
    state_dict = _light("state_dict")
    load_state_dict = _light("load_state_dict")
