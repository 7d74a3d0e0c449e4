"""A video through a trained tokenizer: its latents or codes in a folder, the video that comes back of them, and how near that is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from armillary.core import ConfigError, DataError, to_disk, to_model
from armillary.core.storage import folder_written_whole, write_json
from armillary.data.video import VideoInfo, decode_video, encode_video, probe_video
from armillary.evaluate.code_usage import CodeCounts, bits_per_code
from armillary.evaluate.video import psnr, ssim
from armillary.studies.runs import LoadedRun, load_run
from armillary.tokenizers.config import TokenizerConfig
from armillary.tokenizers.network import VideoAutoencoder
from armillary.tokenizers.streaming import code_chunk, decode_chunk, encode_chunk
from armillary.tokenizers.train import TrainedTokenizer
from armillary.train.checkpoint import write_tensors

LATENTS_AT_ONCE = 4
TOKENS, RECONSTRUCTION, FACTS = "tokens.safetensors", "reconstruction.mp4", "tokens.json"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What would be read of a video: its pictures' size, how many of its frames, and how many at the end make no whole latent."""

    height: int
    width: int
    frames: int
    left_out: int
    fps: float


def plan_tokens(config: TokenizerConfig, info: VideoInfo, shorter: int) -> Plan:
    """The video's shorter side shrunk to `shorter` pixels, both sides rounded to the rate. DataError where nothing is left of it."""
    scale, rate = min(1.0, shorter / min(info.height, info.width)), config.space_rate
    height, width = (int(side * scale / rate + 0.5) * rate for side in (info.height, info.width))
    if min(height, width) < 1 or info.frames < 1:
        raise DataError(
            f"a video of {info.frames} frames and {info.height} x {info.width} pixels has nothing for a tokenizer of rate "
            f"{config.rate}; give one of at least a frame and {rate} x {rate} pixels"
        )
    left_out = (info.frames - 1) % config.time_rate
    return Plan(height=height, width=width, frames=info.frames - left_out, left_out=left_out, fps=float(info.fps))


def planned(run: Path | str, video: Path | str) -> Plan:
    """What `tokenize_video` would read. ConfigError where the run is of no tokenizer."""
    loaded = _tokenizer_run(run)
    return plan_tokens(loaded.world.network.config, probe_video(video), loaded.config.data.height)


def tokenize_video(
    run: Path | str, video: Path | str, out: Path | str, *, on_frames: Callable[[int, int], None] | None = None
) -> dict[str, object]:
    """Write the folder `out`: tokens.safetensors, reconstruction.mp4, tokens.json; give what the last one says.

    The video passes in chunks: memory is that of a few latents, but for the video's own pictures. ConfigError where the run is of no
    tokenizer or `out` holds something, VideoError for a damaged video, DataError for one that is too small. Nothing is left half done.
    """
    loaded, out = _tokenizer_run(run), Path(out)
    if out.exists():
        raise ConfigError(f"{out} exists already; choose another --out")
    network, info = loaded.world.network, probe_video(video)
    plan = plan_tokens(network.config, info, loaded.config.data.height)
    frames = decode_video(video, size=(plan.height, plan.width))[: plan.frames]
    tokens, returned, quality = _through(network, frames, on_frames)
    facts = {
        "video": str(video),
        "frames_left_out_at_the_end": plan.left_out,
        "run": str(loaded.path),
        "rate": network.config.rate,
        "bottleneck": network.config.bottleneck,
        "frames": plan.frames,
        "height": plan.height,
        "width": plan.width,
        "fps": plan.fps,
        "tokens": list(tokens.shape),
        **_cost(network, tokens, frames.size),
        **quality,
    }
    with folder_written_whole(out) as folder:
        write_tensors(folder / TOKENS, {"codes" if network.config.discrete else "latents": tokens})
        encode_video(folder / RECONSTRUCTION, returned, fps=plan.fps)
        write_json(folder / FACTS, facts)
    return facts


@torch.no_grad()
def _through(
    network: VideoAutoencoder, frames: UInt8[np.ndarray, "t h w 3"], on_frames: Callable[[int, int], None] | None
) -> tuple[Tensor, UInt8[np.ndarray, "t h w 3"], dict[str, float]]:
    """All tokens, all frames as they come back, and their mean PSNR (dB) and SSIM."""
    tokens, returned, decibels, likeness = [], np.empty_like(frames), [], []
    encoding = decoding = None
    first, count = 0, 1 + (LATENTS_AT_ONCE - 1) * network.config.time_rate
    while first < len(frames):
        chunk = to_model(frames[first : first + count])[None]
        token, encoding = (encode_chunk if network.quantiser is None else code_chunk)(network, chunk, encoding)
        pictures, decoding = decode_chunk(network, token if network.quantiser is None else network.quantiser.codes_to_z(token), decoding)
        returned[first : first + count] = to_disk(pictures[0])
        decibels.append(psnr(pictures.clamp(0, 1), chunk)[0])
        likeness.append(ssim(pictures.clamp(0, 1), chunk)[0])
        tokens.append(token[0])
        first, count = first + count, LATENTS_AT_ONCE * network.config.time_rate
        if on_frames is not None:
            on_frames(min(first, len(frames)), len(frames))
    mean = {"psnr_db": float(torch.cat(decibels).mean()), "ssim": float(torch.cat(likeness).mean())}
    return torch.cat(tokens, dim=-3), returned, mean


def _cost(network: VideoAutoencoder, tokens: Tensor, colours: int) -> dict[str, object]:
    """What the tokens take: numbers or bits for each number of the video, and which codes are used."""
    if network.quantiser is None:
        return {"numbers_of_a_pixel": 3 * tokens.numel() / colours}
    counts = CodeCounts(network.quantiser.num_codes)
    counts.update(tokens)
    bits = bits_per_code(network.quantiser.num_codes) * tokens.numel()
    return {"bits_of_a_pixel": 3 * bits / colours, "codes": network.quantiser.num_codes, "codes_used": counts.usage().num_used}


def _tokenizer_run(run: Path | str) -> LoadedRun:
    loaded = load_run(run)
    if not isinstance(loaded.world, TrainedTokenizer):
        raise ConfigError(
            f"{run} is a run of {loaded.family}, not of a tokenizer; train one with: armillary train tokenizer --data PATH --out RUN"
        )
    return loaded
