"""surefoot.check."""
