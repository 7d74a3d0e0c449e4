"""V-JEPA 2-AC as a World: the tokens of a frozen encoder, carried forward by actions. It never draws."""

from dataclasses import dataclass

import gymnasium
import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor, nn

from armillary.core import Batch, ConfigError, Embeds, Loss, Phase, Prompt, State, Trainable, World, WorldError, WorldSpec, require
from armillary.data.shape import DataShape
from armillary.nn.action_scale import ActionScale
from armillary.nn.state_scale import StateScale
from armillary.worlds.jepa.action_conditioned import ActionPredictor
from armillary.worlds.jepa.frozen_encoder import FrozenEncoder, encoder_sizes, require_encoder
from armillary.worlds.jepa.vit import EncoderSizes, check_picture

_POSITIVE = ("predictor_width", "predictor_depth", "predictor_heads", "context_steps", "rollout_steps", "batch_size")
_WEIGHTS = ("rollout_weight", "state_weight")
_DISTANCES = ("squared", "l1")


@dataclass(frozen=True, kw_only=True)
class ModelConfig(EncoderSizes):
    """Which encoder (`encoder` and its sizes), how large the predictor, and the weights of the loss.

    `encoder`: the folder of a finished run of vjepa2, a folder or hub id of released weights, or "random". Its sizes are its own, written
    down when a run begins; the ones given here are those of "random". It is read once, when training begins. Predictions look at the
    last `context_steps` frames. Training windows have `window_steps` frames. `predict_change` adds what is predicted to what is there;
    `learn_places` gives every patch a learned place, and action and state to every patch beside their own tokens.

    Total = teacher-forced error + `rollout_weight` * error over a rollout of `rollout_steps` + `state_weight` * error of the state.
    The tokens' errors are "squared" or "l1" (`distance`), the state's is l1.
    In a share `drop_state` of the windows no state is known, and in as many none before some frame.
    """

    encoder: str = ""
    predictor_width: int = 128
    predictor_depth: int = 4
    predictor_heads: int = 4
    predictor_mlp_ratio: float = 4.0
    predict_change: bool = True
    learn_places: bool = True
    distance: str = "squared"
    context_steps: int = 2
    window_steps: int = 4
    rollout_steps: int = 2
    rollout_weight: float = 1.0
    state_weight: float = 0.1
    drop_state: float = 0.2
    batch_size: int = 16
    learning_rate: float = 1e-3

    def __post_init__(self):
        super().__post_init__()
        for name in _POSITIVE:
            if getattr(self, name) < 1:
                raise ConfigError(f"model.{name} must be >= 1, received {getattr(self, name)}")
        for name in _WEIGHTS:
            if getattr(self, name) < 0:
                raise ConfigError(f"model.{name} must be >= 0 (0 switches it off), received {getattr(self, name)}")
        if self.distance not in _DISTANCES:
            raise ConfigError(f"model.distance must be one of {', '.join(_DISTANCES)}, received {self.distance!r}")
        if self.predictor_width % self.predictor_heads:
            sizes = f"{self.predictor_width} and {self.predictor_heads}"
            raise ConfigError(f"model.predictor_width must be a multiple of model.predictor_heads, received {sizes}")
        if self.window_steps <= self.rollout_steps:
            raise ConfigError(
                f"model.window_steps must be greater than model.rollout_steps, received {self.window_steps} and {self.rollout_steps}"
            )
        if not 0 <= self.drop_state <= 0.5:
            raise ConfigError(f"model.drop_state must be in [0, 0.5], received {self.drop_state}")
        if not self.learning_rate > 0:
            raise ConfigError(f"model.learning_rate must be > 0, received {self.learning_rate}")


