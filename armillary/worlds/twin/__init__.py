"""Digital twins: sim-ready assets, the scenes made of them, and the simulated world that they are."""
