"""A released model's folder, or hub id, as a world; and in plain values, without loading it."""

from pathlib import Path

import torch

from armillary.core import ConfigError
from armillary.worlds.cosmos.config import CosmosConfig as Config
from armillary.worlds.cosmos.memory import free_bytes, needs, require_memory
from armillary.worlds.cosmos.pipeline import load_guardrail, load_pipeline
from armillary.worlds.cosmos.released import open_release
from armillary.worlds.cosmos.world import CosmosWorld


def load(source: Path | str, config: Config | None = None) -> CosmosWorld:
    """The world of a released model's folder, or of a hub id OWNER/NAME[@REVISION].

    Raises CheckpointError for what is no such model or not whole; ConfigError where diffusers or the guardrail is not installed, where
    the settings cannot be, or where this machine has not the memory: no weight was read then.
    """
    config, release = config or Config(), open_release(source)
    device = _device(config)
    if config.offload and device.type == "cpu":
        raise ConfigError("offload moves parts to a GPU and back, and there is none; leave it off")
    require_memory(release, config, device)
    guardrail = load_guardrail(config)
    return CosmosWorld(load_pipeline(release, config, device), release, config, guardrail)


def describe(source: Path | str, config: Config | None = None) -> dict[str, object]:
    """A released model in plain values: what it is, what it needs, whether this machine can hold it. Errors as `load`'s."""
    config, release = config or Config(), open_release(source)
    device = _device(config)
    whole, needed = release.complete(config), needs(release, config, device)
    free = free_bytes(device)
    return {
        "released": str(source),
        "pipeline": release.name,
        "starts_from": ["text", *(["frames"] if release.kind.goes_on else [])],
        "parameters": release.numbers(),
        "picture": f"{whole.height} x {whole.width}",
        "frames_per_chunk": whole.num_frames,
        "seconds_per_step": 1.0 / whole.fps,
        "dtype": whole.dtype,
        "device": str(device),
        "bytes_of_weights": needed.weights,
        "bytes_needed": needed.whole,
        "bytes_free": free,
        "fits": needed.whole <= free,
    }


def _device(config: Config) -> torch.device:
    return torch.device(config.device or ("cuda" if torch.cuda.is_available() else "cpu"))
