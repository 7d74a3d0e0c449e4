"""What planners make small: the distance to a goal, the return foregone, the effort, or a weighted sum of such.

A goal is one for all, or one for each episode. States come with the rows of an episode side by side (`State.repeat`).
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from armillary.core import ConfigError, Embeds, Objective, Prompt, Renders, Rewards, State, World, WorldError
from armillary.planning.pictures import check_finite, check_pictures

DISTANCES = ("l1", "l2", "squared")
STEPS = ("sum", "final")


class GoalEmbedding(Objective):
    """The distance from where the world is, as it embeds itself, to a goal.

    `distance`: "l1" (mean of absolute differences), "l2" (Euclidean) or "squared" (mean of squares). `steps`: "sum" over all
    steps, "final" for the last one only, or one weight for each step of the plan. With "final" nothing hurries a body that plans
    anew before it arrives: it puts off its arrival. `dimensions` picks numbers of the embedding.
    """

    ability: type = Embeds  # what a world must have

    def __init__(
        self,
        target: Float[Tensor, "b d"] | Float[Tensor, " d"],
        *,
        distance: str = "l2",
        steps: str | Sequence[float] = "sum",
        dimensions: Sequence[int] | None = None,
    ):
        if distance not in DISTANCES:
            raise ConfigError(f"objective.distance must be one of {', '.join(DISTANCES)}; received {distance!r}")
        if isinstance(steps, str) and steps not in STEPS:
            raise ConfigError(f"objective.steps must be one of {', '.join(STEPS)}, or a weight for each step; received {steps!r}")
        self.target = target if target.ndim == 2 else target[None]
        check_finite(self.target, "the goal")
        if dimensions is not None and len(dimensions) != self.target.shape[1]:
            raise ConfigError(f"objective.dimensions names {len(dimensions)} numbers, the goal has {self.target.shape[1]}")
        self.distance = distance
        self.steps = steps if isinstance(steps, str) else tuple(float(weight) for weight in steps)
        self.dimensions = None if dimensions is None else list(dimensions)

    def cost(self, world: World, states: Sequence[State], actions: Tensor) -> Float[Tensor, " b"]:
        """Raises WorldError where the world does not embed, or embeds in another size than the goal's."""
        need_ability(world, self.ability, self)
        if self.steps == "final":
            return self.distances(self.place(world, states[-1]))
        if self.steps == "sum":
            return sum(self.distances(self.place(world, state)) for state in states)
        if len(self.steps) != len(states):
            raise ConfigError(f"objective.steps holds {len(self.steps)} weights, the plan has {len(states)} steps (horizon * block)")
        return sum(w * self.distances(self.place(world, state)) for w, state in zip(self.steps, states, strict=True) if w)

    def place(self, world: World, state: State) -> Float[Tensor, "r d"]:
        """Where a state is, in the numbers that the goal is given in."""
        return world.embed(state)

    def distances(self, embedding: Float[Tensor, "r d"]) -> Float[Tensor, " r"]:
        """From each row to its episode's goal."""
        if self.dimensions is not None:
            if not all(0 <= i < embedding.shape[1] for i in self.dimensions):
                raise WorldError(f"the goal is about the numbers {self.dimensions} of an embedding that has {embedding.shape[1]}")
            embedding = embedding[:, self.dimensions]
        goals, size = self.target.shape
        if size != embedding.shape[1]:
            raise WorldError(f"the goal has {size} numbers, the world embeds in {embedding.shape[1]}; pick `dimensions` or make it anew")
        if len(embedding) % goals:
            raise WorldError(f"there are {goals} goals for {len(embedding)} rows; give one goal, or one for each episode")
        gap = embedding.unflatten(0, (goals, -1)) - self.target.to(embedding)[:, None]
        if self.distance == "l2":
            return torch.linalg.vector_norm(gap, dim=-1).flatten()
        return (gap.abs() if self.distance == "l1" else gap.square()).mean(dim=-1).flatten()


class GoalImage(GoalEmbedding):
    """The distance to what the world embeds a picture in: one picture for all episodes (`3 h w`) or one each (`b 3 h w`).

    Raises WorldError, at once, for a picture of another size, numbers that are not finite or not in [0, 1], and a world that
    does not embed or does not start from pictures. Options are those of GoalEmbedding.
    """

    def __init__(self, world: World, image: Float[Tensor, "*b c h w"], rng: Generator, **options):
        super().__init__(embed_pictures(world, image if image.ndim != 3 else image[None], rng), **options)


class GoalPixels(GoalEmbedding):
    """The distance of the pictures that a world draws to a goal picture, or one each: for worlds that Render and do not embed.

    Every step that counts is drawn, which is dear where drawing is (`steps="final"` draws one). Where a thing is far from its goal,
    moving it a little changes no pixel for the better: this leads there from nearby only. Checked as GoalImage's is.
    """

    ability = Renders

    def __init__(self, world: World, image: Float[Tensor, "*b c h w"], **options):
        pictures = image if image.ndim != 3 else image[None]
        need_ability(world, Renders, self)
        check_pictures(world, pictures, "the goal")
        super().__init__(pictures.flatten(1), **options)

    def place(self, world: World, state: State) -> Float[Tensor, "r d"]:
        """All pixels of the state's picture."""
        return world.render(state)["rgb"].flatten(1)


