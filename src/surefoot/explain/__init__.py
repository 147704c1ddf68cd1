"""surefoot.explain."""
