"""The user's table: from files, or from Python, to the numbers of its columns.

A table is read in two steps. First every part is looked at, block of rows by block of rows: which
columns are numbers, which texts there are, what is missing. From this follows what becomes of each
column. Then the blocks are turned into numbers, each by itself.

parts: the files, what kind each is, their bytes and their hash. dialect: how a text file writes its
table. blocks: rows as they stand in a file. cells: a column of a block as numbers, dates and texts.
survey: what is known of the columns. columns: which are used, and as what. reading: all of it
together. held: tables given from Python. describe: what `gdconv-table` prints.
"""
