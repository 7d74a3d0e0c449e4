"""Policies: what decides, from what is seen to what is done."""
