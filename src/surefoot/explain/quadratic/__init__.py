"""A rule on a quadratic: where it is stable, how fast, and what would be best."""

from surefoot.explain.quadratic.quadratic import Quadratic

__all__ = ["Quadratic"]
