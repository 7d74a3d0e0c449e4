"""Autoregressive worlds: pictures as codes, and a transformer that says the next code."""
