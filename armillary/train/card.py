"""MODEL_CARD.md in Hugging Face's style; what nobody has said yet is flagged, not left out."""

import shlex
from collections.abc import Mapping

MISSING = "**[missing: please fill in]**"


def model_card(config: Mapping[str, object], environment: Mapping[str, object], results: Mapping[str, object]) -> str:
    """The card of a run, from its config.json, its environment.json and what was measured, as Markdown with YAML front matter."""
    family, replay = config["family"], shlex.join(config["replay"])
    data = config.get("data_path") or MISSING
    measured = "\n".join(f"| {name} | {value} |" for name, value in results.items()) or f"| {MISSING} | |"
    commit = environment.get("git_commit") or MISSING
    dirty = " with uncommitted changes" if environment.get("git_dirty") else ""
    packages = environment.get("packages") or {}
    base = f"| begins with the weights of | {config['init']['run']} |\n" if "init" in config else ""
    return f"""---
library_name: armillary
tags: [armillary, {family}]
license: {MISSING.strip("*")!r}
---
# {family}, trained by Armillary

| | |
|---|---|
| family | {family} |
| trained on | {data} |
{base}| licence of the data | {MISSING} |
| intended use | {MISSING} |
| out-of-scope use | {MISSING} |
| known limits and risks | {MISSING} |
| contact | {MISSING} |

## Results
| what | value |
|---|---|
{measured}

## Make it again
```
{replay or MISSING}
```
Armillary {environment.get("armillary")}, Python {environment.get("python")}, torch {packages.get("torch")}, commit {commit}{dirty}.
The whole configuration is in config.json, every step in metrics.jsonl.
"""
