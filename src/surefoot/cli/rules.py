"""`surefoot rules`."""

from __future__ import annotations

__all__ = ["rules"]


def rules() -> None:
    """List all rules by the names that check, convert and explain accept.

    Name your own rule as file.py:rule.
    """
    from surefoot.rules import RULES

    widest = max(map(len, RULES))
    for rule in RULES.values():
        others = [alias for alias in rule.aliases if len(alias) > 2]  # the short ones are the literature's
        also = f" (also {', '.join(others)})" if others else ""
        print(f"{rule.name:{widest}}  {rule.title}{also}")
