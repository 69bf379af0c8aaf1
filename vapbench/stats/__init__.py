"""Statistics: pure functions with their formulas and sources, no input or output."""

STATISTICS_VERSION = 3
"""Raised when an interval, a rank or a p-value of the same scores or votes changes; tables name it."""
