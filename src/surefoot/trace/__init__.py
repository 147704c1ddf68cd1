"""surefoot.trace."""
