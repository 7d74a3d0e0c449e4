"""Diffusion worlds: what comes next is drawn from noise, frame by frame, by a transformer that knows the context and the actions."""
