"""VAP's Mixture-of-Transformers on Wan."""
