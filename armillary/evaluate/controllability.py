"""Is a world with latent actions steered by them, and do they mean what was truly done?

* dPSNR (arXiv:2402.15391, section 3): from the same frames, PSNR of the dream under the latent actions inferred from what really
  followed, minus PSNR under random ones. Near 0: actions are ignored.
* Agreement: each latent action is taken to be the true one that it went with most often on some recordings; the share of right answers
  on others. Where a simulator tells which actions would have shown the same, any of them is right.
* R2 of the true action, linear in the latent action's vector.

Beside the last two stands the same with random latent actions: what can be had without looking.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import gymnasium
import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from armillary.core import DataError, Episode, InfersActions, Prompt, Renders, State, World, WorldError, seeded, to_disk, to_model
from armillary.evaluate.linear_probe import fit_linear_probe, r_squared
from armillary.evaluate.video import psnr

ASIDE = 4  # of the episodes to fit on, every so many choose the probe's penalty
WINDOWS_AT_ONCE = 32


@dataclass(frozen=True, kw_only=True)
class Steered:
    """PSNR in dB of dreams `t` steps long, the mean of each of `n` episodes, by where their latent actions came from."""

    inferred: Float[np.ndarray, "n t"]
    random: Float[np.ndarray, "n t"]
    copy_last: Float[np.ndarray, "n t"]

    def delta(self, step: int = 4) -> Float[np.ndarray, " n"]:
        """dPSNR at a step, counted from 1."""
        return (self.inferred - self.random)[:, step - 1]


@torch.no_grad()
def steer(world: World, episodes: Sequence[Episode], *, camera: str, horizon: int = 4, every: int = 8, seed: int = 0) -> Steered:
    """Dream `horizon` steps from moments `every` so many frames apart, under inferred latent actions and under random ones.

    Both dreams have the same noise. WorldError for a world without latent actions, DataError where an episode is too short for a moment.
    """
    if not (isinstance(world, InfersActions) and isinstance(world, Renders)):
        raise WorldError(f"{type(world).__name__} has no latent actions to be judged; give a world that InfersActions and Renders")
    context = world.spec.context_steps
    curves: dict[str, list] = {"inferred": [], "random": [], "copy_last": []}
    for number, episode in enumerate(episodes):
        starts = range(0, len(episode) - context - horizon + 1, every)
        if not starts:
            raise DataError(
                f"episode {episode.index} has {len(episode)} frames, fewer than {context} of context and {horizon} to dream; leave it out"
            )
        windows = to_model(np.stack([episode.frames[camera][first : first + context + horizon] for first in starts]))
        measured = {name: [] for name in curves}
        for part in windows.split(WINDOWS_AT_ONCE):
            told = world.infer(part)[:, context - 1 :]
            drawn = torch.randint(len(world.latent_actions), told.shape, generator=seeded(seed + number))
            state = world.start(Prompt(batch_size=len(part), frames=part[:, :context]), seeded(seed))
            real = part[:, context:]
            measured["inferred"].append(psnr(_dream(world, state, told, seed), real))
            measured["random"].append(psnr(_dream(world, state, drawn, seed), real))
            measured["copy_last"].append(psnr(part[:, context - 1 : context].expand_as(real), real))
        for name, parts in measured.items():
            curves[name].append(torch.cat(parts).mean(0).double().numpy())
    return Steered(**{name: np.stack(values) for name, values in curves.items()})


def _dream(world: World, state, actions: Int[Tensor, "b t"], seed: int) -> Float[Tensor, "b t 3 h w"]:
    rng, pictures = seeded(seed), []
    for step in range(actions.shape[1]):
        state = world.step_latent(state, actions[:, step], rng)
        pictures.append(world.render(state)["rgb"])
    return torch.stack(pictures, dim=1)


@torch.no_grad()
def infer_codes(world: InfersActions, episodes: Sequence[Episode], *, camera: str) -> list[Int[np.ndarray, "_"]]:
    """The latent action after every frame but an episode's last."""
    return [world.infer(to_model(episode.frames[camera])[None])[0].numpy() for episode in episodes]


