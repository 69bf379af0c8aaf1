"""Statistics: pure functions with their formulas and sources, no input or output."""
