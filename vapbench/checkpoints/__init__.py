"""Weights on disk: the catalogue of published files, checkpoint folders, tensors read safely."""
