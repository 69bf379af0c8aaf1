"""A run folder: manifest, rows, keys, status, merging."""
