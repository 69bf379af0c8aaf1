"""Plan, generate, score: a run from its first case to its last row."""
