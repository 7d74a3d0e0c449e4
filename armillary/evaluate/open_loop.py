"""Open-loop prediction: from a short real context and the actions, dream ahead, and be compared with what happened.

The same windows are given to every subject. `shuffled_actions` is the same model with the same context and the same noise,
whose future actions are those of another held-out episode: a model that ignores its actions loses nothing by it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import gymnasium
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from armillary.core import DataError, Episode, Prompt, World, WorldError, seeded, to_disk, to_model
from armillary.evaluate.baselines import Predict, constant_velocity, copy_last, mean_frame
from armillary.evaluate.result import OpenLoopResult, Protocol, Sample, mean_by_episode
from armillary.evaluate.video import mean_absolute_error, psnr, ssim

MEASURES = {"psnr": psnr, "ssim": ssim, "mean_absolute_error": mean_absolute_error}


@dataclass(frozen=True, kw_only=True)
class Window:
    """Frames `start ... start + k + t` of one episode, and where the actions that do not belong to it come from."""

    episode: int
    start: int
    donor_episode: int
    donor_start: int


@dataclass(frozen=True, kw_only=True)
class WindowBatch:
    """Several windows as tensors on the world's device."""

    context: Float[Tensor, "b k c h w"]
    context_actions: Float[Tensor, "b m a"]
    future_actions: Float[Tensor, "b t a"]
    other_actions: Float[Tensor, "b t a"]
    real: Float[Tensor, "b t c h w"]


def evaluate_open_loop(
    world: World,
    episodes: Sequence[Episode],
    *,
    camera: str,
    mean_frame: Float[np.ndarray, "h w c"],
    protocol: Protocol | None = None,
    seed: int = 0,
    batch_size: int = 32,
    predictors: Mapping[str, Predict] | None = None,
    num_samples: int = 4,
) -> OpenLoopResult:
    """Judge a world that Renders on held-out episodes (at its own rate and size) beside the trivial baselines.

    `mean_frame` is the training set's, in [0, 1]. `predictors` are further subjects by name. The window with most motion of
    each of the first `num_samples` episodes is kept to look at. Raises DataError when no episode is long enough and
    WorldError when the episodes do not fit the world.
    """
    protocol = protocol or Protocol()
    check_fit(world, episodes, camera)
    num_context, num_future = window_sizes(world, protocol)
    windows, notes = plan_windows(episodes, num_context, num_future, protocol, world.spec.seconds_per_step, seed)
    subjects = _subjects(world, mean_frame, predictors or {}, shuffled=has_donors(windows))
    measured: dict[str, dict[str, list]] = {metric: {name: [] for name in subjects} for metric in MEASURES}
    wanted = _livest_windows(episodes, windows, num_samples, camera, num_context, num_future)
    samples: list[Sample] = []
    for chosen, batch, predictions in foretell(world, episodes, windows, subjects, camera, num_context, num_future, seed, batch_size):
        for name, frames in predictions.items():
            for metric, measure in MEASURES.items():
                measured[metric][name].append(measure(frames, batch.real).cpu())
        rows = [row for row, window in enumerate(chosen) if window in wanted]
        samples += [_keep(episodes[chosen[row].episode], chosen[row], batch, predictions, row) for row in rows]
    used = sorted({window.episode for window in windows})
    owner = np.array([window.episode for window in windows])
    curves = {metric: {name: mean_by_episode(parts, owner) for name, parts in by.items()} for metric, by in measured.items()}
    return OpenLoopResult(
        protocol=protocol,
        seconds_per_step=world.spec.seconds_per_step,
        episodes=tuple(episodes[position].index for position in used),
        windows=tuple(int((owner == position).sum()) for position in used),
        curves=curves,
        samples=tuple(samples),
        notes=notes,
        seed=seed,
    )


def dream(world: World) -> Predict:
    """The world as a predictor: start from the context, step by the future actions, render each state.

    Recordings hold discrete actions as one-hot columns; a Discrete world gets their index.
    """
    discrete = isinstance(world.spec.action_space, gymnasium.spaces.Discrete)

    def act(actions: Tensor) -> Tensor:
        return actions.argmax(dim=-1) if discrete else actions

    def predict(context: Tensor, context_actions: Tensor, future_actions: Tensor, rng: torch.Generator) -> Tensor:
        prompt = Prompt(batch_size=len(context), frames=context, actions=act(context_actions))
        state = world.start(prompt, rng)
        frames = []
        for step in range(future_actions.shape[1]):
            state = world.step(state, act(future_actions[:, step]), rng)
            frames.append(world.render(state)["rgb"])
        return torch.stack(frames, dim=1)

    return predict


