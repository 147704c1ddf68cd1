"""What is minimised: an expression as typed, its values and its exact gradients."""
