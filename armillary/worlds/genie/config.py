"""The settings of a Genie world."""

from dataclasses import dataclass

from armillary.core import ConfigError
from armillary.nn.token_sampling import check_sampling

BOTTLENECKS = ("fsq", "vq")
STAGES = ("apart", "together")
TEXTS = ("bytes", "none")
_AT_LEAST_ONE = (
    *("patch", "num_codes", "latent_size", "tokenizer_depth", "num_actions", "action_size", "action_depth", "action_shrink", "depth"),
    *(
        "context_steps",
        "passes",
        "num_frames",
        "tokenize_frames",
        "batch_size",
        "labelled_steps",
        "text_bytes",
        "memory_length",
        "memory_window",
    ),
)
_SHARES = ("tokenize_share", "action_share", "label_share")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The tokenizer, the latent action model, the dynamics, and how they are trained and drawn from.

    One code stands for `patch` x `patch` pixels: with `bottleneck` "fsq" `levels` values for each number of a latent, with "vq" one of
    `num_codes` vectors of `latent_size`. There are `num_actions` latent actions of `action_size` numbers, inferred from pictures made
    `action_shrink` times smaller, in which things move by up to `reach` pixels a step. `drop_past`, `variance_weight` and `change_weight`
    keep them from being ignored (latent_actions.py; 0 switches one off, as it does for `reach`). Every transformer looks back at
    `context_steps` frames. A frame is drawn in `passes` passes; `temperature` 0 takes the likeliest codes. A share `recolour` of the
    training windows is shown in other colours (recolour.py). With `detail` a dream keeps what codes lose of the last real picture where it
    stays as it was (detail.py).

    Where the recordings' frames have captions, the dynamics is told them (`text` "bytes": by a small transformer of `text_width` over
    `text_bytes` bytes; "none": not), and events can be prompted. In windows where anything is said, a share `swapped_share` of the latent
    actions is another window's, so that events are learned from texts and not from what latent actions tell of them.

    With `memory_frames` 0 nothing is remembered beyond `context_steps`. Else the latest looks at up to `memory_length` views are kept, and
    the `memory_frames` most like the newest frame are looked at for each frame that is drawn (memory.py); windows of the dynamics'
    training have `memory_window` earlier frames to remember.

    To the dynamics a code that is not what it was a frame before counts `happens_weight` times more than one that is: most of a picture
    stays, and what happens is few codes. In a share `guessed_share` of its windows the frames before are not the recorded ones but what the
    dynamics draws after these, as in play, where errors feed on errors.

    `stages` "apart" trains one after another (shares `tokenize_share` and `action_share` of the steps; the dynamics takes what is left),
    "together" all three at once. In `label_share` of the steps, the last ones, at most `labelled_steps` recorded actions are mapped to
    latent ones; before that no action is looked at.
    """

    patch: int = 8
    bottleneck: str = "fsq"
    levels: tuple[int, ...] = (8,) * 12
    num_codes: int = 1024
    latent_size: int = 16
    tokenizer_width: int = 128
    tokenizer_depth: int = 2
    tokenizer_heads: int = 4
    num_actions: int = 8
    action_size: int = 8
    action_shrink: int = 2
    action_width: int = 64
    action_depth: int = 2
    action_heads: int = 4
    drop_past: float = 0.5
    variance_weight: float = 0.1
    change_weight: float = 4.0
    reach: int = 3
    width: int = 128
    depth: int = 3
    heads: int = 4
    context_steps: int = 5
    passes: int = 2
    temperature: float = 0.0
    top_p: float = 1.0
    stages: str = "apart"
    tokenize_share: float = 0.42
    action_share: float = 0.28
    label_share: float = 0.02
    recolour: float = 0.0
    detail: bool = True
    num_frames: int = 6
    tokenize_frames: int = 4
    batch_size: int = 8
    learning_rate: float = 2e-3
    labelled_steps: int = 200
    text: str = "bytes"
    text_width: int = 64
    text_bytes: int = 32
    memory_frames: int = 0
    memory_length: int = 96
    memory_window: int = 32
    guessed_share: float = 0.0
    swapped_share: float = 0.25
    happens_weight: float = 8.0

    def __post_init__(self):
        check_sampling(self.temperature, self.top_p)
        if self.bottleneck not in BOTTLENECKS:
            raise ConfigError(f"model.bottleneck must be one of {', '.join(BOTTLENECKS)}, received {self.bottleneck!r}")
        if self.stages not in STAGES:
            raise ConfigError(f"model.stages must be one of {', '.join(STAGES)}, received {self.stages!r}")
        if self.text not in TEXTS:
            raise ConfigError(f"model.text must be one of {', '.join(TEXTS)}, received {self.text!r}")
        for name in _AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise ConfigError(f"model.{name} must be 1 or more, received {getattr(self, name)}")
        for width, heads in (("tokenizer_width", "tokenizer_heads"), ("action_width", "action_heads"), ("width", "heads")):
            size, count = getattr(self, width), getattr(self, heads)
            if count < 1 or size % count or size // count < 6 or size // count % 2:
                raise ConfigError(f"model.{width} must be model.{heads} times an even number of at least 6, received {size} and {count}")
        if self.patch % self.action_shrink:
            raise ConfigError(f"model.action_shrink must divide model.patch, received {self.action_shrink} and {self.patch}")
        if min(self.num_frames, self.tokenize_frames) < 2:
            raise ConfigError(
                f"model.num_frames and model.tokenize_frames must be 2 or more, received {self.num_frames} and {self.tokenize_frames}"
            )
        for name in ("drop_past", "recolour", "guessed_share", "swapped_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"model.{name} must lie between 0 and 1, received {getattr(self, name)}")
        for name in ("variance_weight", "change_weight", "reach", "happens_weight"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"model.{name} must be 0 or more, received {getattr(self, name)}")
        if not 0 <= self.memory_frames <= min(self.memory_length, self.memory_window):
            raise ConfigError(
                f"model.memory_frames must be 0 (no memory) or more, and at most model.memory_length and model.memory_window, "
                f"received {self.memory_frames}, {self.memory_length} and {self.memory_window}"
            )
        if self.memory_frames and self.stages == "together":
            raise ConfigError("model.memory_frames needs model.stages = apart: codes must mean the same when they are looked at again")
        shares = [getattr(self, name) for name in _SHARES]
        if min(shares) <= 0 or sum(shares) >= 1:
            raise ConfigError(f"model.{', model.'.join(_SHARES)} must be above 0 and leave a part of 1, received {shares}")

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of codes of a picture. ConfigError where patches do not fit."""
        if height % self.patch or width % self.patch:
            raise ConfigError(f"pictures of {height} x {width} are no whole patches of model.patch = {self.patch}; choose other data sizes")
        return height // self.patch, width // self.patch
