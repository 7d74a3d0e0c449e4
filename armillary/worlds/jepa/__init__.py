"""JEPA: world models that foresee what a video means, not its pixels (V-JEPA 2, LeWM, eb_jepa)."""
