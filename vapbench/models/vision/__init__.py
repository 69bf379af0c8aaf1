"""The networks of metrics."""
