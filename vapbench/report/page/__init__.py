"""The page that shows a run's clips."""
