"""From rows to summaries of runs: what counts, columns, facts."""