class GoalExamples(GoalEmbedding):
    """The distance to the mean embedding of a few pictures of one goal (`n 3 h w`), checked as GoalImage's is."""

    def __init__(self, world: World, examples: Float[Tensor, "n c h w"], rng: Generator, **options):
        super().__init__(embed_pictures(world, examples, rng).mean(dim=0), **options)


class GoalState(GoalEmbedding):
    """The distance to a state, in a world whose embedding is its exact state: `dimensions` says which of its numbers the goal is about."""

    def __init__(self, target: Float[Tensor, "b d"] | Float[Tensor, " d"], dimensions: Sequence[int], **options):
        super().__init__(target, dimensions=dimensions, **options)


class NegativeReturn(Objective):
    """The discounted return, negative: -sum of discount^t r_t, each reward weighted by the chance that the episode still went on."""

    def __init__(self, discount: float = 1.0):
        if not 0 < discount <= 1:
            raise ConfigError(f"objective.discount must be above 0 and at most 1; received {discount!r}")
        self.discount = discount

    def cost(self, world: World, states: Sequence[State], actions: Tensor) -> Float[Tensor, " b"]:
        """Raises WorldError for a world without rewards. The step that ends an episode still pays."""
        need_ability(world, Rewards, self)
        total, alive = 0.0, 1.0
        for t, state in enumerate(states):
            reward, going = world.reward(state)
            total = total + self.discount**t * alive * reward
            alive = alive * going
        return -total


class ControlEffort(Objective):
    """The mean square over steps and numbers of (action - rest) / scale: how much is asked beside resting.

    `rest` is one action for all episodes or one each, `scale` what counts as one of every number. Weighted beside a goal this is the
    R of a linear-quadratic regulator. Where `rest` is the last command and `scale` the spread of the commands that follow it, it
    is also a prior: a goal's distance that says little then changes the command but little. ConfigError for a scale that is not positive.
    """

    def __init__(self, rest: Float[Tensor, "b a"] | Float[Tensor, " a"], scale: Float[Tensor, " n"]):
        self.rest = rest if rest.ndim == 2 else rest[None]
        check_finite(self.rest, "the action at rest")
        check_finite(scale, "the scale of effort")
        if scale.shape != self.rest.shape[1:] or not (scale > 0).all():
            raise ConfigError(f"the scale of effort must be {self.rest.shape[1]} positive numbers; received {scale.tolist()}")
        self.scale = scale

    def cost(self, world: World, states: Sequence[State], actions: Float[Tensor, "r t a"]) -> Float[Tensor, " r"]:
        """Raises WorldError for actions of another size than `rest`, and rows that no episode count divides."""
        episodes, size = self.rest.shape
        if actions.shape[-1] != size or len(actions) % episodes:
            raise WorldError(f"effort is about {episodes} episode(s) of actions of {size} numbers; received {tuple(actions.shape)}")
        gap = (actions.unflatten(0, (episodes, -1)) - self.rest.to(actions)[:, None, None]) / self.scale.to(actions)
        return gap.square().mean(dim=(2, 3)).flatten()


class WeightedSum(Objective):
    """Several objectives, each times its weight."""

    def __init__(self, parts: Sequence[tuple[float, Objective]]):
        if not parts:
            raise ConfigError("a weighted sum needs at least one (weight, objective), received none")
        check_finite(torch.tensor([weight for weight, _ in parts]), "the weights")
        self.parts = tuple(parts)

    def cost(self, world: World, states: Sequence[State], actions: Tensor) -> Float[Tensor, " b"]:
        """Raises WorldError where a part needs an ability that the world lacks."""
        return sum(weight * part.cost(world, states, actions) for weight, part in self.parts)


def need_ability(world: World, ability: type, asking: object) -> None:
    """Raise WorldError unless the world has the ability (Embeds, Rewards, ...)."""
    if not isinstance(world, ability):
        raise WorldError(f"{type(asking).__name__} needs a world with the ability {ability.__name__}, which {type(world).__name__} lacks")


@torch.no_grad()
def embed_pictures(world: World, pictures: Float[Tensor, "b c h w"], rng: Generator) -> Float[Tensor, "b d"]:
    """What a world embeds each picture in, started from that picture alone."""
    need_ability(world, Embeds, GoalImage)
    check_pictures(world, pictures, "the goal")
    return world.embed(world.start(still_prompt(world, pictures), rng))


def still_prompt(world: World, pictures: Float[Tensor, "b c h w"]) -> Prompt:
    """A prompt of one picture each. Raises WorldError for a world that is not started by pictures."""
    if "frames" not in world.spec.prompt:
        raise WorldError(
            f"{type(world).__name__} does not start from pictures (it takes {', '.join(world.spec.prompt) or 'no prompt'}), so a picture "
            "cannot say where it is; give a GoalState as the goal, and `state_of` to a policy"
        )
    prompt = Prompt(batch_size=len(pictures), frames=pictures[:, None])
    space = world.spec.action_space
    if "actions" not in world.spec.prompt:
        return prompt
    whole = torch.long if not space.shape else torch.float32
    return replace(prompt, actions=torch.zeros(len(pictures), 0, *space.shape, dtype=whole, device=pictures.device))
