"""The physics suite: eight scenes in which physics alone decides, foretold from one or nine frames (after arXiv:2501.03575, sect. 5.3.2).

Every subject's frames, the simulator's own too, go through the same tracker, so that what the tracker cannot do lowers all alike:
`simulator` is the ceiling, `copy_last` and `constant_velocity` (of pixels, by optical flow) are the floors.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import gymnasium
import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from armillary.core import ConfigError, DataError, Estimate, Prompt, World, bootstrap, seeded
from armillary.evaluate.baselines import constant_velocity, copy_last
from armillary.evaluate.object_tracks import track, tracks_of
from armillary.evaluate.open_loop import evaluating
from armillary.evaluate.physics_clips import PhysicsClip
from armillary.evaluate.physics_measures import LEAST_AREA_PX, Scales, compared
from armillary.evaluate.video import psnr, ssim

Dreamer = Callable[[Tensor, int, Generator], Tensor]
"""(condition frames `b k 3 h w`, how many to foretell, rng) -> frames `b t 3 h w` in [0, 1]."""

CONDITION_FRAMES = (1, 9)
FLOORS = ("copy_last", "constant_velocity")
MEASURES = ("psnr", "ssim", "iou", "energy_error", "momentum_error", "contact_error_s", "count_error")
BETTER_LOW = ("energy_error", "momentum_error", "contact_error_s", "count_error")


@dataclass(frozen=True, kw_only=True)
class PhysicsResult:
    """Measures by (scene, condition frames, subject, measure), one value a clip; NaN where a clip has nothing to measure."""

    values: Mapping[tuple[str, int, str, str], Float[np.ndarray, " n"]]
    seed: int = 0

    def estimate(self, scene: str, condition_frames: int, subject: str, measure: str) -> Estimate | None:
        """The mean over a scene's clips, with its interval; None where no clip has anything to measure."""
        return self._bootstrapped(self.values[scene, condition_frames, subject, measure])

    def gain(self, scene: str, condition_frames: int, subject: str, over: str, measure: str = "iou") -> Estimate | None:
        """How much better than another subject, clip by clip: positive is better, whichever way the measure goes."""
        one, other = (self.values[scene, condition_frames, name, measure] for name in (subject, over))
        return self._bootstrapped((other - one) if measure in BETTER_LOW else (one - other))

    def won(self, condition_frames: int, subject: str, measure: str = "iou") -> tuple[str, ...]:
        """The scenes in which the subject is clearly above both floors: the intervals of both paired gains lie above 0."""
        scenes = dict.fromkeys(scene for scene, frames, _, _ in self.values if frames == condition_frames)
        gains = {scene: [self.gain(scene, condition_frames, subject, floor, measure) for floor in FLOORS] for scene in scenes}
        return tuple(scene for scene, found in gains.items() if all(one is not None and one.low > 0 for one in found))

    def rows(self) -> list[dict]:
        """Plain rows, one a scene, number of condition frames, subject and measure; then each dreamer's gains over the floors in IoU."""
        rows = [self._row(*key, self.estimate(*key)) for key in self.values]
        for scene, frames, subject, measure in self.values:
            if measure == "iou" and subject not in FLOORS:
                gains = {floor: self.gain(scene, frames, subject, floor) for floor in FLOORS}
                rows += [self._row(scene, frames, subject, f"iou_gain_over_{floor}", gain) for floor, gain in gains.items()]
        return [row for row in rows if row is not None]

    def _row(self, scene: str, frames: int, subject: str, measure: str, found: Estimate | None) -> dict | None:
        if found is None:
            return None
        numbers = {"value": found.value, "low": found.low, "high": found.high, "n": found.n}
        return {"metric": measure, "scene": scene, "condition_frames": frames, "subject": subject, **numbers}

    def _bootstrapped(self, values: Float[np.ndarray, " n"]) -> Estimate | None:
        known = values[~np.isnan(values)]
        return bootstrap(known, seed=self.seed) if len(known) else None


