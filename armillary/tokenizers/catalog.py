"""The tokenizers in the package by name."""

FAMILIES: dict[str, str] = {"tokenizer": "armillary.tokenizers.train"}  # what trains, and the module with its Config, PRESETS and build
