"""What a study's tables show: summary, comparison, figures and page. Nothing is run again.

May import: config, theory, tables.
"""