def foretell(
    world: World,
    episodes: Sequence[Episode],
    windows: Sequence[Window],
    subjects: Mapping[str, Predict],
    camera: str,
    num_context: int,
    num_future: int,
    seed: int,
    batch_size: int,
) -> Iterator[tuple[Sequence[Window], WindowBatch, dict[str, Float[Tensor, "b t c h w"]]]]:
    """Batch by batch: the windows, what was real, and what each subject foretells, every subject from the same noise."""
    with torch.no_grad(), evaluating(world) as device:
        for number, first in enumerate(range(0, len(windows), batch_size)):
            chosen = windows[first : first + batch_size]
            batch = gather(episodes, chosen, camera, num_context, num_future, device)
            predictions = {}
            for name, predict in subjects.items():
                actions = batch.other_actions if name == "shuffled_actions" else batch.future_actions
                frames = predict(batch.context, batch.context_actions, actions, seeded(seed + number, device))
                predictions[name] = frames.clamp(0.0, 1.0)
            yield chosen, batch, predictions


def check_fit(world: World, episodes: Sequence[Episode], camera: str) -> None:
    """Raise unless every episode has the world's rate, picture size and action size."""
    if not hasattr(world, "render"):
        raise WorldError(f"open-loop prediction judges pictures, but {type(world).__name__} does not render; give a world that Renders")
    if not episodes:
        raise DataError("open-loop prediction needs at least one held-out episode, received none")
    spec = world.spec
    for episode in episodes:
        if camera not in episode.frames:
            raise DataError(f"episode {episode.index} has no camera {camera!r}; it has {sorted(episode.frames)}")
        if abs(episode.seconds_per_step - spec.seconds_per_step) > 1e-3 * spec.seconds_per_step:
            raise WorldError(
                f"episode {episode.index} has {episode.seconds_per_step:.4f} s a step, the world {spec.seconds_per_step:.4f}; "
                "give the episode at the world's stride: episode.every(stride)"
            )
        shape = episode.frames[camera].shape[1:]
        if shape != spec.observation_space.shape:
            raise WorldError(
                f"episode {episode.index} has frames {shape}, the world {spec.observation_space.shape} (h, w, c); resize the episode first"
            )
        space = spec.action_space
        size = int(space.n) if isinstance(space, gymnasium.spaces.Discrete) else space.shape[0]
        if episode.actions.shape[1] != size:
            raise WorldError(f"episode {episode.index} has actions of size {episode.actions.shape[1]}, the world takes {size}")


def window_sizes(world: World, protocol: Protocol) -> tuple[int, int]:
    """How many context frames (at least what the world asks for) and how many future steps the protocol means."""
    step_s = world.spec.seconds_per_step
    num_context = max(round(protocol.context_s / step_s), world.spec.context_steps, 1)
    return num_context, max(round(protocol.horizon_s / step_s), 1)


def plan_windows(
    episodes: Sequence[Episode], num_context: int, num_future: int, protocol: Protocol, step_s: float, seed: int
) -> tuple[list[Window], tuple[str, ...]]:
    """Every window of every episode that is long enough, each with a donor of wrong actions, and notes on what is special.

    Donors are a derangement drawn from the seed: no episode gets its own actions, and each gives them to one other. A donor
    shorter than the window's place gives its last ones.
    """
    needed = num_context + num_future
    stride = max(round(protocol.starts_every_s / step_s), 1)
    long_enough = [position for position, episode in enumerate(episodes) if len(episode) >= needed]
    short = [episode.index for episode in episodes if len(episode) < needed]
    if not long_enough:
        longest = max(len(episode) for episode in episodes)
        raise DataError(
            f"no held-out episode has the {needed} steps ({needed * step_s:.1f} s) that {protocol} needs; the longest has {longest}; "
            "shorten context_s or horizon_s"
        )
    notes = [f"{len(short)} episodes shorter than {needed * step_s:.1f} s were left out: {short}"] if short else []
    circle = np.random.default_rng(seed).permutation(long_enough).tolist()
    donor_of = dict(zip(circle, circle[1:] + circle[:1], strict=True))
    windows = []
    for position in long_enough:
        donor, last = donor_of[position], len(episodes[donor_of[position]]) - needed
        for start in range(0, len(episodes[position]) - needed + 1, stride):
            far = 0 if start > last / 2 else last
            donor_start = min(start, last) if donor != position else far
            windows.append(Window(episode=position, start=start, donor_episode=donor, donor_start=donor_start))
    if len(long_enough) == 1:
        notes.append("only one episode is long enough: shuffled_actions takes actions from far away in the same episode")
        if len(windows) == 1 and windows[0].donor_start == windows[0].start:
            notes.append("it has a single window, so there are no other actions to give: shuffled_actions is left out")
    return windows, tuple(notes)


