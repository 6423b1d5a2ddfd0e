"""Hydra plugins of gdconv."""
