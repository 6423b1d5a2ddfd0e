"""What a study is made of: how a key is declared and checked, and the groups of keys.

May import: no other room.
"""
