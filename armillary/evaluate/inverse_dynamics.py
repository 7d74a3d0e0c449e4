"""The round trip through inverse dynamics: can one read from dreamed pictures what the robot did and where it was?

A small probe learns from real training pictures to tell, from two neighbouring frames, the state at the second and the action
between them. Then it looks at real held-out frames (the ceiling), at dreams, at dreams from another episode's actions and at a
frozen picture (floors). Pictures can be sharp and wrong; this judge sees only whether the body is where its actions put it.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from armillary.core import DataError, Episode, Estimate, World, to_model
from armillary.evaluate.baselines import Predict, copy_last
from armillary.evaluate.flow import blur
from armillary.evaluate.open_loop import Window, check_fit, dream, foretell, has_donors, plan_windows, window_sizes
from armillary.evaluate.result import Protocol, estimate_row

LONGEST_SIDE = 64
RESAMPLES = 10_000


@dataclass(frozen=True, kw_only=True)
class ProbeConfig:
    """How the probe is trained; it stops at `steps` or after `seconds`, whichever comes first."""

    steps: int = 600
    seconds: float = math.inf
    batch_size: int = 64
    learning_rate: float = 1e-3


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What the probe reads: columns that change, `state` then `action`, and the training set's mean and deviation of each."""

    parts: Mapping[str, slice]
    with_state: bool
    columns: np.ndarray
    mean: Float[np.ndarray, " d"]
    std: Float[np.ndarray, " d"]

    def of(self, episode: Episode) -> Float[np.ndarray, "p d"]:
        """For every neighbouring pair of frames of an episode, in units of the training deviation."""
        raw = _raw_targets(episode, self.with_state)[:, self.columns]
        return ((raw - self.mean) / self.std).astype(np.float32)


