"""The user's table: from files, or from Python, to the numbers of its columns.

A table is read in two steps. First every part is looked at, block of rows by block of rows: which
columns are numbers, which texts there are, what is missing. From this follows what becomes of each
column. Then the blocks are turned into numbers, each by itself.

files/: the files and the rows in them. source: the files of one table. survey: what is known of its
columns. columns: which are used, and as what. large: tables that are never whole in memory.
notices: what the user is told. reading: all of it together. describe: what `gdconv-table` prints.
"""
