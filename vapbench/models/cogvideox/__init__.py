"""VAP's Mixture-of-Transformers on CogVideoX."""
