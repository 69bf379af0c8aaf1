"""After the votes: quality, estimates, documents, figures, exports."""
