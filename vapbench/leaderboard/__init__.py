"""The public board: a static site made from rows, and the check that submissions to it must pass."""
