"""The dataset card: README.md in Hugging Face's form, with everything that only a person can know flagged as missing."""

from collections.abc import Mapping
from pathlib import Path

from armillary.core.storage import write_text
from armillary.data.metadata import Metadata, read_metadata

CARD_FILE = "README.md"
MISSING = "MISSING"
# What a reader of the card must know and no file tells: (key, what to write there).
WANTED = {
    "license": "under which licence the recordings may be used, such as apache-2.0 or cc-by-4.0",
    "recorded by": "who recorded it, where and when",
    "consent": "whether people are to be seen or heard, and what they agreed to",
    "how": "how it was recorded: teleoperation, a policy, a simulator; which sensors; which units the actions have",
    "known gaps": "what is not in it: light, objects, failures",
}


def missing_fields(known: Mapping[str, str]) -> tuple[str, ...]:
    """The keys of the card that nobody has filled in."""
    return tuple(key for key in WANTED if not known.get(key))


def card_text(metadata: Metadata, known: Mapping[str, str] | None = None, name: str = "") -> str:
    """The card of a dataset. `known` gives what a person knows, by the keys of `WANTED`."""
    known = dict(known or {})
    info = metadata.info
    absent = missing_fields(known)
    lines = [
        "---",
        f"license: {_yaml(known.get('license') or 'unknown')}",
        "task_categories:",
        "- robotics",
        "tags:",
        "- LeRobot",
        "- armillary",
    ]
    lines += [
        "configs:",
        "- config_name: default",
        "  data_files: data/*/*.parquet",
        "---",
        "",
        f"# {_line(name or metadata.root.name)}",
        "",
    ]
    if absent:
        lines += [
            f"> **{len(absent)} fields of this card are missing**: {', '.join(absent)}. Fill them in before you share the dataset.",
            "",
        ]
    lines += ["| what | value |", "|---|---|"]
    minutes = info.total_frames / info.fps / 60
    facts = {
        "format": f"LeRobotDataset {info.version}",
        "robot": info.robot_type,
        "episodes": info.total_episodes,
        "frames": f"{info.total_frames} at {info.fps:g} a second ({minutes:.1f} minutes)",
    }
    lines += [f"| {key} | {_line(value)} |" for key, value in facts.items()]
    lines += [f"| {key} | {_line(known[key]) if known.get(key) else f'**{MISSING}**: {hint}'} |" for key, hint in WANTED.items()]
    lines += ["", "## Columns", "", "| name | type | shape | names |", "|---|---|---|---|"]
    for key, feature in info.features.items():
        shape = " x ".join(str(length) for length in feature.shape)
        lines.append(f"| {_line(key)} | {feature.dtype} | {shape} | {_line(', '.join(feature.names))} |")
    lines += ["", "## Tasks", "", *(f"- {_line(task)}" for task in info.tasks)]
    return "\n".join(lines) + "\n"


def write_card(path: Path, known: Mapping[str, str] | None = None, *, name: str = "", replace: bool = False) -> Path | None:
    """Write README.md into a dataset's folder; None, and nothing is done, when there is one and `replace` is false."""
    file = Path(path) / CARD_FILE
    if file.exists() and not replace:
        return None
    write_text(file, card_text(read_metadata(Path(path)), known, name))
    return file


def _line(value: object) -> str:
    """Text from a dataset as plain text in a table: no markup, no second line."""
    text = " ".join(str(value).split())
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#!" else c for c in text)


def _yaml(value: str) -> str:
    return "".join(c for c in value if c.isalnum() or c in ".-_ ").strip() or "unknown"
