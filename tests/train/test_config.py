"""Settings that cannot be meant are refused, with the value received."""

import pytest

from armillary.core import ConfigError
from armillary.train import TrainConfig


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0), ("seed", -1), ("optimizer", "adamx"), ("schedule", "linear"), ("precision", "fp16"), ("parallel", "fsdp"),
        ("ema_decay", 1.0), ("ema_decay", -0.1), ("weight_decay", float("nan")), ("keep_checkpoints", 0), ("workers", -1),
        ("learning_rate_scale", 0.0), ("gradient_clip", -1.0), ("validation_batches", 0),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named_with_its_value(name, value):
    with pytest.raises(ConfigError, match=rf"train\.{name}.*{value!r}"):
        TrainConfig(**{name: value})
