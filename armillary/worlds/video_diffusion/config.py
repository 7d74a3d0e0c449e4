"""The settings of a video diffusion world."""

from dataclasses import dataclass, field, fields

from armillary.core import ConfigError
from armillary.nn.noising import NOISINGS
from armillary.nn.samplers import SAMPLERS
from armillary.tokenizers.config import TokenizerConfig
from armillary.worlds.video_diffusion.rotary import LEAST_HEAD

TEXTS = ("bytes", "t5", "clip", "none")
_POSITIVE = ("patch", "depth", "rank", "context_steps", "chunk_steps", "sampling_steps", "text_bytes", "batch_size")
_SHARES = ("context_noise", "text_dropout", "image_share")


@dataclass(frozen=True, kw_only=True)
class ModeWeights:
    """How often each training window has a mode, against the others: what of it is given, and what is drawn.

    | mode | frames given | actions |
    |---|---|---|
    | text_to_world | none | hidden |
    | image_to_world | the first | hidden |
    | video_to_world | the first k | hidden |
    | forward_dynamics | the first k | given |
    | inverse_dynamics | all | drawn |
    | policy | the first k | drawn, but for those between the frames given |
    | view_to_view | of some cameras all, of the others the first k or none | given or hidden |

    The last one is for data of several cameras. In the others too some cameras are not seen at all in a share of such windows.
    """

    text_to_world: float = 0.05
    image_to_world: float = 0.05
    video_to_world: float = 0.1
    forward_dynamics: float = 0.5
    inverse_dynamics: float = 0.15
    policy: float = 0.15
    view_to_view: float = 0.15

    def __post_init__(self):
        weights = [getattr(self, one.name) for one in fields(self)]
        if min(weights) < 0 or not sum(weights) > 0:
            raise ConfigError(f"model.modes must be 0 or more, one of them above, received {self}")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Sizes and variants. What is drawn is pixels, or the latents of the finished tokenizer run `tokenizer` (its sizes: `latents`).

    A chunk of `chunk_steps` frames is drawn after up to `context_steps` given ones; the last of them are the context of the next chunk,
    with noise of level `context_noise`, which the network is told. `causal`: a frame looks at no later step, so that a chunk may be drawn
    as far as its actions are known. Without it (so Cosmos), what is drawn so far is a shorter chunk.
    `places`: a learned vector for every time, row and column (Cosmos 1 has them, 2 has not), without which only differences of place count.
    `shift` moves the levels of rectified flow towards noise: what neighbouring pixels tell of one another must drown before a network
    learns to look at actions.
    `carry`: every frame is told the last one given, and rectified flow learns the difference.

    `text` is what reads the episodes' tasks: "bytes" (a small transformer, trained along), "t5" or "clip" (released weights in
    `text_folder`), "none". In a share `text_dropout` of the windows the text is left out. `guidance` 1 draws as learned, a higher one
    away from what would be drawn without the text, `action_guidance` without the actions.
    `image_share` of a batch are single frames. `camera_condition`: actions are motions of the camera (rotation vector in radians,
    translation in metres, in its own frame; as many as a step joins, one after another), and every cell is told its ray; of several
    cameras a motion is followed by where each further one then is in the first one's frame, in the same six numbers.
    `field_of_view_deg` is the horizontal one of all cameras, 0 what the data says.
    """

    tokenizer: str = ""
    latents: TokenizerConfig = field(default_factory=TokenizerConfig)
    patch: int = 4
    width: int = 192
    depth: int = 6
    heads: int = 4
    rank: int = 32
    mlp_ratio: float = 4.0
    causal: bool = True
    places: bool = True
    carry: bool = True
    noising: str = "rectified-flow"
    shift: float = 8.0
    sampler: str = "adams"
    sampling_steps: int = 8
    context_steps: int = 2
    chunk_steps: int = 10
    context_noise: float = 0.02
    modes: ModeWeights = field(default_factory=ModeWeights)
    text: str = "bytes"
    text_folder: str = ""
    text_bytes: int = 64
    text_width: int = 64
    text_dropout: float = 0.1
    guidance: float = 1.0
    action_guidance: float = 1.0
    image_share: float = 0.1
    camera_condition: bool = False
    field_of_view_deg: float = 0.0
    action_weight: float = 0.3
    batch_size: int = 16
    learning_rate: float = 1e-3

    def __post_init__(self):
        for name, choices in (("noising", NOISINGS), ("sampler", SAMPLERS), ("text", TEXTS)):
            if getattr(self, name) not in choices:
                raise ConfigError(f"model.{name} must be one of {', '.join(choices)}; received {getattr(self, name)!r}")
        for name in _POSITIVE:
            if getattr(self, name) < 1:
                raise ConfigError(f"model.{name} must be 1 or more; received {getattr(self, name)}")
        for name in _SHARES:
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"model.{name} must be at least 0 and below 1; received {getattr(self, name)}")
        if self.heads < 1 or self.width % self.heads or self.width // self.heads < LEAST_HEAD or self.width // self.heads % 2:
            raise ConfigError(
                f"model.width must be model.heads times an even number of at least {LEAST_HEAD}; received {self.width} and {self.heads}"
            )
        if not self.shift > 0:
            raise ConfigError(f"model.shift must be above 0; received {self.shift}")
        if not 0 <= self.field_of_view_deg < 180:
            raise ConfigError(f"model.field_of_view_deg must be at least 0 and below 180; received {self.field_of_view_deg}")
        if self.text in ("t5", "clip") and not self.text_folder:
            raise ConfigError(
                f"model.text = {self.text} needs model.text_folder: a folder with config.json, safetensors and tokenizer files"
            )
        if self.context_steps > self.chunk_steps:
            raise ConfigError(
                f"model.context_steps must be at most model.chunk_steps, so that a chunk can follow a chunk; "
                f"received {self.context_steps} and {self.chunk_steps}"
            )
        rate = self.frames_per_cell
        if (self.context_steps - 1) % rate or self.chunk_steps % rate:
            raise ConfigError(
                f"with a tokenizer of rate {self.latents.rate}, model.context_steps must be 1 + a multiple of {rate} and model.chunk_steps "
                f"a multiple; received {self.context_steps} and {self.chunk_steps}"
            )

    @property
    def frames_per_cell(self) -> int:
        """Frames of video for a frame of cells."""
        return self.latents.time_rate if self.tokenizer else 1

    @property
    def context_cells(self) -> int:
        """Frames of cells that a full context has."""
        return 1 + (self.context_steps - 1) // self.frames_per_cell
