"""Which option of an optimizer is which hyperparameter of a rule, and with which values it is tried."""
