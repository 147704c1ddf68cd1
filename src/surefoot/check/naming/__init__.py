"""What the name of a class says of the rule that it follows."""
