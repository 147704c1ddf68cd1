"""heavyball for docs/survey.md, with steps that keep p.grad; by default they take it away, as documented."""

from __future__ import annotations

import heavyball.utils
from heavyball import *  # noqa: F403

heavyball.utils.StatefulOptimizer.consume_grad = False
