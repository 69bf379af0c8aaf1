"""From summaries of runs to tables."""