class PairProbe(nn.Module):
    """Two frames in, standardised state and action out."""

    def __init__(self, channels: int, targets: Targets):
        super().__init__()
        self.targets = targets
        widths = (2 * channels, 32, 64, 96, 128)
        layers = [part for a, b in pairwise(widths) for part in (nn.Conv2d(a, b, 4, 2, 1), nn.GroupNorm(8, b), nn.SiLU())]
        self.look = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten())
        self.tell = nn.Sequential(nn.Linear(128 * 16, 256), nn.SiLU(), nn.Linear(256, len(targets.mean)))

    def forward(self, first: Float[Tensor, "b c h w"], second: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
        pair = torch.cat([first, second], dim=1) - 0.5
        longest = max(pair.shape[-2:])
        if longest != LONGEST_SIDE:
            size = [max(round(side * LONGEST_SIDE / longest), 16) for side in pair.shape[-2:]]
            pair = functional.interpolate(pair, size=size, mode="area")
        return self.tell(self.look(pair))


@dataclass(frozen=True, kw_only=True)
class InverseDynamicsResult:
    """Squared errors and squares of the truth (both in training deviations) by target and subject, `n` episodes by `t` steps."""

    seconds_per_step: float
    reported_s: tuple[float, ...]
    errors: Mapping[str, Mapping[str, Float[np.ndarray, "n t"]]]
    squares: Mapping[str, Float[np.ndarray, "n t"]]
    seed: int = 0

    def r2(self, target: str, subject: str, horizon_s: float) -> Estimate:
        """Share of the variance around the training mean that is told right: 1 is perfect, 0 the mean, below 0 worse."""
        (value,) = self._shares(target, (subject,), horizon_s)
        return _interval(value)

    def r2_gain(self, target: str, subject: str, over: str, horizon_s: float) -> Estimate:
        """The paired difference of two subjects' R2: both on the same resampled episodes."""
        one, other = self._shares(target, (subject, over), horizon_s)
        return _interval((one[0] - other[0], one[1] - other[1], one[2]))

    def rows(self) -> list[dict]:
        """Plain rows `idm_state_r2`, `idm_action_r2` by subject, and what the model gains over the floors."""
        rows = []
        for horizon_s in self.reported_s:
            for target, by_subject in self.errors.items():
                rows += [estimate_row(f"idm_{target}_r2", horizon_s, name, self.r2(target, name, horizon_s)) for name in by_subject]
                for floor in ("copy_last", "shuffled_actions"):
                    if floor in by_subject:
                        gain = self.r2_gain(target, "model", floor, horizon_s)
                        rows.append(estimate_row(f"idm_{target}_r2_gain_over_{floor}", horizon_s, "model", gain))
        return rows

    def _shares(self, target: str, subjects: Sequence[str], horizon_s: float) -> list[tuple[float, np.ndarray, int]]:
        """For each subject: R2 over all episodes, R2 of every resample (the same episodes for every subject), and n."""
        squares = self.squares[target]
        step = min(max(round(horizon_s / self.seconds_per_step) - 1, 0), squares.shape[1] - 1)
        draws = np.random.default_rng(self.seed).integers(len(squares), size=(RESAMPLES, len(squares)))
        found = []
        for subject in subjects:
            error, square = self.errors[target][subject][:, step], squares[:, step]
            resampled = 1 - error[draws].sum(axis=1) / square[draws].sum(axis=1)
            found.append((float(1 - error.sum() / square.sum()), resampled, len(square)))
        return found


def fit_probe(
    train_episodes: Sequence[Episode],
    *,
    camera: str,
    config: ProbeConfig | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    on_step: Callable[[int, float], None] | None = None,
) -> PairProbe:
    """Train the probe on neighbouring real frames (at the world's rate and size).

    Half of them are blurred, so that it learns to read where things are rather than how sharp they look. `on_step` receives
    step and loss.
    """
    config = config or ProbeConfig()
    usable = [episode for episode in train_episodes if len(episode) > 1]
    if not usable:
        raise DataError(f"the inverse-dynamics probe needs a training episode of two frames, received none of {len(train_episodes)}")
    targets = _measure_targets(usable)
    truth = np.concatenate([targets.of(episode) for episode in usable])
    places = [(number, t) for number, episode in enumerate(usable) for t in range(len(episode) - 1)]
    frames = [np.asarray(episode.frames[camera]) for episode in usable]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        probe = PairProbe(frames[0].shape[-1], targets).to(device)
    optimizer = torch.optim.AdamW(probe.parameters(), lr=config.learning_rate, weight_decay=1e-2)
    draw, started = np.random.default_rng(seed), time.monotonic()
    for step in range(config.steps):
        progress = max(step / config.steps, (time.monotonic() - started) / config.seconds)
        if progress >= 1.0:
            break
        optimizer.param_groups[0]["lr"] = config.learning_rate * (0.5 + 0.5 * math.cos(math.pi * progress))
        chosen = draw.integers(len(places), size=config.batch_size)
        pairs = np.stack([frames[places[index][0]][places[index][1] : places[index][1] + 2] for index in chosen])
        pictures = to_model(pairs).to(device)
        blurred = blur(pictures.flatten(0, 1), float(draw.uniform(0.3, 0.03 * pictures.shape[-1]))).reshape(pictures.shape)
        pictures = torch.where(torch.from_numpy(draw.random(len(pictures)) < 0.5).to(device)[:, None, None, None, None], blurred, pictures)
        loss = (probe(pictures[:, 0], pictures[:, 1]) - torch.from_numpy(truth[chosen]).to(device)).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if on_step is not None:
            on_step(step, float(loss.detach()))
    return probe.eval().requires_grad_(False)


def evaluate_inverse_dynamics(
    world: World,
    probe: PairProbe,
    episodes: Sequence[Episode],
    *,
    camera: str,
    protocol: Protocol | None = None,
    seed: int = 0,
    batch_size: int = 32,
    predictors: Mapping[str, Predict] | None = None,
) -> InverseDynamicsResult:
    """Let the probe read the same windows as `evaluate_open_loop` judges: real, dreamed, wrongly dreamed and frozen."""
    protocol = protocol or Protocol()
    check_fit(world, episodes, camera)
    num_context, num_future = window_sizes(world, protocol)
    step_s = world.spec.seconds_per_step
    windows, _ = plan_windows(episodes, num_context, num_future, protocol, step_s, seed)
    shuffled = {"shuffled_actions": dream(world)} if has_donors(windows) else {}
    subjects = {"model": dream(world), **shuffled, "copy_last": copy_last, **(predictors or {})}
    truths = {position: probe.targets.of(episodes[position]) for position in {window.episode for window in windows}}
    used = sorted(truths)
    totals: dict[str, dict[str, np.ndarray]] = {}
    for chosen, batch, predictions in foretell(world, episodes, windows, subjects, camera, num_context, num_future, seed, batch_size):
        truth = np.stack([_truth_of(truths[window.episode], window, num_context, num_future) for window in chosen])
        rows = np.array([used.index(window.episode) for window in chosen])
        _add(totals, "squares", probe.targets, truth**2, rows, len(used))
        for name, frames in {"real": batch.real, **predictions}.items():
            told = _tell(probe, batch.context[:, -1], frames)
            _add(totals, name, probe.targets, (told - truth) ** 2, rows, len(used))
    reported = sorted({min(max(round(wanted / step_s), 1), num_future) for wanted in protocol.report_s})
    return InverseDynamicsResult(
        seconds_per_step=step_s,
        reported_s=tuple(round(step * step_s, 3) for step in reported),
        errors={part: {name: totals[name][part] for name in ("real", *subjects)} for part in probe.targets.parts},
        squares=totals["squares"],
        seed=seed,
    )


def _tell(probe: PairProbe, last: Float[Tensor, "b c h w"], frames: Float[Tensor, "b t c h w"]) -> Float[np.ndarray, "b t d"]:
    """What the probe reads from each foretold frame and the one before it."""
    first = torch.cat([last[:, None], frames[:, :-1]], dim=1).flatten(0, 1)
    return probe(first, frames.flatten(0, 1)).unflatten(0, frames.shape[:2]).cpu().numpy()


def _truth_of(truth: Float[np.ndarray, "p d"], window: Window, num_context: int, num_future: int) -> Float[np.ndarray, "t d"]:
    """Pair `p` is frames `p` and `p + 1`: the first future frame belongs to the pair of the last context frame."""
    first = window.start + num_context - 1
    return truth[first : first + num_future]


def _add(totals: dict, name: str, targets: Targets, squares: Float[np.ndarray, "b t d"], rows: np.ndarray, count: int) -> None:
    """Sum over an episode's windows and a target's dimensions."""
    by_part = totals.setdefault(name, {part: np.zeros((count, squares.shape[1])) for part in targets.parts})
    for part, columns in targets.parts.items():
        np.add.at(by_part[part], rows, squares[..., columns].sum(axis=-1).astype(np.float64))


def _raw_targets(episode: Episode, with_state: bool) -> Float[np.ndarray, "p d"]:
    columns = [episode.state[1:]] if with_state else []
    return np.concatenate([*columns, episode.actions[:-1]], axis=1).astype(np.float64)


def _measure_targets(episodes: Sequence[Episode]) -> Targets:
    """Mean and deviation over the training pairs; a column that hardly changes beside its fellows is left out."""
    with_state = all(episode.state is not None for episode in episodes)
    raw = np.concatenate([_raw_targets(episode, with_state) for episode in episodes])
    state_size = episodes[0].state.shape[1] if with_state else 0
    std = raw.std(axis=0)
    kept, parts, first = [], {}, 0
    for name, columns in {"state": np.arange(state_size), "action": np.arange(state_size, raw.shape[1])}.items():
        moving = columns[std[columns] > max(1e-3 * std[columns].max(initial=0.0), 1e-8)]
        if len(moving):
            parts[name] = slice(first, first + len(moving))
            kept.append(moving)
            first += len(moving)
    if not kept:
        raise DataError("neither state nor actions ever change in the training episodes: there is nothing for the probe to read")
    columns = np.concatenate(kept)
    return Targets(parts=parts, with_state=with_state, columns=columns, mean=raw[:, columns].mean(axis=0), std=std[columns])


def _interval(found: tuple[float, np.ndarray, int]) -> Estimate:
    value, resampled, count = found
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Estimate(value=value, low=float(low), high=float(high), n=count)
