"""Pre-training on video without labels, and the settings of such a run. Actions are ignored: what comes out is an encoder, not a World."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

import gymnasium
import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn import functional

from armillary.core import Batch, ConfigError, Loss, Phase, Trainable, WorldSpec
from armillary.data.shape import DataConfig, DataShape
from armillary.nn.random_shift import random_shift
from armillary.train.config import TrainConfig
from armillary.worlds.jepa.masking import BlockMask, FutureMask, Mask, draw_maskings
from armillary.worlds.jepa.released import open_release
from armillary.worlds.jepa.vit import check_picture
from armillary.worlds.jepa.vjepa2 import Sizes, VJepa2

CROP_ASPECT_RATIO = (0.75, 1.35)
# The targets move, so that losses of two moments do not compare, and the least is that of a collapsed encoder: only the end is validated,
# and the last weights are the best.
AT_THE_END_ONLY = 0
LEAST_SPREAD = 0.1  # tokens have unit deviation; over places a healthy encoder's keep most of it


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Sizes):
    """Sizes of the networks, and how they are pre-trained.

    A window has `num_frames` pictures. `mask_blocks` and `mask_areas` pair up: one masking for each pair, of so many blocks of such a
    share of the picture; no masking shows less than `least_visible` of it. `future_masks` more maskings show the beginning of a
    window and ask for the rest (`masking.FutureMask`). `momentum` is the target encoder's. Windows are cut
    to a random part of at least `smallest_crop` of the picture and scaled up again (1: never), and with `mirror` half of them are
    mirrored. In training every window is also seen moved by up to `shift_pixels` pixels, since cameras move between recordings. `init`
    names a folder or a hub id of released weights to begin with; the sizes must be theirs.
    """

    num_frames: int = 16
    mask_blocks: tuple[int, ...] = (8, 2)
    mask_areas: tuple[float, ...] = (0.15, 0.7)
    least_visible: float = 0.05
    future_masks: int = 0
    momentum: float = 0.998
    smallest_crop: float = 1.0
    mirror: bool = False
    shift_pixels: int = 0
    batch_size: int = 16
    learning_rate: float = 5.25e-4
    init: str = ""

    def __post_init__(self):
        super().__post_init__()
        if self.num_frames < 1 or (self.num_frames > 1 and self.num_frames % self.tubelet_size):
            raise ConfigError(
                f"model.num_frames must be 1 (still pictures) or a multiple of model.tubelet_size = {self.tubelet_size}, "
                f"received {self.num_frames}"
            )
        if len(self.mask_blocks) != len(self.mask_areas):
            raise ConfigError(f"model.mask_blocks and model.mask_areas must pair up, received {self.mask_blocks} and {self.mask_areas}")
        if self.future_masks < 0 or not (self.mask_blocks or self.future_masks):
            raise ConfigError(
                "pre-training needs a masking: give model.mask_blocks and model.mask_areas, or model.future_masks >= 1; "
                f"received {self.mask_blocks} and {self.future_masks}"
            )
        if self.future_masks and self.num_frames < 2 * self.tubelet_size:
            raise ConfigError(f"model.future_masks needs model.num_frames >= {2 * self.tubelet_size}, received {self.num_frames}")
        if not 0 <= self.least_visible < 1:
            raise ConfigError(f"model.least_visible must be in [0, 1), received {self.least_visible}")
        if not 0 <= self.momentum <= 1:
            raise ConfigError(f"model.momentum must be in [0, 1], received {self.momentum}")
        if not 0 < self.smallest_crop <= 1:
            raise ConfigError(f"model.smallest_crop must be above 0 and at most 1, received {self.smallest_crop}")
        if self.shift_pixels < 0:
            raise ConfigError(f"model.shift_pixels must be >= 0 (0: never moved), received {self.shift_pixels}")
        self.masks()

    def masks(self) -> tuple[Mask, ...]:
        """One for each pair of `mask_blocks` and `mask_areas`, then those of what comes next."""
        blocks = (BlockMask(blocks=blocks, area=area) for blocks, area in zip(self.mask_blocks, self.mask_areas, strict=True))
        return (*blocks, *[FutureMask()] * self.future_masks)

    def sizes(self) -> Sizes:
        """What of this decides the networks alone."""
        return Sizes(**{one.name: getattr(self, one.name) for one in fields(Sizes)})


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that decides a pre-training run, besides the data itself."""

    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=lambda: TrainConfig(weight_decay=0.04, validate_every=AT_THE_END_ONLY))
    model: ModelConfig = field(default_factory=ModelConfig)


TINY = ModelConfig()
SMALL = ModelConfig(width=192, depth=12, heads=3, predictor_width=96, predictor_depth=6, predictor_heads=3, momentum=0.999)
LARGE = ModelConfig(
    width=1024,
    depth=24,
    heads=16,
    patch_size=16,
    predictor_width=384,
    predictor_depth=12,
    predictor_heads=12,
    num_mask_tokens=10,
    momentum=0.99925,
    smallest_crop=0.3,
    mirror=True,
    batch_size=3072,
)
HUGE = replace(LARGE, width=1280, depth=32)
GIANT = replace(LARGE, width=1408, depth=40, heads=22, mlp_ratio=48 / 11)


