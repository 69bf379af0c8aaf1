"""What conditions do to scenes, one module per category."""
