"""The page report.html, and the explorer in it."""
