"""What a model must know of the data before it is built, and which data a run is about."""

from dataclasses import dataclass

MOST_CAPTIONS = 64


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which recordings a run learns from, and how it looks at them.

    `camera` empty means the dataset's first. `cameras` names several instead, whose pictures, `height` x `width` each, stand side by side
    in their order. `stride` frames make one step of the model (their actions are joined);
    0 means the stride that brings a step nearest to 0.1 s. With `camera_motion` actions are the motions of the camera, from the poses
    that the dataset holds (camera_motion.py), instead of what was recorded. The last `test_fraction` of the episodes is never seen in
    training; of the rest, the last `validation_fraction` chooses the best checkpoint.
    """

    camera: str = ""
    cameras: tuple[str, ...] = ()
    height: int = 64
    width: int = 64
    stride: int = 0
    camera_motion: bool = False
    test_fraction: float = 0.2
    validation_fraction: float = 0.1


@dataclass(frozen=True, kw_only=True)
class DataShape:
    """Sizes and scales read from the training episodes (after the stride was applied).

    `state_size` is 0 where the episodes hold no robot state; `has_text` says whether any of them names its task;
    `captions` are the texts that go with single frames, where these have texts of their own: the most frequent, MOST_CAPTIONS at most.
    `field_of_view_deg`, of the picture's width, is 0 where nobody asked for the motion of the camera. `cameras`, empty where there is one,
    are those that stand side by side in a picture, whose whole width `width` is; `more_fields_of_view_deg` are those of all but the first.
    """

    height: int
    width: int
    action_size: int
    action_mean: tuple[float, ...]
    action_std: tuple[float, ...]
    seconds_per_step: float
    has_rewards: bool
    state_size: int = 0
    state_mean: tuple[float, ...] = ()
    state_std: tuple[float, ...] = ()
    has_text: bool = False
    captions: tuple[str, ...] = ()
    field_of_view_deg: float = 0.0
    cameras: tuple[str, ...] = ()
    more_fields_of_view_deg: tuple[float, ...] = ()