@dataclass(frozen=True)
class ActionConditionedState(State):
    """The last `count` frames (at most `c` = `context_steps`), the newest at the end; what stands before them is zero and not looked at.

    `tokens` are normalised, `actions` (between the frames) and `robot` (the robot's state at each) standardised; `known` says
    where `robot` is more than a blank.
    """

    tokens: Float[Tensor, "b c n d"]
    actions: Float[Tensor, "b c-1 a"]
    robot: Float[Tensor, "b c s"]
    known: Bool[Tensor, "b c"]
    count: Int[Tensor, " b"]

    def then(self, action: Float[Tensor, "b a"], tokens: Float[Tensor, "b n d"], robot: Float[Tensor, "b s"]) -> "ActionConditionedState":
        """One frame later; the oldest is dropped. The robot's state stays unknown where it was."""
        return ActionConditionedState(
            tokens=torch.cat([self.tokens[:, 1:], tokens[:, None]], dim=1),
            actions=torch.cat([self.actions, action[:, None]], dim=1)[:, 1:],
            robot=torch.cat([self.robot[:, 1:], robot[:, None]], dim=1),
            known=torch.cat([self.known[:, 1:], self.known[:, -1:]], dim=1),
            count=(self.count + 1).clamp_max(self.tokens.shape[1]),
        )


