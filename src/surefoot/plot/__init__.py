"""surefoot.plot."""
