"""How to train: everything the one loop needs to know that the world does not say itself."""

from dataclasses import dataclass

from armillary.core import ConfigError

_CHOICES = {
    "optimizer": ("adamw", "adam", "sgd", "laprop"),
    "schedule": ("cosine", "constant"),
    "precision": ("auto", "fp32", "bf16"),
    "parallel": ("auto", "none", "ddp", "fsdp2"),
}
_AT_LEAST = {
    "steps": 1,
    "seed": 0,
    "weight_decay": 0,
    "gradient_clip": 0,
    "ema_decay": 0,
    "warmup_steps": 0,
    "checkpoint_every": 0,
    "validate_every": 0,
    "validation_batches": 1,
    "keep_checkpoints": 1,
    "workers": 0,
}


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of a training run. Zero switches off `gradient_clip`, `ema_decay`, `checkpoint_every` and `validate_every`.

    `steps` are shared out over the world's phases; `learning_rate_scale` multiplies each phase's own learning rate, which
    warms up over `warmup_steps` and then follows `schedule` ("cosine" to zero, or "constant") within the phase.
    `precision` "auto" is bf16 on a GPU that has it and fp32 on a CPU. `parallel` "auto" is "ddp" under `torchrun`.
    `compile` compiles the blocks that a network repeats, or the whole step where it repeats none.
    The first and the last step are always checkpointed, whatever `checkpoint_every` says.
    """

    steps: int = 3000
    seed: int = 0
    optimizer: str = "adamw"
    learning_rate_scale: float = 1.0
    weight_decay: float = 0.01
    warmup_steps: int = 100
    schedule: str = "cosine"
    gradient_clip: float = 1.0
    ema_decay: float = 0.0
    precision: str = "auto"
    compile: bool = False
    device: str = "auto"
    parallel: str = "auto"
    checkpoint_every: int = 500
    keep_checkpoints: int = 2
    validate_every: int = 250
    validation_batches: int = 8
    workers: int = 1
    tensorboard: bool = True

    def __post_init__(self):
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ConfigError(f"train.{name} must be one of {', '.join(choices)}; received {getattr(self, name)!r}")
        for name, least in _AT_LEAST.items():
            if not getattr(self, name) >= least:
                raise ConfigError(f"train.{name} must be >= {least}; received {getattr(self, name)!r}")
        if not self.learning_rate_scale > 0:
            raise ConfigError(f"train.learning_rate_scale must be > 0; received {self.learning_rate_scale!r}")
        if not self.ema_decay < 1:
            raise ConfigError(f"train.ema_decay must be < 1 (0 switches it off; 0.999 is usual); received {self.ema_decay!r}")
