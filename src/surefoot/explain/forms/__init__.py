"""What was worked out, written as text, Markdown, LaTeX, HTML and data."""