def gather(
    episodes: Sequence[Episode], windows: Sequence[Window], camera: str, num_context: int, num_future: int, device: torch.device | str
) -> WindowBatch:
    """The windows' frames and actions. `actions[k - 1]` leads from the last context frame to the first future one."""
    frames, actions, others = [], [], []
    for window in windows:
        episode, donor = episodes[window.episode], episodes[window.donor_episode]
        frames.append(np.asarray(episode.frames[camera][window.start : window.start + num_context + num_future]))
        actions.append(episode.actions[window.start : window.start + num_context + num_future - 1])
        donor_first = window.donor_start + num_context - 1
        others.append(donor.actions[donor_first : donor_first + num_future])
    pictures = to_model(torch.from_numpy(np.stack(frames)).to(device))
    commands = torch.from_numpy(np.stack(actions)).to(device)
    return WindowBatch(
        context=pictures[:, :num_context],
        context_actions=commands[:, : num_context - 1],
        future_actions=commands[:, num_context - 1 :],
        other_actions=torch.from_numpy(np.stack(others)).to(device),
        real=pictures[:, num_context:],
    )


@contextmanager
def evaluating(world: World):
    """Yield the world's device, with the network in evaluation mode; its mode is given back afterwards."""
    if not isinstance(world, nn.Module):
        yield torch.device("cpu")
        return
    was_training = world.training
    world.eval()
    try:
        yield next((tensor.device for tensor in [*world.parameters(), *world.buffers()]), torch.device("cpu"))
    finally:
        world.train(was_training)


def _subjects(world: World, average: np.ndarray, predictors: Mapping[str, Predict], *, shuffled: bool) -> dict[str, Predict]:
    own = {"model": dream(world)} | ({"shuffled_actions": dream(world)} if shuffled else {})
    baselines = {"copy_last": copy_last, "constant_velocity": constant_velocity, "mean_frame": mean_frame(average)}
    if clash := sorted({"model", "shuffled_actions", *baselines} & set(predictors)):
        raise ValueError(f"these predictor names are taken: {clash}; choose other names")
    return {**own, **predictors, **baselines}


def has_donors(windows: Sequence[Window]) -> bool:
    """Whether there are any other actions than its own to give to a window."""
    return any((window.donor_episode, window.donor_start) != (window.episode, window.start) for window in windows)


def _livest_windows(
    episodes: Sequence[Episode], windows: Sequence[Window], num_samples: int, camera: str, num_context: int, num_future: int
) -> list[Window]:
    """Of each of the first episodes the window whose last frame differs most from the last one seen: there something happens."""

    def motion(window: Window) -> float:
        video, seen = episodes[window.episode].frames[camera], window.start + num_context - 1
        return float(np.abs(video[seen + num_future].astype(np.int16) - video[seen]).mean())

    by_episode: dict[int, list[Window]] = {}
    for window in windows:
        by_episode.setdefault(window.episode, []).append(window)
    return [max(group, key=motion) for group in list(by_episode.values())[:num_samples]]


def _keep(episode: Episode, window: Window, batch: WindowBatch, predictions: Mapping[str, Tensor], row: int) -> Sample:
    return Sample(
        episode=episode.index,
        start=window.start,
        task=episode.task,
        context=to_disk(batch.context[row]),
        real=to_disk(batch.real[row]),
        predicted={name: to_disk(frames[row]) for name, frames in predictions.items()},
    )
