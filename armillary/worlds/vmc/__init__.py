"""V-M-C: World Models (Ha and Schmidhuber 2018, arXiv:1803.10122)."""
