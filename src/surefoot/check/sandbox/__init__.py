"""Untrusted code runs in processes of its own."""
