"""World: if I am here and do this, where am I next? Abilities: what else a world can answer."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import gymnasium
import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor, nn

from armillary.core.episode import Batch
from armillary.core.errors import WorldError
from armillary.core.state import State

S = TypeVar("S", bound=State)
Action = Tensor  # "b a" float for a Box action space, "b" integers for a Discrete one


@dataclass(frozen=True, kw_only=True)
class WorldSpec:
    """What goes into a world and what comes out, for one world of the batch.

    `observation_space` is what `Renders` shows (Box `h w c` uint8) or, for a world without pictures, what `Embeds` gives;
    such a world that starts from frames says their `frame_size` (height, width). `action_space` is a Box or Discrete.
    `prompt` names the fields of `Prompt` that `start` needs.
    """

    observation_space: gymnasium.Space
    action_space: gymnasium.Space
    seconds_per_step: float
    prompt: tuple[str, ...] = ()
    context_steps: int = 1
    frame_size: tuple[int, int] | None = None

    @property
    def sees(self) -> tuple[int, int] | None:
        """Height and width of the pictures that it starts from and observes, where the spec tells."""
        space = self.observation_space
        pictures = isinstance(space, gymnasium.spaces.Box) and len(space.shape) == 3
        return self.frame_size or (space.shape[:2] if pictures else None)


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What a world starts from. A world names in its spec which of these it needs; the rest is ignored.

    `frames` are the last `t` pictures really seen; `actions` the `t - 1` actions between them. A world of several cameras has them side
    by side; `cameras` names those that `frames` shows, in their order there (None: all of them), where the world draws the others itself.
    `layout` picks a world's own variants (theme, physics), its keys being the world's.
    """

    batch_size: int = 1
    frames: Float[Tensor, "b t c h w"] | None = None
    actions: Tensor | None = None
    state: Float[Tensor, "b s"] | None = None
    text: Sequence[str] | None = None
    layout: Mapping[str, object] | None = None
    cameras: Sequence[str] | None = None


@dataclass(frozen=True)
class Loss:
    """A scalar to minimise and the named parts it is made of (detached, for the log)."""

    total: Float[Tensor, ""]
    parts: Mapping[str, Float[Tensor, ""]]


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One stretch of training: a name, its share of all steps, and how its batches look."""

    name: str
    share: float
    batch_size: int
    num_frames: int
    learning_rate: float


class World(ABC, Generic[S]):
    """Anything that answers: if I am here and do this, where am I next?

    Batched: row `i` of every argument and result is one world, and rows never influence one another.
    States are never written to, so any state may be kept, branched and stepped again. The same generator seed gives
    the same answer. A world may hold weights, never a hidden position.
    """

    spec: WorldSpec

    @abstractmethod
    def start(self, prompt: Prompt, rng: Generator) -> S:
        """A state from a prompt. Raises WorldError when the prompt lacks what the spec names."""

    @abstractmethod
    def step(self, state: S, action: Action, rng: Generator) -> S:
        """Imagine, or simulate, one step of `spec.seconds_per_step` seconds."""

    def observe(self, state: S, action: Action, observation: Float[Tensor, "b c h w"], rng: Generator) -> S:
        """The state after `action`, corrected by the picture that was really seen. Default: start again from it."""
        return self.start(Prompt(batch_size=len(observation), frames=observation[:, None]), rng)

    def rollout(self, state: S, actions: Tensor, rng: Generator) -> list[S]:
        """The states after each of `actions` (`b t a` or `b t`), without the first one."""
        states = []
        for t in range(actions.shape[1]):
            state = self.step(state, actions[:, t], rng)
            states.append(state)
        return states


class Renders(ABC):
    """A world that can show itself."""

    @abstractmethod
    def render(self, state) -> dict[str, Tensor]:
        """Pictures by name: `rgb` float `b 3 h w` in [0, 1]; a world may add `depth`, `segmentation`, ..."""


class ForetellsCodes(ABC):
    """A world whose pictures are drawn from the codes of its `tokenizer`, so that something else may draw them too."""

    tokenizer: nn.Module

    @abstractmethod
    def codes(self, state) -> Int[Tensor, "b r c"]:
        """The codes of the state's picture."""


