"""Genie: a world that is learned from videos without actions, and can be played."""
