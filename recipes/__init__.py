"""One file a published result; each runs as `python -m recipes.NAME` and prints its rows."""
