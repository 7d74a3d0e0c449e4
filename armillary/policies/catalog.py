"""The policies that learn from recordings, by name."""

FAMILIES: dict[str, str] = {
    "goal-cloning": "armillary.policies.goal_cloning",
    "inverse-dynamics": "armillary.policies.inverse_dynamics",
}  # what trains, and the module with its Config, PRESETS and build
