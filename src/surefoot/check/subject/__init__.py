"""The optimizer under test: found, called, stepped."""
