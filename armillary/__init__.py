"""Armillary: world models and Physical AI, from recordings to a judged agent."""

__version__ = "0.1.0"
