"""Blocks that two families or more use."""
