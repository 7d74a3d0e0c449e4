"""Worlds, one folder a family."""
