"""The disk: atomic writes, capped parsing, journals, locks, provenance, downloads. It knows nothing of video."""