def random_codes(like: Sequence[Int[np.ndarray, "_"]], count: int, seed: int = 0) -> list[Int[np.ndarray, "_"]]:
    """As many latent actions, drawn at random."""
    draw = np.random.default_rng(seed)
    return [draw.integers(count, size=len(codes)) for codes in like]


@torch.no_grad()
def alike_actions(world: World, state: State, action: Int[Tensor, " b"]) -> Bool[np.ndarray, "b k"]:
    """Of a simulator's `k` actions those after which the next picture is, to the byte, what it is after `action`.

    Nobody can tell these apart from pictures: a jump in the air, a step into a wall. WorldError where actions are not Discrete.
    """
    if not isinstance(world.spec.action_space, gymnasium.spaces.Discrete):
        raise WorldError(f"{type(world).__name__} has no finite number of actions to compare; its actions are {world.spec.action_space}")
    batch, count = state.batch_size, int(world.spec.action_space.n)
    after = world.step(state.repeat(count), torch.arange(count).repeat(batch), seeded(0))
    pictures = to_disk(world.render(after)["rgb"]).reshape(batch, count, -1)
    return (pictures == pictures[np.arange(batch), action.numpy()][:, None]).all(axis=-1)


def agreement(
    fitted: tuple[Sequence[Int[np.ndarray, "_"]], Sequence[Int[np.ndarray, "_"] | Bool[np.ndarray, "_ k"]]],
    judged: tuple[Sequence[Int[np.ndarray, "_"]], Sequence[Int[np.ndarray, "_"] | Bool[np.ndarray, "_ k"]]],
) -> Float[np.ndarray, " n"]:
    """The share of right answers in each episode judged, where each code means the action that was right most often in those fitted.

    Both are (codes, what is right), an array for each episode: an action's number, or which of `k` actions are right (`alike_actions`).
    A code never seen in fitting means the action that is right most often there.

    >>> agreement(([np.array([0, 0, 1])], [np.array([4, 4, 5])]), ([np.array([0, 1, 1])], [np.array([4, 5, 4])]))
    array([0.66666667])
    """
    actions = 1 + max(int(part.max(initial=0)) if part.ndim == 1 else part.shape[1] - 1 for part in (*fitted[1], *judged[1]))
    right = [[part if part.ndim == 2 else np.eye(actions, dtype=bool)[part] for part in parts] for parts in (fitted[1], judged[1])]
    codes = np.concatenate(list(fitted[0]))
    counts = np.zeros((1 + max(int(part.max()) for part in (codes, *judged[0])), actions), dtype=np.int64)
    np.add.at(counts, codes, np.concatenate(right[0]))
    meaning = np.where(counts.any(axis=1), counts.argmax(axis=1), counts.sum(axis=0).argmax())
    return np.array([truth[np.arange(len(code)), meaning[code]].mean() for code, truth in zip(judged[0], right[1], strict=True)])


def action_r2(
    vectors: Float[Tensor, "k d"],
    fitted: tuple[Sequence[Int[np.ndarray, "_"]], Sequence[Float[np.ndarray, "_ a"]]],
    judged: tuple[Sequence[Int[np.ndarray, "_"]], Sequence[Float[np.ndarray, "_ a"]]],
) -> float:
    """R2 of the true actions of the episodes judged, linear in the vectors of their codes; fitted on other episodes, two or more."""
    if len(fitted[0]) < 2:
        raise DataError(f"a linear probe needs at least 2 episodes to be fitted on, received {len(fitted[0])}")

    def joined(parts, chosen):
        codes, actions = (np.concatenate([part[index] for index in chosen]) for part in parts)
        return vectors[torch.from_numpy(codes)].double(), torch.from_numpy(actions).double()

    every = range(len(fitted[0]))
    aside = [index for index in every if index % ASIDE == 1]
    probe = fit_linear_probe(*joined(fitted, [index for index in every if index % ASIDE != 1]), joined(fitted, aside))
    features, truth = joined(judged, range(len(judged[0])))
    return r_squared(probe.read(features), truth, probe.target_mean)
