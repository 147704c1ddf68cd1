"""surefoot.optim."""
