"""An audit of metrics: what a column sees of known edits, what it is blind to, and what fools it."""
