"""surefoot.rules."""