def passive(world: World) -> Dreamer:
    """A world as a dreamer of what happens by itself: every action is 0 (or the first, of a Discrete space).

    A world that needs more context than it is given sees the first frame as often as it takes: as if things had rested before.
    """
    space = world.spec.action_space

    def nothing(batch: int, steps: int, device: torch.device) -> Tensor:
        if isinstance(space, gymnasium.spaces.Discrete):
            return torch.zeros(batch, steps, dtype=torch.long, device=device)
        return torch.zeros(batch, steps, *space.shape, device=device)

    def dreamer(frames: Tensor, steps: int, rng: Generator) -> Tensor:
        with torch.no_grad(), evaluating(world) as device:
            lacking = max(world.spec.context_steps - frames.shape[1], 0)
            context = torch.cat([frames[:, :1].expand(-1, lacking, -1, -1, -1), frames], dim=1).to(device)
            batch, still = len(frames), nothing(len(frames), steps, device)
            prompt = Prompt(batch_size=batch, frames=context, actions=nothing(batch, context.shape[1] - 1, device))
            states = world.rollout(world.start(prompt, rng), still, rng)
            return torch.stack([world.render(state)["rgb"] for state in states], dim=1).clamp(0.0, 1.0).to(frames.device)

    return dreamer


def judge_physics(
    dreamers: Mapping[str, Dreamer],
    clips: Sequence[PhysicsClip],
    *,
    condition_frames: Sequence[int] = CONDITION_FRAMES,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> PhysicsResult:
    """Judge dreamers by name on clips (all of one length and size) beside the floors and the simulator, clip by clip.

    ConfigError where a name is taken or no frame is left to foretell, DataError without clips.
    """
    _check(dreamers, clips, condition_frames)
    found: dict[tuple[str, int, str, str], list[float]] = {}
    for number, clip in enumerate(clips):
        frames = torch.from_numpy(clip.frames)[None]
        for context in condition_frames:
            real = frames[:, context:]
            subjects = {**dreamers, **{name: _floor(name) for name in FLOORS}, "simulator": lambda seen, steps, rng, real=real: real}
            for name, dreamer in subjects.items():
                told = dreamer(frames[:, :context].to(device), real.shape[1], seeded(seed + number, device)).cpu()
                for measure, value in _measured(told[0], clip, context).items():
                    found.setdefault((clip.scene, context, name, measure), []).append(value)
    return PhysicsResult(values={key: np.array(values) for key, values in found.items()}, seed=seed)


def _check(dreamers: Mapping[str, Dreamer], clips: Sequence[PhysicsClip], condition_frames: Sequence[int]) -> None:
    if taken := sorted({"simulator", *FLOORS} & set(dreamers)):
        raise ConfigError(f"these names belong to the floors and the ceiling: {', '.join(taken)}; choose others")
    if not clips:
        raise DataError("the physics suite needs at least one clip, received none; record_clip makes them")
    shortest = min(len(clip.frames) for clip in clips)
    if not condition_frames or not all(1 <= count <= shortest - 2 for count in condition_frames):
        raise ConfigError(
            f"condition_frames must leave at least two of a clip's {shortest} frames to foretell, received {tuple(condition_frames)}"
        )


def _floor(name: str) -> Dreamer:
    predict = {"copy_last": copy_last, "constant_velocity": constant_velocity}[name]

    def dreamer(frames: Tensor, steps: int, rng: Generator) -> Tensor:
        return predict(frames, frames.new_zeros(1, frames.shape[1] - 1, 1), frames.new_zeros(1, steps, 1), rng).clamp(0.0, 1.0)

    return dreamer


def _measured(told: Float[Tensor, "t 3 h w"], clip: PhysicsClip, context: int) -> dict[str, float]:
    real, earlier, later = torch.from_numpy(clip.frames[context:]), clip.masks[:context], clip.masks[context:]
    dreamed, true = track(told.numpy(), earlier, clip.plate, clip.shades), tracks_of(later, earlier[-1])
    scales = Scales(
        metres_per_pixel=clip.metres_per_pixel,
        height_px=clip.frames.shape[-2],
        seconds_per_step=clip.seconds_per_step,
        masses_kg=clip.masses_kg,
    )
    first = tracks_of(earlier[-1:], earlier[-1]).centres[0]
    judged = earlier[-1].sum(axis=(1, 2)) >= LEAST_AREA_PX
    pictures = {"psnr": float(psnr(told, real).mean()), "ssim": float(ssim(told, real).mean())}
    return pictures | compared(dreamed, true, first, judged, scales)
