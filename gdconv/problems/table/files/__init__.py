"""The files of a user's table, or what stands for them, and the rows in them.

parts: the files, what kind each is, their bytes and their hash. dialect: how a text file writes its
table. blocks: some rows at a time, as they stand in a file. cells: a column of a block as numbers,
dates and texts. held: tables given from Python.
"""
