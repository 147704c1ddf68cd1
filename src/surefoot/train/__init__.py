"""surefoot.train."""
