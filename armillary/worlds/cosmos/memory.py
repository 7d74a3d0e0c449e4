"""What a released model needs of memory, from the headers of its files, and what this machine has free."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from armillary.core import ConfigError
from armillary.worlds.cosmos.config import SIDE_STEP, CosmosConfig
from armillary.worlds.cosmos.released import WEIGHTS, Release

GIB = 2**30
# Numbers alive at once, measured on a processor with networks of the published widths.
_LIVE_OF_TOKEN = 34  # times the width, while a transformer block works
_LIVE_OF_VIDEO = 14  # times the chunk's own, while AutoencoderKLCosmos decodes it whole
_LIVE_OF_PICTURE = 1900  # times one picture's own, while AutoencoderKLWan decodes it a latent at a time
_COPY_BYTES = 36  # of the chunk's every number, on its way to whole numbers
_MARGIN = 1.1


@dataclass(frozen=True, kw_only=True)
class Needs:
    """Bytes: of the weights by part, and of one chunk being drawn (an estimate on the safe side)."""

    weights: Mapping[str, int]
    work: int

    @property
    def whole(self) -> int:
        """All parts in one memory, at work."""
        return sum(self.weights.values()) + self.work

    @property
    def in_turns(self) -> int:
        """One part at a time, at work."""
        return max(self.weights.values()) + self.work


def needs(release: Release, config: CosmosConfig, device: torch.device) -> Needs:
    """What the release needs with these settings; no weight is read."""
    config = release.complete(config)
    size = {part: config.dtype_of(part, device).itemsize for part in WEIGHTS}
    transformer = release.configs["transformer"]
    width = transformer.get("num_attention_heads", 32) * transformer.get("attention_head_dim", 128)
    latents = 1 + (config.num_frames - 1) // release.time_rate
    tokens = latents * (config.height // SIDE_STEP) * (config.width // SIDE_STEP)
    picture = 3 * config.height * config.width
    whole = release.classes["vae"] == "AutoencoderKLCosmos"
    work = {
        "transformer": tokens * width * _LIVE_OF_TOKEN * size["transformer"],
        "vae": picture * (config.num_frames * _LIVE_OF_VIDEO if whole else _LIVE_OF_PICTURE) * size["vae"],
        "copies": picture * config.num_frames * _COPY_BYTES,
    }
    weights = {part: count * size[part] for part, count in release.numbers().items()}
    return Needs(weights=weights, work=int(_MARGIN * max(work.values())))


def free_bytes(device: torch.device) -> int:
    """What this machine could still give on a device: of the GPU, or of RAM, a container's limit counted."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return min(_free_ram(), _left_in_container())


def require_memory(release: Release, config: CosmosConfig, device: torch.device) -> None:
    """ConfigError, with what to do, where the model would not fit."""
    needed = needs(release, config, device)
    asked = {device: needed.in_turns if config.offload else needed.whole}
    if config.offload:
        asked[torch.device("cpu")] = sum(needed.weights.values())
    for where, wanted in asked.items():
        free = free_bytes(where)
        if wanted > free:
            raise ConfigError(
                f"{release.folder} needs {wanted / GIB:.1f} GiB of {_named(where)} ({_parts(needed)}), and {free / GIB:.1f} GiB are free; "
                f"{_advice(config, where)}"
            )


def _parts(needed: Needs) -> str:
    parts = {**needed.weights, "one chunk": needed.work}
    return ", ".join(f"{part.replace('_', ' ')} {size / GIB:.1f}" for part, size in parts.items())


def _named(device: torch.device) -> str:
    return "GPU memory" if device.type == "cuda" else "RAM"


def _advice(config: CosmosConfig, device: torch.device) -> str:
    ways = ["set dtype to bfloat16"] if config.dtype == "float32" else []
    ways += ["set offload to true (one part at a time on the GPU)"] if device.type == "cuda" and not config.offload else []
    return "; or ".join([*ways, "draw fewer or smaller pictures (num_frames, height, width)", "take a smaller model or a larger machine"])


def _free_ram() -> int:
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):  # not Linux: what there is, used or not
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _left_in_container() -> int:
    group = Path("/sys/fs/cgroup")
    try:
        return int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
    except (OSError, ValueError):  # no such limit
        return _free_ram()
