"""Pictures of handwritten digits, prepared as MNIST was."""
