"""Statements about methods that choose each step by what they see."""
