"""The summary of a study as lines for a terminal, as HTML for a notebook, as LaTeX for a paper."""
