"""The whole training step as one native program, built once and kept."""
