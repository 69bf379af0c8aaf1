"""From tables to text: terminal, LaTeX, Markdown, CSV, JSON, HTML, figures."""