class Imagines(ABC):
    """A world that draws a whole video also where nobody says what is done, and perhaps where nothing was seen: from a text."""

    @property
    @abstractmethod
    def imagines_from(self) -> tuple[str, ...]:
        """The fields of `Prompt` of which one alone is enough: "frames", "text"."""

    @abstractmethod
    def imagine(
        self, prompt: Prompt, rng: Generator, *, actions: Float[Tensor, "b n a"] | None = None, steps: int | None = None
    ) -> Float[Tensor, "b n 3 h w"]:
        """What follows the prompt, in [0, 1], frames given not repeated: as many as actions, or `steps`, or as the world does at once."""


class CompletesViews(ABC):
    """A world of several cameras that begins from what some of them saw (`Prompt.cameras`), and draws what the others did."""

    cameras: tuple[str, ...]  # in the order in which they stand side by side; empty where there is one

    @abstractmethod
    def see_from_all(self, prompt: Prompt, rng: Generator) -> Float[Tensor, "b t 3 h w"]:
        """What all cameras saw at the moments of the prompt's frames, side by side. What was given comes back as it is."""


class Embeds(ABC):
    """A world that can say where it is as a vector; distances between such vectors mean something."""

    @abstractmethod
    def embed(self, state) -> Float[Tensor, "b d"]:
        """The state as one vector per world."""


class Rewards(ABC):
    """A world that knows how good its last step was."""

    @abstractmethod
    def reward(self, state) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        """The reward of the step that led here, and the probability (0 to 1) that the episode goes on."""


class InfersActions(ABC):
    """A world whose own, latent actions were learned from pictures: it tells which was taken between two frames, and steps by them."""

    @property
    @abstractmethod
    def latent_actions(self) -> Float[Tensor, "k d"]:
        """The vector of each latent action."""

    @abstractmethod
    def infer(self, frames: Float[Tensor, "b t c h w"]) -> Int[Tensor, "b s"]:
        """The latent action between each two of `t` frames; `s` is `t` - 1. Each depends on no frame after the one that it led to."""

    @abstractmethod
    def step_latent(self, state, action: Int[Tensor, " b"], rng: Generator):
        """The state after these latent actions. WorldError for one that does not exist."""


class Promptable(ABC):
    """A world in which something else begins to happen when it is told so in words: an event, which lasts until another text."""

    @property
    @abstractmethod
    def events(self) -> tuple[str, ...]:
        """The texts that it knows."""

    @abstractmethod
    def prompt(self, state, text: Sequence[str]):
        """The same moment, from whose next step on there goes on what each world's text says; "" ends it. What is seen now stays.

        WorldError where there are not as many texts as worlds.
        """


def events_of(world: object) -> tuple[str, ...]:
    """The texts that a world knows; none where it is not Promptable."""
    return world.events if isinstance(world, Promptable) else ()


class Portable(ABC):
    """A world whose step, once its chance is drawn, is a function of tensors alone, so that another runtime or device can take it over.

    It starts from frames and the actions between them. Its `start`, `render` and `reward` draw nothing, and their code, like that of
    `advance`, holds for any number of rows when it was traced with one.
    """

    @abstractmethod
    def draw(self, batch_size: int, rng: Generator) -> tuple[Tensor, ...]:
        """All the chance that one step of so many worlds takes; the first axis of each is `b`."""

    @abstractmethod
    def advance(self, state, action: Action, noise: Sequence[Tensor]):
        """`step` with its chance already drawn. The action's shape is not checked."""


class Trainable(ABC):
    """A world with weights that the one loop in `train/` can fit. It is also a `torch.nn.Module`."""

    @abstractmethod
    def phases(self) -> tuple[Phase, ...]:
        """The stretches of training in order; their shares sum to one."""

    @abstractmethod
    def begin_phase(self, name: str) -> None:
        """Make exactly the parameters of this phase require gradients."""

    @abstractmethod
    def loss(self, batch: Batch, rng: Generator) -> Loss:
        """The current phase's loss on a batch."""

    def after_step(self) -> None:
        """Called after each optimiser step (target networks, schedules that live in buffers)."""
        return None

    def diagnose(self, row: Mapping[str, object]) -> str:
        """What is wrong with what was learned, in a sentence with what to do next, from the last row of metrics; empty: nothing known."""
        return ""


def require(prompt: Prompt, *names: str) -> None:
    """Raise WorldError unless the prompt has every named field."""
    missing = [name for name in names if getattr(prompt, name) is None]
    if missing:
        raise WorldError(f"this world starts from {', '.join(names)}; the prompt lacks {', '.join(missing)}")


def seeded(seed: int, device: torch.device | str = "cpu") -> Generator:
    """A generator with this seed, the only source of randomness that a world takes."""
    return torch.Generator(device=device).manual_seed(seed)
