"""From rows to evidence: what counts, columns, facts."""
