"""A learned world whose start, step, picture and reward are computed by ONNX Runtime; its chance is drawn outside, as in the world itself.

The graphs are made when a world is opened, in memory (a second for a small one), so no file can be older than the weights or the code.
"""

import io
import logging
import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec

import gymnasium
import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from armillary.core import Action, ConfigError, Portable, Prompt, Renders, Rewards, State, World, WorldError, seeded

TOLERANCE = 1e-3  # how far a graph may be off, of the largest value (at least one) that it gives: of pictures a quarter of a grey level
OPSET = 20  # the first with a GridSample of bilinear pictures as torch has it
AFTER = "after."  # begins the names of outputs, which may not be those of inputs
ROWS = 3  # traced with so many worlds side by side, for any number

Outputs = dict[str, Tensor]


def check_installed() -> None:
    """ConfigError, with the command that installs them, if ONNX's packages are missing."""
    missing = [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise ConfigError(f'the backend onnx needs {", ".join(missing)}; run: pip install -e ".[onnx]"')


class OnnxWorld(World[State], Renders):
    """A portable world that draws pictures, on ONNX Runtime's CPU provider with as many threads as torch has.

    A start from fewer or more frames than `spec.context_steps`, and `observe`, which play has no use for, are the world's own. WorldError
    where a graph does not compute what the world does.
    """

    def __init__(self, world: World):
        check_installed()
        if not isinstance(world, nn.Module) or not isinstance(world, Portable) or not isinstance(world, Renders):
            raise ConfigError(f"a {type(world).__name__} cannot be exported to ONNX: it is no Portable module that Renders")
        self.spec, self.world = world.spec, world
        frames, actions, action = _made_up(world)
        self._like = world.start(Prompt(batch_size=ROWS, frames=frames, actions=actions), seeded(0))
        self._start = Graph(self._first_state, {"frames": frames, "actions": actions}, world)
        noise = {f"noise.{number}": one for number, one in enumerate(world.draw(ROWS, seeded(0)))}
        state = self._like.tensors()
        self._step = Graph(self._next_state, {**state, "action": action, **noise}, world)
        self._render = Graph(self._pictures, state, world)

    def start(self, prompt: Prompt, rng: Generator) -> State:
        steps = None if prompt.frames is None else prompt.frames.shape[1]
        if prompt.actions is None or steps != self.spec.context_steps:
            return self.world.start(prompt, rng)
        actions = _shaped(prompt.actions, (len(prompt.frames), steps - 1, *self.spec.action_space.shape))
        return self._like.with_tensors(self._start({"frames": prompt.frames, "actions": actions}))

    def step(self, state: State, action: Action, rng: Generator) -> State:
        rows = state.batch_size
        noise = {f"noise.{number}": one for number, one in enumerate(self.world.draw(rows, rng))}
        action = _shaped(action, (rows, *self.spec.action_space.shape))
        return state.with_tensors({**state.tensors(), **self._step({**state.tensors(), "action": action, **noise})})

    def observe(self, state: State, action: Action, observation: Float[Tensor, "b c h w"], rng: Generator) -> State:
        return self.world.observe(state, action, observation, rng)

    def render(self, state: State) -> dict[str, Tensor]:
        return self._render(state.tensors())

    def _first_state(self, given: Outputs) -> Outputs:
        return self.world.start(Prompt(batch_size=ROWS, frames=given["frames"], actions=given["actions"]), seeded(0)).tensors()

    def _next_state(self, given: Outputs) -> Outputs:
        """What a step changes of the state; the rest would only be copied."""
        noise = [given[name] for name in given if name.startswith("noise.")]
        after = self.world.advance(self._like.with_tensors(given), given["action"], noise).tensors()
        return {name: tensor for name, tensor in after.items() if tensor is not given[name]}

    def _pictures(self, given: Outputs) -> Outputs:
        return self.world.render(self._like.with_tensors(given))


class OnnxRewardingWorld(OnnxWorld, Rewards):
    """The same of a world that knows how good its last step was."""

    def __init__(self, world: World):
        super().__init__(world)
        self._reward = Graph(self._outcome, self._like.tensors(), world)

    def reward(self, state: State) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        found = self._reward(state.tensors())
        return found["reward"], found["going"]

    def _outcome(self, given: Outputs) -> Outputs:
        return dict(zip(("reward", "going"), self.world.reward(self._like.with_tensors(given)), strict=True))


def on_onnx(world: World) -> OnnxWorld:
    """The world on ONNX Runtime. ConfigError where it cannot be exported."""
    return OnnxRewardingWorld(world) if isinstance(world, Rewards) else OnnxWorld(world)


class Graph:
    """A function of named tensors, compiled for ONNX Runtime and held against what torch computes of the example."""

    @torch.no_grad()
    def __init__(self, function: Callable[[Outputs], Outputs], example: Outputs, world: nn.Module):
        import onnxruntime

        expected = function(example)
        self._outputs = list(expected)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # torch takes turns with it
        options.log_severity_level = 3  # errors
        exported = _exported(function, example, [f"{AFTER}{name}" for name in self._outputs], world)
        self._session = onnxruntime.InferenceSession(exported, options, providers=["CPUExecutionProvider"])
        self._inputs = [one.name for one in self._session.get_inputs()]  # without those that nothing depends on
        for name, tensor in self(example).items():
            error, room = float((tensor - expected[name]).abs().max()), TOLERANCE * max(1.0, float(expected[name].abs().max()))
            if not error <= room:
                raise WorldError(f"exported, {name} is {error:.1e} from what it should be, more than {room:.1e}; use --backend eager")

    def __call__(self, given: Outputs) -> Outputs:
        found = self._session.run(None, {name: given[name].detach().contiguous().numpy() for name in self._inputs})
        return {name: torch.from_numpy(one) for name, one in zip(self._outputs, found, strict=True)}


class _Named(nn.Module):
    """The function as the exporter wants it: a module of tensors in order, which holds the weights."""

    def __init__(self, function: Callable[[Outputs], Outputs], names: Sequence[str], world: nn.Module):
        super().__init__()
        self.world, self._function, self._names = world, function, list(names)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(self._function(dict(zip(self._names, tensors, strict=True))).values())


def _exported(function: Callable[[Outputs], Outputs], example: Outputs, outputs: Sequence[str], world: nn.Module) -> bytes:
    module, file = _Named(function, list(example), world).eval(), io.BytesIO()
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that this exporter is old, and that checks of shapes are not traced: decision 029
        logger.setLevel(logging.ERROR)
        try:
            torch.onnx.export(
                module,
                tuple(example.values()),
                file,
                dynamo=False,
                opset_version=OPSET,
                input_names=list(example),
                output_names=list(outputs),
                dynamic_axes={name: {0: "batch"} for name in (*example, *outputs)},
            )
        finally:
            logger.setLevel(level)
    return file.getvalue()


def _made_up(world: World) -> tuple[Tensor, Tensor, Tensor]:
    """Frames, the actions between them, and an action, of ROWS worlds."""
    steps, rng = world.spec.context_steps, seeded(0)
    height, width = world.spec.sees
    space = world.spec.action_space
    dtype = torch.long if isinstance(space, gymnasium.spaces.Discrete) else torch.float32
    frames = torch.rand(ROWS, steps, 3, height, width, generator=rng)
    actions = torch.zeros(ROWS, steps, *space.shape, dtype=dtype)
    return frames, actions[:, 1:], actions[:, 0]


def _shaped(actions: Tensor, shape: tuple[int, ...]) -> Tensor:
    if tuple(actions.shape) != shape:
        raise WorldError(f"actions must be {shape}, received {tuple(actions.shape)}")
    return actions