def _published(model: ModelConfig) -> Config:
    """256 pixels, 16 frames; the learning rate warms up, then stays (its last, cooling stretch is another run, from `model.init`)."""
    train = TrainConfig(
        steps=240_000,
        weight_decay=0.04,
        warmup_steps=12_000,
        schedule="constant",
        gradient_clip=0.0,
        validate_every=AT_THE_END_ONLY,
    )
    return Config(data=DataConfig(height=256, width=256), train=train, model=model)


PRESETS: Mapping[str, Config] = {
    "default": Config(model=TINY),
    "tiny": Config(model=TINY),
    "small": Config(model=SMALL),
    "vit-l": _published(LARGE),
    "vit-h": _published(HUGE),
    "vit-g": _published(GIANT),
    "published": _published(GIANT),
}


def build(config: Config, shape: DataShape) -> "VideoPretraining":
    """V-JEPA 2 with fresh weights for pictures of this shape; `model.init` is read when training begins."""
    return VideoPretraining(config.model, shape)


class VideoPretraining(nn.Module, Trainable):
    """Trains a `VJepa2`. `spec` says what it looks at; its action space is the data's, which pre-training does not look at."""

    def __init__(self, config: ModelConfig, shape: DataShape):
        super().__init__()
        check_picture(shape.height, shape.width, config.patch_size)
        self.config = config
        self.networks = VJepa2(config.sizes())
        # Kept with the weights: a run that goes on, or is used, must not read `init` again.
        self.register_buffer("initialised", torch.tensor(not config.init))
        self.spec = _spec(config, shape)

    def encode(self, frames: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b times rows columns d"]:
        """What the trained encoder makes of pictures in [0, 1]; see `VJepa2.encode`."""
        return self.networks.encode(frames)

    def phases(self) -> tuple[Phase, ...]:
        config = self.config
        settings = {"batch_size": config.batch_size, "num_frames": config.num_frames, "learning_rate": config.learning_rate}
        return (Phase(name="pretrain", share=1.0, **settings),)

    def begin_phase(self, name: str) -> None:
        """Encoder and predictor learn, the target encoder follows. The first time, released weights are read where `init` names some."""
        if not self.initialised:
            open_release(self.config.init).fill(self.networks)
            self.initialised.fill_(True)
        self.networks.requires_grad_(True)
        self.networks.target_encoder.requires_grad_(False)

    def loss(self, batch: Batch, rng: Generator) -> Loss:
        if batch.frames.shape[1] != self.config.num_frames:
            raise ConfigError(f"windows must have model.num_frames = {self.config.num_frames} pictures, received {batch.frames.shape[1]}")
        frames = other_cuts(batch.frames, self.config.smallest_crop, self.config.mirror, rng)
        if self.training and self.config.shift_pixels:
            frames = random_shift(frames, self.config.shift_pixels, rng)
        grid = self.networks.encoder.grid(frames.shape)
        maskings = draw_maskings(self.config.masks(), grid, len(frames), rng, least_visible=self.config.least_visible)
        return self.networks.prediction_loss(frames, maskings)

    def after_step(self) -> None:
        self.networks.follow(self.config.momentum)

    def diagnose(self, row: Mapping[str, object]) -> str:
        """Whether the target encoder collapsed: its tokens, of unit deviation within each, are then the same in every place."""
        spread = row.get("validation_spread", row.get("spread"))
        if spread is None or spread >= LEAST_SPREAD:
            return ""
        return (
            f"collapsed: every patch gets nearly the same token (spread {spread:.3g}, healthy is above {LEAST_SPREAD}); "
            "average more slowly (model.momentum), warm up longer (train.warmup_steps) or lower model.learning_rate"
        )


def other_cuts(frames: Float[Tensor, "b t c h w"], smallest: float, mirror: bool, rng: Generator) -> Float[Tensor, "b t c h w"]:
    """Each window cut to a random part of its pictures, the same in every frame, and scaled back to their size.

    The part's share of the area is uniform in [`smallest`, 1], its sides change their ratio by a factor in CROP_ASPECT_RATIO.
    """
    if smallest == 1 and not mirror:
        return frames
    count, steps = frames.shape[:2]
    noise = torch.rand(count, 5, generator=rng, device=rng.device)
    low, high = (np.log(value) for value in CROP_ASPECT_RATIO)
    share, ratio = smallest + (1 - smallest) * noise[:, 0], torch.exp(low + (high - low) * noise[:, 1])
    if smallest == 1:
        ratio = torch.ones_like(ratio)
    sides = torch.stack([(share * ratio).sqrt(), (share / ratio).sqrt()], dim=1).clamp(max=1.0)  # width, height; of 1 each
    center = (1 - sides) * (2 * noise[:, 2:4] - 1)
    if mirror:
        sides = torch.stack([torch.where(noise[:, 4] < 0.5, -1.0, 1.0) * sides[:, 0], sides[:, 1]], dim=1)
    affine = torch.cat([torch.diag_embed(sides), center[..., None]], dim=2).to(frames.dtype)
    pixels = frames.flatten(1, 2)
    grid = functional.affine_grid(affine, list(pixels.shape), align_corners=False)
    cut = functional.grid_sample(pixels, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return cut.unflatten(1, (steps, -1))


def _spec(config: ModelConfig, shape: DataShape) -> WorldSpec:
    return WorldSpec(
        observation_space=gymnasium.spaces.Box(0, 255, (shape.height, shape.width, 3), np.uint8),
        action_space=gymnasium.spaces.Box(-np.inf, np.inf, (shape.action_size,), np.float32),
        seconds_per_step=shape.seconds_per_step,
        prompt=("frames",),
        context_steps=config.num_frames,
    )
