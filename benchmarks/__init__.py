"""Speed and scale, and the rows of every measured result. Run from the repository: `python -m benchmarks.run`."""
