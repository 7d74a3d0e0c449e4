"""Several cameras in one picture: which part of it a prompt shows, what the others saw, and how wide each looks."""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from armillary.core import ConfigError, Prompt, WorldError
from armillary.data.shape import DataShape
from armillary.worlds.video_diffusion.chunks import Asked, Chunks
from armillary.worlds.video_diffusion.config import ModelConfig
from armillary.worlds.video_diffusion.denoiser import MOTION_SIZE
from armillary.worlds.video_diffusion.state import padded


def spread_over(prompt: Prompt, cameras: tuple[str, ...], picture: tuple[int, int, int]) -> tuple[Prompt, Bool[Tensor, "1 v"]]:
    """The prompt with frames that have room for all cameras side by side, in the world's order, and which of them it shows.

    `picture` has all of them; a world of one camera has no names. WorldError for cameras that the world does not know, for one named
    twice, and for frames of another width than those of the cameras named.
    """
    frames, views, named = prompt.frames, max(len(cameras), 1), prompt.cameras
    if named is None:
        return prompt, torch.ones(1, views, dtype=torch.bool, device=frames.device)
    if not cameras:
        raise WorldError(f"this world was trained on one camera; leave out Prompt.cameras, received {', '.join(named)}")
    unknown = [name for name in named if name not in cameras]
    if unknown or not named or len(set(named)) < len(named):
        raise WorldError(f"a prompt's cameras must be some of {', '.join(cameras)}, each once; received {', '.join(named) or 'none'}")
    width = picture[2] // views
    if frames.ndim != 5 or frames.shape[4] != width * len(named):
        raise WorldError(
            f"frames of {', '.join(named)} side by side must be {picture[1]} x {width * len(named)} (height x width), "
            f"received {tuple(frames.shape)}"
        )
    alone = dict(zip(named, frames.chunk(len(named), dim=4), strict=True))
    nothing = torch.zeros_like(frames[..., :width])
    seen = torch.tensor([[name in alone for name in cameras]], device=frames.device)
    return replace(prompt, frames=torch.cat([alone.get(name, nothing) for name in cameras], dim=4)), seen


def draw_others(chunks: Chunks, asked: Asked, rng: Generator) -> Float[Tensor, "b t 3 h vw"]:
    """The frames asked for with what cameras that show none of them saw, piece by piece; the last pictures drawn begin the next piece."""
    config, film, done, count = chunks.config, asked.frames, 0, len(asked.frames)
    most = config.context_steps + config.chunk_steps
    while done < film.shape[1]:
        kept = chunks.longest(min(done, config.context_steps)) if done else 0
        first, end = done - kept, min(done - kept + most, film.shape[1])
        whole = chunks.shortest(end - first)  # the last frame is taken to have stood still
        piece = torch.cat([film[:, first:end], film[:, end - 1 : end].expand(-1, whole - (end - first), -1, -1, -1)], dim=1)
        chunk = replace(
            chunks.ask(piece, whole - 1, asked.text),
            shown=torch.where(asked.shown > 0, whole, kept),
            actions=padded(asked.actions[:, first:], whole - 1),
            acted=padded(asked.acted[:, first:], whole - 1),
            augment=torch.full((count,), config.context_noise if kept else 0.0, device=film.device),
        )
        drawn, _ = chunks.draw(chunk, chunks.noise(count, whole, rng))
        film = torch.cat([film[:, :first], drawn[:, : end - first], film[:, end:]], dim=1)
        done = end
    return film


def fields_of_view_deg_of(config: ModelConfig, shape: DataShape, views: int) -> tuple[float, ...]:
    """Of each camera; 0 where actions are not the motions of the first. ConfigError where they cannot be."""
    if not config.camera_condition:
        return (0.0,) * views
    size = MOTION_SIZE * views
    if not shape.action_size or shape.action_size % size:
        more = f" ({MOTION_SIZE} of the first and {MOTION_SIZE} of where each other one is beside it)" if views > 1 else ""
        raise ConfigError(
            f"model.camera_condition takes actions for motions of the camera: {size} numbers{more}, or as many for each motion of a step; "
            f"these have {shape.action_size}; with --data.camera-motion yes they are read from the dataset's poses"
        )
    read = (shape.field_of_view_deg, *shape.more_fields_of_view_deg)
    found = (config.field_of_view_deg,) * views if config.field_of_view_deg else read
    if len(found) != views or not all(found):
        raise ConfigError("model.camera_condition needs model.field_of_view_deg, or data.camera_motion to read it from the dataset")
    return found
