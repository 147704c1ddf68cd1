"""What is known of optimizers beside the rules: how libraries write them, and how they are got wrong."""
