"""The settings of a diffusion world."""

from dataclasses import dataclass

from armillary.core import ConfigError
from armillary.nn.noising import NOISINGS
from armillary.nn.samplers import SAMPLERS


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Sizes and variants of a diffusion world.

    `noising` is "rectified-flow" or "edm"; `sampler` "euler", "heun" or "adams", with `sampling_steps`. A chunk of
    `chunk_steps` is dreamt from `context_steps` frames; then the last ones dreamt are the context of the next.

    `first_guess`: a regression guesses each frame and the transformer draws what that leaves open; `guess_share` of the steps
    train the guess. Without it the transformer draws the change since the last frame seen, from the first step on.
    `frames_per_window` future frames of each training window are drawn. `other_looks` is the share of windows in another look,
    `context_noise` the deviation of noise on context frames, `action_noise` that on actions, in units of the data's. `boldness`
    scales what is drawn beside the guess (0: the guess alone, 1: as learned).

    With `teacher`, a run of this family, all of the training teaches `sampling_steps` of Euler to land where `teacher_steps` of that
    world end.
    """

    noising: str = "rectified-flow"
    sampler: str = "adams"
    sampling_steps: int = 8
    context_steps: int = 2
    chunk_steps: int = 20
    read_size: int = 384
    patch: int = 8
    width: int = 192
    depth: int = 5
    heads: int = 4
    first_guess: bool = True
    guess_share: float = 0.5
    frames_per_window: int = 3
    other_looks: float = 0.4
    context_noise: float = 0.02
    action_noise: float = 0.05
    boldness: float = 1.0
    teacher: str = ""
    teacher_steps: int = 16
    batch_size: int = 16
    guess_learning_rate: float = 1e-3
    learning_rate: float = 8e-4

    def __post_init__(self):
        for name, choices in (("noising", NOISINGS), ("sampler", SAMPLERS)):
            if getattr(self, name) not in choices:
                raise ConfigError(f"model.{name} must be one of {', '.join(choices)}; received {getattr(self, name)!r}")
        if self.sampling_steps < 1:
            raise ConfigError(f"model.sampling_steps must be at least 1; received {self.sampling_steps}")
        if self.teacher and self.sampler != "euler":
            raise ConfigError(
                f"model.sampler must be euler for a world with model.teacher, whose steps are learned; received {self.sampler!r}"
            )
        if self.teacher and self.teacher_steps < self.sampling_steps:
            raise ConfigError(
                f"model.teacher_steps must be at least model.sampling_steps; received {self.teacher_steps} and {self.sampling_steps}"
            )
        if not 1 <= self.context_steps <= self.chunk_steps:
            raise ConfigError(
                f"model.context_steps must be between 1 and model.chunk_steps, so that a chunk can follow a chunk; "
                f"received {self.context_steps} and {self.chunk_steps}"
            )
        if not 0 < self.guess_share < 1:
            raise ConfigError(f"model.guess_share must lie between 0 and 1; received {self.guess_share}")
        if self.width % self.heads or self.width // self.heads < 6 or self.width // self.heads % 2:
            raise ConfigError(f"model.width must be model.heads times an even number of at least 6; received {self.width} and {self.heads}")
