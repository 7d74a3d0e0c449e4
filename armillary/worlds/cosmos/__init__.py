"""Released Cosmos checkpoints, run by diffusers, as a World."""
