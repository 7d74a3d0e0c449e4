"""ONNX Runtime computes what the world does: the same start, steps, pictures and rewards, for any number of rows and the same chance."""

import pytest
import torch

from armillary.core import ConfigError, Prompt, Renders, Rewards, WorldError, check_world, seeded
from armillary.serve.onnx_world import TOLERANCE, Graph, OnnxWorld, on_onnx
from armillary.worlds.catalog import build_small
from tests.serve.portable import Lamp
from tests.worlds.vmc.small_vmc import small_world

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
VARIANTS = {
    "context, chance": ("default", {"temperature": 0.7}),
    "two members": ("default", {"members": 2, "temperature": 0.7}),
    "published": ("published", {}),
}
STEPS = 12


@pytest.fixture(scope="module", params=VARIANTS)
def pair(request):
    """A V-M-C with random weights that matter, and the same on ONNX Runtime."""
    preset, changes = VARIANTS[request.param]
    world = small_world(preset, **changes).eval().requires_grad_(False)
    for name, parameter in world.named_parameters():  # a fresh decoder only copies, or paints grey
        if "exit" in name:
            parameter.normal_(std=0.1, generator=seeded(1))
        elif preset == "published" and parameter.ndim > 1:
            parameter.mul_(3.0)
    return world, on_onnx(world)


@torch.no_grad()
def dream(world, rows: int, action_space):
    """States, pictures and rewards of a dream of random actions."""
    rng, frames = seeded(3), world.spec.context_steps
    size = world.spec.observation_space.shape[:2]
    given = [action_space(rows, rng) for _ in range(frames - 1 + STEPS)]
    actions = torch.stack(given[: frames - 1], dim=1) if frames > 1 else None
    state = world.start(Prompt(batch_size=rows, frames=torch.rand(rows, frames, 3, *size, generator=rng), actions=actions), rng)
    found = []
    for action in given[frames - 1 :]:
        state = world.step(state, action, rng)
        found.append({**state.tensors(), **world.render(state)})
        if isinstance(world, Rewards):
            found[-1] |= dict(zip(("reward", "going"), world.reward(state), strict=True))
    return found


def box(rows, rng):
    return torch.randn(rows, 3, generator=rng)


def one_hot(rows, rng):
    return torch.nn.functional.one_hot(torch.randint(3, (rows,), generator=rng), 3).float()


def choice(rows, rng):
    return torch.randint(4, (rows,), generator=rng)


def assert_same(found, expected, room: float):
    for step, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert one.keys() == other.keys()
        for name in one:
            assert torch.allclose(one[name], other[name], atol=room, rtol=room), (step, name, (one[name] - other[name]).abs().max())


@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize("actions", [box, one_hot])
def test_a_whole_dream_is_the_same_whatever_the_number_of_rows(pair, rows, actions):
    world, exported = pair
    expected = dream(world, rows, actions)
    assert_same(dream(exported, rows, actions), expected, TOLERANCE)
    pictures = torch.stack([one["rgb"] for one in expected])
    assert (pictures[0] - pictures[-1]).abs().max() > 20 * TOLERANCE, "nothing moves: the comparison says little"


@pytest.mark.parametrize("rows", [1, 4])
def test_discrete_actions_and_chance_are_inputs(rows):
    world = Lamp()
    exported = on_onnx(world)
    assert not isinstance(exported, Rewards)
    assert_same(dream(exported, rows, choice), dream(world, rows, choice), TOLERANCE)


def test_it_keeps_the_contract_of_a_world(pair):
    check_world(pair[1])


def test_starts_from_other_prompts_are_the_worlds_own(pair):
    world, exported = pair
    frames = torch.rand(2, world.spec.context_steps + 1, 3, 64, 64, generator=seeded(0))
    for prompt in (Prompt(batch_size=2, frames=frames), Prompt(batch_size=2, frames=frames[:, :1])):
        one, other = (each.start(prompt, seeded(0)).tensors() for each in (world, exported))
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_wrong_actions_are_refused(pair):
    exported = pair[1]
    state = exported.start(Prompt(batch_size=2, frames=torch.rand(2, 1, 3, 64, 64)), seeded(0))
    with pytest.raises(WorldError, match=r"actions must be \(2, 3\)"):
        exported.step(state, torch.zeros(2, 4), seeded(0))


def test_a_graph_that_computes_something_else_is_refused():
    chance, lamp = iter(range(1, 100)), Lamp()

    def drifting(given):
        return {"light": given["light"] * lamp.weight + next(chance)}

    with pytest.raises(WorldError, match=r"light is .* use --backend eager"):
        Graph(drifting, {"light": torch.ones(3)}, lamp)


def test_only_portable_worlds_are_exported():
    with pytest.raises(ConfigError, match="a Pusher cannot be exported"):
        OnnxWorld(build_small("pusher"))
    assert isinstance(on_onnx(Lamp()), Renders)
