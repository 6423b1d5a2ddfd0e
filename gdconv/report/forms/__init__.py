"""The summary of a study in other forms: as HTML for a notebook, as LaTeX for a paper."""
