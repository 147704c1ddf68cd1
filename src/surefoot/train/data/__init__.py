"""surefoot.train.data."""