class ActionConditionedWorld(nn.Module, World[ActionConditionedState], Embeds, Trainable):
    """V-JEPA 2-AC (arXiv:2506.09985, section 3): a frozen encoder, and a predictor that learns what actions do to its tokens.

    It starts from one picture or a few (with the actions between them) and, where the data holds one and the prompt gives it, the robot's
    state at the last of them; from then on it foresees the state too.
    """

    def __init__(self, config: ModelConfig, shape: DataShape):
        super().__init__()
        require_encoder(config.encoder)
        check_picture(shape.height, shape.width, config.patch_size)
        self.config, self.picture, self.state_size = config, (3, shape.height, shape.width), shape.state_size
        self.encoder = FrozenEncoder(encoder_sizes(config), config.encoder)
        grid = self.encoder.vit.grid((1, 1, *self.picture))
        self.predictor = ActionPredictor(
            grid=grid,
            token_size=config.width,
            action_size=shape.action_size,
            state_size=shape.state_size,
            max_frames=max(config.window_steps - 1, config.context_steps),
            width=config.predictor_width,
            depth=config.predictor_depth,
            heads=config.predictor_heads,
            mlp_ratio=config.predictor_mlp_ratio,
            predict_change=config.predict_change,
            learn_places=config.learn_places,
        )
        self.standardise = ActionScale(shape.action_mean, shape.action_std)
        self.state_scale = StateScale(shape.state_mean, shape.state_std)
        self.spec = _spec(config, shape, grid.count * config.width, self.standardise.space())
        self._freeze()

    def start(self, prompt: Prompt, rng: Generator) -> ActionConditionedState:
        """From the last `context_steps` frames at most, and the actions between them; `prompt.state` is the robot's at the last one."""
        require(prompt, "frames")
        actions = self.standardise.between_frames(prompt, self.picture)
        frames = prompt.frames[:, -self.config.context_steps :]
        count, steps = frames.shape[:2]
        robot = frames.new_zeros(count, steps, self.state_size)
        known = torch.zeros(count, steps, dtype=torch.bool, device=frames.device)
        if self.state_size and prompt.state is not None:
            robot[:, -1], known[:, -1] = self.state_scale.told(prompt.state, count), True
        return self._window(self.encode(frames), actions[:, actions.shape[1] - (steps - 1) :], robot, known)

    def step(self, state: ActionConditionedState, action: Float[Tensor, "b a"], rng: Generator) -> ActionConditionedState:
        """One step of the expected tokens and the expected robot state; nothing is drawn."""
        return self._advance(state, self.standardise.one_step(action, state.batch_size))

    def observe(
        self, state: ActionConditionedState, action: Float[Tensor, "b a"], observation: Float[Tensor, "b 3 h w"], rng: Generator
    ) -> ActionConditionedState:
        """The tokens are those of the picture really seen; a picture does not tell the robot's state, which goes on as foreseen."""
        acted = self.standardise.one_step(action, state.batch_size)
        robot = self._foresee(state, acted)[1] if self.state_size else state.robot[:, -1]
        return state.then(acted, self.encode(observation[:, None])[:, 0], robot)

    def embed(self, state: ActionConditionedState) -> Float[Tensor, "b e"]:
        """The last frame's tokens, one after another: compare them with a goal picture's."""
        return state.tokens[:, -1].flatten(1)

    def foreseen_state(self, state: ActionConditionedState) -> Float[Tensor, "b s"]:
        """The robot's state in the data's units. WorldError where the world was started without one."""
        if not self.state_size:
            raise WorldError("this world foresees no robot state: the data that it learned from has none")
        missing = (~state.known[:, -1]).nonzero()[:, 0].tolist()
        if missing:
            raise WorldError(f"the robot's state is unknown in worlds {missing[:5]} of {state.batch_size}: start with Prompt(state=...)")
        return self.state_scale.restore(state.robot[:, -1])

    def encode(self, frames: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b t n d"]:
        """The frozen encoder's tokens of every frame, each on its own and normalised."""
        return self.encoder(frames)

    def phases(self) -> tuple[Phase, ...]:
        """One phase: the predictor learns."""
        config = self.config
        sizes = {"batch_size": config.batch_size, "num_frames": config.window_steps}
        return (Phase(name="predict", share=1.0, learning_rate=config.learning_rate, **sizes),)

    def begin_phase(self, name: str) -> None:
        """The predictor learns, the encoder never. The first time, the encoder is read from where `model.encoder` says."""
        self.encoder.read()
        self._freeze()

    def loss(self, batch: Batch, rng: Generator) -> Loss:
        """The error of the tokens foreseen from real frames (eq. 2) and over a rollout (eq. 3), and of the state foreseen in both.

        The parts are given without their weights; `copy_last` is the error of answering that nothing moves.
        """
        config, targets = self.config, self.encode(batch.frames)
        actions = self.standardise(batch.actions)
        robot, known = self._robot_of(batch, rng)
        tokens, change = self.predictor(targets[:, :-1], actions[:, :-1], robot[:, :-1], known[:, :-1])
        states = [_mean_where(known[:, :-1], robot[:, :-1] + change - robot[:, 1:])]
        terms = {"teacher_forced": (1.0, self._error(tokens, targets[:, 1:]))}
        if config.rollout_weight and config.rollout_steps > 1:
            rolled = self._roll(targets, actions, robot, known)
            errors = [self._error(one.tokens[:, -1], targets[:, ahead]) for ahead, one in enumerate(rolled, start=1)]
            terms["rollout"] = (config.rollout_weight, torch.stack(errors[1:]).mean())  # the first step is the teacher-forced one
            states += [_mean_where(known[:, :1], one.robot[:, -1:] - robot[:, [ahead]]) for ahead, one in enumerate(rolled[1:], start=2)]
        if config.state_weight and self.state_size:
            terms["state"] = (config.state_weight, torch.stack(states).mean())
        parts = {name: value.detach() for name, (_, value) in terms.items()}
        parts["copy_last"] = self._error(targets[:, :-1], targets[:, 1:])
        return Loss(sum(weight * value for weight, value in terms.values()), parts)

    def _error(self, foreseen: Float[Tensor, "*lead n d"], seen: Float[Tensor, "*lead n d"]) -> Float[Tensor, ""]:
        gap = foreseen - seen
        return gap.abs().mean() if self.config.distance == "l1" else gap.square().mean()

    def _roll(
        self, tokens: Float[Tensor, "b t n d"], actions: Float[Tensor, "b t a"], robot: Float[Tensor, "b t s"], known: Bool[Tensor, "b t"]
    ) -> list[ActionConditionedState]:
        """The states after each of `rollout_steps` steps from the first frame, with what was foreseen fed back."""
        found = [self._window(tokens[:, :1], actions[:, :0], robot[:, :1], known[:, :1])]
        for step in range(self.config.rollout_steps):
            found.append(self._advance(found[-1], actions[:, step]))
        return found[1:]

    def _advance(self, state: ActionConditionedState, action: Float[Tensor, "b a"]) -> ActionConditionedState:
        return state.then(action, *self._foresee(state, action))

    def _foresee(self, state: ActionConditionedState, action: Float[Tensor, "b a"]) -> tuple[Float[Tensor, "b n d"], Float[Tensor, "b s"]]:
        """(tokens, standardised robot state) after a standardised action. Rows that hold equally many frames are computed together."""
        actions = torch.cat([state.actions, action[:, None]], dim=1)
        counts = state.count.unique().tolist()
        if len(counts) > 1:
            tokens, robot = torch.empty_like(state.tokens[:, -1]), torch.empty_like(state.robot[:, -1])
            for count in counts:
                rows = (state.count == count).nonzero()[:, 0]
                tokens[rows], robot[rows] = self._foresee(state.rows(rows), action[rows])
            return tokens, robot
        last = slice(-counts[0], None)
        known = state.known[:, last]
        tokens, change = self.predictor(state.tokens[:, last], actions[:, last], state.robot[:, last], known)
        return tokens[:, -1], state.robot[:, -1] + change[:, -1] * known[:, -1:]

    def _window(
        self, tokens: Float[Tensor, "b t n d"], actions: Float[Tensor, "b t-1 a"], robot: Float[Tensor, "b t s"], known: Bool[Tensor, "b t"]
    ) -> ActionConditionedState:
        """A state of these frames, with room for `context_steps` of them."""
        steps = tokens.shape[1]

        def filled(values: Tensor) -> Tensor:
            room = values.new_zeros(len(values), self.config.context_steps - steps, *values.shape[2:])
            return torch.cat([room, values], dim=1)

        count = torch.full((len(tokens),), steps, device=tokens.device)
        return ActionConditionedState(filled(tokens), filled(actions), filled(robot), filled(known), count)

    def _robot_of(self, batch: Batch, rng: Generator) -> tuple[Float[Tensor, "b t s"], Bool[Tensor, "b t"]]:
        """Standardised states, and which of them the predictor is told: none in some windows, in others none before some frame."""
        count, steps = batch.frames.shape[:2]
        if not self.state_size or batch.state is None:
            return batch.frames.new_zeros(count, steps, self.state_size), torch.zeros_like(batch.actions[..., 0], dtype=torch.bool)
        if batch.state.shape[-1] != self.state_size:
            raise WorldError(f"states must be of size {self.state_size}, received {tuple(batch.state.shape)}")
        noise, share = torch.rand(count, 2, generator=rng, device=rng.device), self.config.drop_state
        late = torch.where(noise[:, 0] < 2 * share, (noise[:, 1] * steps).floor(), 0.0)
        first = torch.where(noise[:, 0] < share, float(steps), late)
        return self.state_scale(batch.state), torch.arange(steps, device=rng.device) >= first[:, None]

    def _freeze(self) -> None:
        self.requires_grad_(True)
        self.encoder.requires_grad_(False)


def _mean_where(known: Bool[Tensor, "b t"], errors: Float[Tensor, "b t s"]) -> Float[Tensor, ""]:
    """The mean absolute error where states are known; 0 where none is."""
    weights = known[..., None].to(errors)
    return (errors.abs() * weights).sum() / (weights.sum() * max(errors.shape[-1], 1)).clamp_min(1.0)


def _spec(config: ModelConfig, shape: DataShape, size: int, actions: gymnasium.spaces.Box) -> WorldSpec:
    return WorldSpec(
        observation_space=gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float32),
        action_space=actions,
        seconds_per_step=shape.seconds_per_step,
        prompt=("frames",),
        context_steps=config.context_steps,
        frame_size=(shape.height, shape.width),
    )
