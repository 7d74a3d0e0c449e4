"""The settings of an autoregressive world."""

from dataclasses import dataclass, fields

from armillary.core import ConfigError
from armillary.nn.token_sampling import check_sampling
from armillary.tokenizers.config import TokenizerConfig

_POSITIVE = ("depth", "context_steps", "dream_steps", "detail_width", "batch_size", "tokenize_batch_size")
_SHARES = ("own_codes", "hidden_share")


@dataclass(frozen=True, kw_only=True)
class ModelConfig(TokenizerConfig):
    """The tokenizer (settings of `TokenizerConfig`, one code for a cell of one frame), the transformer, and how codes are drawn.

    `tokenizer`: the folder of a finished run of the family tokenizer; empty: it is trained first, for `tokenize_share` of the steps. (With
    a given one those steps train only what repairs its pictures, see detail.py.) The transformer looks back at `context_steps` frames;
    training windows dream `dream_steps` beyond them. `temperature` 0 takes the likeliest code; `top_p` keeps the likeliest codes that
    together have that probability. `passes` 0 draws a frame's codes one by one; otherwise all of them are guessed at once and the guesses
    corrected at most so often, which ends early where nothing changes and then equals one by one.
    `z_weight` is for the z-loss. In training up to a share `own_codes` of what was seen is replaced by what the model would have drawn, and
    the first frame's past, or the last real frame's action, is hidden in a share `hidden_share` of the windows.
    """

    rate: str = "8x8"
    channels: int = 16
    multipliers: tuple[int, ...] = (2, 4)
    latent_channels: int = 5
    bottleneck: str = "fsq"
    levels: tuple[int, ...] = (8, 5, 5, 3, 3)  # brightness, its two slopes, two colours: what the linear path begins with
    linear_path: bool = True
    tokenizer: str = ""
    detail_width: int = 32
    width: int = 128
    depth: int = 3
    heads: int = 4
    context_steps: int = 3
    dream_steps: int = 20
    temperature: float = 1.0
    top_p: float = 0.95
    passes: int = 0
    z_weight: float = 1e-4
    own_codes: float = 0.0
    hidden_share: float = 0.1
    tokenize_share: float = 0.15
    tokenize_batch_size: int = 16
    tokenize_learning_rate: float = 2e-3
    batch_size: int = 8
    learning_rate: float = 1e-3

    def __post_init__(self):
        super().__post_init__()
        check_sampling(self.temperature, self.top_p)
        if not self.discrete or self.time_rate > 1:
            raise ConfigError(
                f"an autoregressive world needs one code for each cell of one frame: model.bottleneck fsq or vq and model.rate like 8x8, "
                f"received {self.bottleneck} and {self.rate}"
            )
        for name in _POSITIVE:
            if getattr(self, name) < 1:
                raise ConfigError(f"model.{name} must be 1 or more, received {getattr(self, name)}")
        for name in _SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"model.{name} must lie between 0 and 1, received {getattr(self, name)}")
        if not 0 < self.tokenize_share < 1:
            raise ConfigError(f"model.tokenize_share must lie between 0 and 1, received {self.tokenize_share}")
        if self.heads < 1 or self.width % self.heads or self.width // self.heads < 6 or self.width // self.heads % 2:
            raise ConfigError(f"model.width must be model.heads times an even number of at least 6, received {self.width} and {self.heads}")
        if self.passes < 0 or self.z_weight < 0:
            raise ConfigError(f"model.passes and model.z_weight must be 0 or more, received {self.passes} and {self.z_weight}")

    def network(self) -> TokenizerConfig:
        """What of this decides the tokenizer's network."""
        return TokenizerConfig(**{one.name: getattr(self, one.name) for one in fields(TokenizerConfig)})
