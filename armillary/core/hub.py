"""Folders behind a hub id (huggingface.co's, or where HF_ENDPOINT says), fetched where the hub can be reached."""

import re
from collections.abc import Sequence
from pathlib import Path

from armillary.core.errors import CheckpointError

HUB = "hub:"  # before a hub id, where it could be taken for a path
_ID = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@([A-Za-z0-9][\w./-]*))?")


def fetch(source: str, patterns: Sequence[str], *, example: str) -> Path:
    """The local folder with those files of OWNER/NAME or OWNER/NAME@REVISION that fit one of the `patterns`; only these are fetched.

    CheckpointError for what is no hub id (`example` shows one), or where the hub does not give it.
    """
    found = _ID.fullmatch(source)
    if found is None:
        raise CheckpointError(f"{source!r} is neither a folder nor a hub id such as {example}")
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise CheckpointError(f"{source} is no folder, and fetching it needs `pip install huggingface-hub`") from error
    try:
        return Path(snapshot_download(found[1], revision=found[2], allow_patterns=list(patterns)))
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(
            f"{source} is no folder here and could not be fetched from the hub ({reason}); check the name, the connection and whether "
            f"its licence was accepted there (`hf auth login`), or download it elsewhere and give its folder"
        ) from error
