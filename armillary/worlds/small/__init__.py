"""Tiny vectorised worlds whose truth is known exactly."""
