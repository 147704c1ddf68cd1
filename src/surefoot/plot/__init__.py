"""Pictures of runs and of steps, each a function in a module of its own, as `surefoot.plot.curves.curves`."""
