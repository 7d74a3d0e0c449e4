"""Drift: what becomes of a dream that goes on for ten times as long as anything the world was trained on.

Far out nobody can foretell every pixel, so beside PSNR stand measures of what a picture is like whatever happens in it: how sharp it is,
how much moves from frame to frame, how far its colours have gone from the real ones. `real` stands beside as their ceiling, `copy_last`
as the baseline: it neither blurs nor drifts, and never moves.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from armillary.core import ConfigError, Episode, World
from armillary.evaluate.baselines import Predict, copy_last
from armillary.evaluate.open_loop import check_fit, dream, foretell, plan_windows
from armillary.evaluate.result import OpenLoopResult, Protocol, mean_by_episode
from armillary.evaluate.video import laplacian_energy, psnr

LONGER = 10
REPORTED = (0.1, 0.25, 0.5, 1.0)  # shares of the horizon


def evaluate_drift(
    world: World,
    episodes: Sequence[Episode],
    *,
    camera: str,
    trained_steps: int,
    longer: int = LONGER,
    seed: int = 0,
    batch_size: int = 8,
    predictors: Mapping[str, Predict] | None = None,
) -> OpenLoopResult:
    """Dream `longer` times the `trained_steps` that the world's windows had, from every stretch of an episode that is long enough.

    The result's curves are `psnr` (dB), `sharpness` (mean square of the Laplacian), `motion` (mean absolute change from the frame before)
    and `colour_shift` (mean distance of the picture's mean colour from the real one); of the `real` frames sharpness and motion alone.
    DataError when no episode is long enough.
    """
    if trained_steps < 1 or longer < 1:
        raise ConfigError(f"trained_steps and longer must be at least 1, received {trained_steps} and {longer}")
    check_fit(world, episodes, camera)
    step_s, num_context, num_future = world.spec.seconds_per_step, max(world.spec.context_steps, 1), longer * trained_steps
    horizon_s = num_future * step_s
    protocol = Protocol(
        context_s=num_context * step_s,
        horizon_s=horizon_s,
        report_s=tuple(horizon_s * part for part in REPORTED),
        starts_every_s=horizon_s / 2,
    )
    windows, notes = plan_windows(episodes, num_context, num_future, protocol, step_s, seed)
    subjects = {"model": dream(world), **(predictors or {}), "copy_last": copy_last}
    parts: dict[str, dict[str, list[Tensor]]] = {}
    for _, batch, told in foretell(world, episodes, windows, subjects, camera, num_context, num_future, seed, batch_size):
        for name, frames in {**told, "real": batch.real}.items():
            measured = _measured(frames, batch.real, batch.context[:, -1])
            for measure, values in measured.items() if name != "real" else _looks_alone(measured):
                parts.setdefault(measure, {}).setdefault(name, []).append(values.cpu())
    owner = np.array([window.episode for window in windows])
    used = sorted(set(owner.tolist()))
    return OpenLoopResult(
        protocol=protocol,
        seconds_per_step=step_s,
        episodes=tuple(episodes[position].index for position in used),
        windows=tuple(int((owner == position).sum()) for position in used),
        curves={measure: {name: mean_by_episode(values, owner) for name, values in by.items()} for measure, by in parts.items()},
        notes=(f"dreams of {num_future} steps, {longer} times the {trained_steps} of a training window", *notes),
        seed=seed,
    )


def better_until_s(result: OpenLoopResult, over: str = "copy_last") -> float:
    """The seconds up to which the model's PSNR is clearly above another subject's at every step; 0 if not even at the first."""
    until = 0.0
    for horizon_s in result.horizons_s:
        if result.gain("psnr", "model", over, horizon_s).low <= 0:
            break
        until = horizon_s
    return until


def _looks_alone(measured: Mapping[str, Tensor]) -> list[tuple[str, Tensor]]:
    """What says something of the real frames too: they do not differ from themselves."""
    return [(measure, measured[measure]) for measure in ("sharpness", "motion")]


def _measured(frames: Float[Tensor, "b t c h w"], real: Float[Tensor, "b t c h w"], last: Float[Tensor, "b c h w"]) -> dict[str, Tensor]:
    before = torch.cat([last[:, None], frames[:, :-1]], dim=1)
    return {
        "psnr": psnr(frames, real),
        "sharpness": laplacian_energy(frames),
        "motion": (frames - before).abs().mean(dim=(2, 3, 4)),
        "colour_shift": (frames.mean(dim=(3, 4)) - real.mean(dim=(3, 4))).abs().mean(dim=2),
    }
