"""From evidence to tables."""
