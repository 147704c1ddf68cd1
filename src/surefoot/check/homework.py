"""Which clauses a class's homework is held to: `--only homework`.

The rule itself, and what a loop that trains rests on. What students are seldom asked for is left out.
"""

from __future__ import annotations

__all__ = ["HOMEWORK", "NAME"]

NAME = "homework"  # as --only and --skip take it, like a group of clauses

# clause ids, by what they ask; docs/check.md says why these, and why none of the others
HOMEWORK = frozenset(
    {
        # the arithmetic of the rule
        *("rule", "changed-lr", "changed-options", "moved", "late", "groups-arithmetic", "twins", "reused"),
        *("sizes", "dimensions", "dtypes", "long", "later"),
        # it can be made as model.parameters() and groups are given, and it steps
        *("steps", "takes-parameters"),
        # options act, each group's own, also where they are changed
        *("option-effect", "group-options", "two-groups", "live-options"),
        # gradients stay as they are, and may be missing
        *("grad-kept", "grad-not-aliased", "no-gradient", "gradient-pauses", "late-gradient"),
        # each parameter has its own state, and nothing else is touched
        *("stays-leaf", "frozen", "nothing-else", "company", "order", "split"),
        # tensors of every shape and floating dtype
        *("shapes", "large", "every-dtype"),
        # no graph is kept, nor memory; runs repeat
        *("deterministic", "no-graph", "flat-memory"),
        *("zero-grad", "torch-untouched"),
    }
)
