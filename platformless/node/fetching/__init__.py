"""Fetching a model file by URL, and keeping it only when it is the one that ModelRegistry names."""
