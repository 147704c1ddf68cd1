"""What torch calls the state that a formula has letters for."""

from __future__ import annotations

__all__ = ["ADAM", "ADAMAX", "RMSPROP"]

ADAM = {"t": "step", "m": "exp_avg", "v": "exp_avg_sq", "v_max": "max_exp_avg_sq"}
ADAMAX = {"t": "step", "m": "exp_avg", "v": "exp_inf"}
RMSPROP = {"v": "square_avg", "a": "grad_avg", "b": "momentum_buffer"}
