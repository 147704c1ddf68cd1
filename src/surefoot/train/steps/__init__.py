"""One training step, and by how many threads of the CPU it is taken."""
