"""The files of a user's table, or what stands for them, and the rows in them.

places: where the files are, and their hash. parts: what kind each is, and its bytes. dialect: how a
text file writes its table. blocks: some rows at a time, as they stand in a file. text, arrow: those
of text files, and of Parquet and Feather. cells: a column of a block as numbers, dates and texts.
held: tables given from Python.
"""
