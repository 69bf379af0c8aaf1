"""A run on Ray."""
