"""The arithmetic of an optimizer: recorded, held against exact rules, and what is wrong told."""
