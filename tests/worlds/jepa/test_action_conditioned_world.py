"""V-JEPA 2-AC keeps the World contract, its loss is what the equations say, its encoder never changes, and planners can use it."""

from dataclasses import replace

import pytest
import safetensors.torch
import torch

from armillary.core import Batch, ConfigError, Prompt, WorldError, concatenate, seeded
from armillary.core.check import check_world
from armillary.core.settings import from_plain, to_plain
from armillary.planning.cem import CEM, CEMConfig
from armillary.planning.objectives import GoalImage
from armillary.train.cost import estimate_cost
from armillary.worlds.jepa.action_conditioned import ActionPredictor
from armillary.worlds.jepa.action_conditioned_train import PRESETS, Config, build
from armillary.worlds.jepa.action_conditioned_world import ModelConfig
from armillary.worlds.jepa.vit import TokenGrid
from armillary.worlds.jepa.vjepa2 import Sizes, VJepa2
from tests.worlds.jepa.small_action_conditioned import HEIGHT, SHAPE, STATELESS, WIDTH, small_batch, small_config, small_world


def prompt_of(batch: Batch, steps: int, *, state: bool = True) -> Prompt:
    """The first `steps` frames of a batch, and the robot's state at the last of them."""
    known = batch.state[:, steps - 1] if state and batch.state is not None else None
    return Prompt(batch_size=len(batch), frames=batch.frames[:, :steps], actions=batch.actions[:, : steps - 1], state=known)


@pytest.mark.parametrize("context_steps", [1, 3])
@pytest.mark.parametrize("shape", [SHAPE, STATELESS], ids=["state", "stateless"])
def test_keeps_the_contract(shape, context_steps):
    world = small_world(shape, context_steps=context_steps)
    assert world.spec.sees == (HEIGHT, WIDTH)
    check_world(world)
    if shape.state_size:
        check_world(world, prompt_of(small_batch(3), 1))


@pytest.mark.parametrize(("action_size", "state_size"), [(1, 5), (17, 1)])
def test_any_action_and_state_size(action_size, state_size):
    sizes = {"action_size": action_size, "action_mean": (0.0,) * action_size, "action_std": (1.0,) * action_size}
    sizes |= {"state_size": state_size, "state_mean": (0.0,) * state_size, "state_std": (1.0,) * state_size}
    shape = replace(SHAPE, **sizes)
    world = small_world(shape)
    check_world(world)
    assert world.loss(small_batch(shape=shape), seeded(0)).total.isfinite()


def naive_losses(world, batch: Batch) -> tuple[float, float, float]:
    """Teacher-forced, rollout and state errors with every state known, window by window as eq. 2 and 3 say."""
    tokens, actions, states = world.encode(batch.frames), world.standardise(batch.actions), world.state_scale(batch.state)
    forced, rolled, moved, moved_on = [], [], [], []

    def one_more(row: int, seen: torch.Tensor, robot: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        count = seen.shape[1]
        found, change = world.predictor(seen, actions[[row], :count], robot, torch.ones(1, count, dtype=torch.bool))
        return found[:, -1:], robot[:, -1:] + change[:, -1:]

    for row in range(len(batch)):
        for t in range(1, batch.frames.shape[1]):
            found, robot = one_more(row, tokens[[row], :t], states[[row], :t])
            forced.append((found - tokens[row, t]).abs().mean())
            moved.append((robot - states[row, t]).abs().mean())
        seen, robot, errors = tokens[[row], :1], states[[row], :1], []
        for t in range(1, world.config.rollout_steps + 1):
            found, now = one_more(row, seen, robot)
            seen, robot = torch.cat([seen, found], dim=1), torch.cat([robot, now], dim=1)
            if t > 1:
                rolled.append((found - tokens[row, t]).abs().mean())
                errors.append((now - states[row, t]).abs().mean())
        moved_on.append(torch.stack(errors))
    state = torch.stack([torch.stack(moved).mean(), *torch.stack(moved_on).mean(0)]).mean()
    return torch.stack(forced).mean().item(), torch.stack(rolled).mean().item(), state.item()


@torch.no_grad()
@pytest.mark.parametrize("rollout_steps", [2, 3])
def test_the_loss_equals_a_naive_loop(rollout_steps):
    world = small_world(rollout_steps=rollout_steps, drop_state=0.0, rollout_weight=0.5, state_weight=2.0, distance="l1")
    batch = small_batch()
    loss, (forced, rolled, moved) = world.loss(batch, seeded(0)), naive_losses(world, batch)
    assert loss.parts["teacher_forced"].item() == pytest.approx(forced, rel=1e-5)
    assert loss.parts["rollout"].item() == pytest.approx(rolled, rel=1e-5)
    assert loss.parts["state"].item() == pytest.approx(moved, rel=1e-5)
    assert loss.total.item() == pytest.approx(forced + 0.5 * rolled + 2.0 * moved, rel=1e-5)


@torch.no_grad()
def test_the_squared_loss_is_the_mean_of_squares():
    world, batch = small_world(drop_state=0.0, rollout_weight=0.0), small_batch()
    targets = world.encode(batch.frames)
    robot, known = world.state_scale(batch.state), torch.ones_like(batch.actions[..., 0], dtype=torch.bool)
    told, _ = world.predictor(targets[:, :-1], world.standardise(batch.actions)[:, :-1], robot[:, :-1], known[:, :-1])
    loss = world.loss(batch, seeded(0))
    assert loss.parts["teacher_forced"].item() == pytest.approx((told - targets[:, 1:]).pow(2).mean().item(), rel=1e-5)
    assert loss.parts["copy_last"].item() == pytest.approx((targets[:, 1:] - targets[:, :-1]).pow(2).mean().item(), rel=1e-5)


@torch.no_grad()
def test_a_fresh_world_copies_and_the_log_says_how_bad_that_is():
    loss = build(small_config(drop_state=0.0), SHAPE).loss(small_batch(), seeded(0))
    assert loss.parts["teacher_forced"].item() == pytest.approx(loss.parts["copy_last"].item(), rel=1e-3)
    assert loss.parts["copy_last"] > 0.05


@torch.no_grad()
def test_states_that_are_dropped_are_neither_looked_at_nor_judged():
    world, batch = small_world(drop_state=0.5), small_batch(rows=64)
    robot, known = world._robot_of(batch, seeded(0))
    none, late = (~known).all(1), known.any(1) & ~known[:, 0]
    assert 20 <= none.sum() <= 44 and 10 <= late.sum() <= 44  # half of the windows; of the rest those whose first frame is drawn late
    assert (known[:, 1:] | ~known[:, :-1]).all()  # once known, known
    torch.testing.assert_close(robot, world.state_scale(batch.state))
    other = replace(batch, state=torch.where(none[:, None, None], 1e3, batch.state))
    assert torch.equal(world.loss(batch, seeded(0)).total, world.loss(other, seeded(0)).total)
    assert not torch.equal(world.loss(batch, seeded(0)).total, world.loss(replace(batch, state=batch.state + 1.0), seeded(0)).total)


@torch.no_grad()
@pytest.mark.parametrize("shape", [SHAPE, STATELESS], ids=["state", "stateless"])
def test_the_last_action_of_a_window_is_never_used_and_the_one_before_is(shape):
    world, batch = small_world(shape), small_batch(shape=shape)
    before = world.loss(batch, seeded(0)).total
    batch.actions[:, -1] += 3.0
    assert torch.equal(before, world.loss(batch, seeded(0)).total)
    batch.actions[:, -2] += 3.0
    assert not torch.equal(before, world.loss(batch, seeded(0)).total)


@torch.no_grad()
def test_steps_after_real_frames_are_one_teacher_forced_pass():
    """Seen frame by frame, then stepped once: what one pass over all frames says of the same inputs."""
    world, batch = small_world(), small_batch()
    tokens, actions = world.encode(batch.frames), world.standardise(batch.actions)
    unknown = torch.zeros(4, 3, dtype=torch.bool)
    whole = world.predictor(tokens[:, :3], actions[:, :3], batch.state.new_zeros(4, 3, 2), unknown)[0]
    state = world.start(prompt_of(batch, 1, state=False), seeded(0))
    for t in range(3):
        stepped = world.step(state, batch.actions[:, t], seeded(0))
        torch.testing.assert_close(stepped.tokens[:, -1], whole[:, t], atol=1e-5, rtol=0)
        together = world.step(world.start(prompt_of(batch, t + 1, state=False), seeded(0)), batch.actions[:, t], seeded(0))
        torch.testing.assert_close(stepped.tokens[:, -1], together.tokens[:, -1], atol=1e-5, rtol=0)
        state = world.observe(state, batch.actions[:, t], batch.frames[:, t + 1], seeded(0))
        torch.testing.assert_close(world.embed(state), tokens[:, t + 1].flatten(1), atol=1e-6, rtol=0)


@torch.no_grad()
def test_a_rollout_is_a_pass_over_what_it_foresaw():
    world, batch = small_world(), small_batch()
    state = world.start(prompt_of(batch, 1), seeded(0))
    states = world.rollout(state, batch.actions[:, :3], seeded(0))
    last = states[-1]  # the window has dropped the real frame: frames 1 to 3 were foreseen
    tokens = torch.cat([world.encode(batch.frames[:, :1]), *(one.tokens[:, -1:] for one in states[:2])], dim=1)
    robot = torch.cat([world.state_scale(batch.state[:, :1]), *(one.robot[:, -1:] for one in states[:2])], dim=1)
    actions = world.standardise(batch.actions[:, :3])
    whole, change = world.predictor(tokens, actions, robot, torch.ones(4, 3, dtype=torch.bool))
    torch.testing.assert_close(last.tokens[:, -1], whole[:, -1], atol=1e-5, rtol=0)
    torch.testing.assert_close(last.robot[:, -1], robot[:, -1] + change[:, -1], atol=1e-5, rtol=0)
    assert last.count.tolist() == [3] * 4 and state.count.tolist() == [1] * 4
    torch.testing.assert_close(last.tokens[:, :2], torch.stack([one.tokens[:, -1] for one in states[:2]], 1))


@torch.no_grad()
def test_a_frame_that_was_dropped_is_forgotten():
    world, batch = small_world(), small_batch(steps=4)
    changed = replace(batch, frames=batch.frames.clone())
    changed.frames[:, 0] = 1.0 - changed.frames[:, 0]
    long, other = (world.start(prompt_of(one, 4), seeded(0)) for one in (batch, changed))
    assert all(torch.equal(a, b) for a, b in zip(long.tensors().values(), other.tensors().values(), strict=True))


@torch.no_grad()
def test_rows_of_unlike_history_step_as_they_do_alone():
    world, batch = small_world(), small_batch()
    rows = [world.start(prompt_of(batch.rows([i]), steps, state=i != 2), seeded(0)) for i, steps in enumerate((1, 3, 2, 3))]
    together = world.step(concatenate(rows), batch.actions[:, 3], seeded(0))
    for i, row in enumerate(rows):
        alone = world.step(row, batch.actions[[i], 3], seeded(0))
        for name, tensor in alone.tensors().items():
            torch.testing.assert_close(together.tensors()[name][[i]], tensor, atol=1e-5, rtol=0, msg=name)


@torch.no_grad()
def test_the_robots_state_is_foreseen_in_the_datas_units():
    world, batch = small_world(), small_batch()
    state = world.start(prompt_of(batch, 2), seeded(0))
    torch.testing.assert_close(world.foreseen_state(state), batch.state[:, 1])
    after = world.step(state, batch.actions[:, 1], seeded(0))
    expected = world.state_scale.restore(after.robot[:, -1])
    assert torch.equal(world.foreseen_state(after), expected) and not torch.allclose(expected, batch.state[:, 1], atol=1e-3)
    seen = world.observe(state, batch.actions[:, 1], batch.frames[:, 2], seeded(0))
    torch.testing.assert_close(world.foreseen_state(seen), expected)
    blind = world.start(prompt_of(batch, 2, state=False), seeded(0))
    with pytest.raises(WorldError, match=r"unknown in worlds \[0, 1, 2, 3\].*Prompt\(state"):
        world.foreseen_state(world.step(blind, batch.actions[:, 1], seeded(0)))
    with pytest.raises(WorldError, match="the data that it learned from has none"):
        small_world(STATELESS).foreseen_state(blind)


def test_the_encoder_is_frozen_and_everything_else_learns():
    world = small_world()
    world.begin_phase("predict")
    before = {name: tensor.clone() for name, tensor in world.state_dict().items()}
    trained = [parameter for parameter in world.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-2, weight_decay=0.1)
    world.train()
    assert world.predictor.training and not any(part.training for part in world.encoder.modules())
    world.loss(small_batch(), seeded(3)).total.backward()
    optimizer.step()
    same = {name for name, tensor in world.state_dict().items() if torch.equal(tensor, before[name])}
    assert {name for name in before if name.startswith("encoder.")} == same - {n for n in same if "scale" in n or "standardise" in n}
    assert all(not parameter.requires_grad and parameter.grad is None for parameter in world.encoder.parameters())
    assert {name for name, parameter in world.named_parameters() if parameter.requires_grad} == {
        f"predictor.{name}" for name, _ in world.predictor.named_parameters()
    }


def test_tokens_are_the_encoders_of_each_still_picture_normalised():
    world, batch = small_world(), small_batch()
    networks = VJepa2(Sizes(**vars(world.encoder.sizes)))
    networks.target_encoder.load_state_dict(world.encoder.vit.state_dict())
    tokens = world.encode(batch.frames)
    for t in range(4):
        expected = networks.targets(networks.normalise(batch.frames[:, t : t + 1]))
        torch.testing.assert_close(tokens[:, t], expected, atol=1e-6, rtol=0)


@torch.no_grad()
def test_a_goal_picture_is_planned_for():
    """The goal is what one of two actions really leads to, by the world's own belief: the planner finds an action as good."""
    world, batch = small_world(context_steps=2), small_batch(rows=2)
    rng = seeded(0)
    at_goal = GoalImage(world, batch.frames[:, 0], rng, distance="l1", steps="final")
    start = world.start(prompt_of(batch, 1, state=False), rng)
    torch.testing.assert_close(at_goal.distances(world.embed(start)), torch.zeros(2))
    config = CEMConfig(horizon=2, samples=24, elites=4, iterations=3)
    goal = GoalImage(world, batch.frames[:, 3], rng, distance="l1", steps="final")
    plan = CEM(config).plan(world, start, goal, rng)
    assert plan.actions.shape == (2, 2, 3)
    still = goal.cost(world, world.rollout(start, world.standardise.mean.expand(2, 2, 3), rng), plan.actions)
    found = goal.cost(world, world.rollout(start, plan.actions, rng), plan.actions)
    assert (found < still).all()


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        (Prompt(batch_size=1), "frames"),
        (Prompt(batch_size=1, frames=torch.rand(1, 1, 3, 32, 32)), "16, 24"),
        (Prompt(batch_size=1, frames=torch.rand(1, 3, 3, HEIGHT, WIDTH), actions=torch.rand(1, 1, 3)), "2 actions of size 3"),
        (Prompt(batch_size=1, frames=torch.rand(1, 1, 3, HEIGHT, WIDTH), state=torch.rand(1, 5)), r"\(1, 2\), received \(1, 5\)"),
        (Prompt(batch_size=1, frames=torch.rand(1, 1, 3, HEIGHT, WIDTH), state=torch.full((1, 2), torch.nan)), "NaN"),
    ],
)
def test_a_prompt_that_does_not_fit_is_refused(prompt, said):
    with pytest.raises(WorldError, match=said):
        small_world().start(prompt, seeded(0))


def test_an_action_or_a_state_of_another_size_is_refused():
    world, batch = small_world(), small_batch()
    with pytest.raises(WorldError, match=r"\(4, 3\), received \(4, 4\)"):
        world.step(world.start(prompt_of(batch, 1), seeded(0)), torch.zeros(4, 4), seeded(0))
    with pytest.raises(WorldError, match=r"size 2, received \(4, 4, 3\)"):
        world.loss(replace(batch, state=torch.zeros(4, 4, 3)), seeded(0))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"width": 0}, "model.width"),
        ({"heads": 5}, "multiple of model.heads"),
        ({"predictor_heads": 3}, "multiple of model.predictor_heads"),
        ({"context_steps": 0}, "model.context_steps"),
        ({"rollout_steps": 4}, "model.window_steps must be greater"),
        ({"state_weight": -1.0}, "model.state_weight"),
        ({"drop_state": 0.7}, "model.drop_state"),
        ({"learning_rate": 0.0}, "model.learning_rate"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(changes, said):
    with pytest.raises(ConfigError, match=said):
        ModelConfig(**changes)


def test_a_picture_that_cannot_be_cut_and_no_encoder_are_refused_when_it_is_built():
    with pytest.raises(WorldError, match=r"multiples of the patch of 8 pixels, received 20 x 24.*data.height"):
        build(small_config(), replace(SHAPE, height=20))
    with pytest.raises(ConfigError, match=r"model.encoder is empty: give the folder of a finished run of vjepa2.*random"):
        build(PRESETS["default"], SHAPE)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_presets_can_be_written_down(preset):
    assert from_plain(Config, to_plain(PRESETS[preset])) == PRESETS[preset]


def test_the_published_predictor_has_its_published_size():
    """Section 3.1: about 300 M parameters."""
    model, grid = PRESETS["published"].model, TokenGrid(times=1, rows=16, columns=16)
    sizes = {"width": model.predictor_width, "depth": model.predictor_depth, "heads": model.predictor_heads}
    with torch.device("meta"):
        network = ActionPredictor(grid=grid, token_size=model.width, action_size=7, state_size=7, max_frames=1, **sizes)
    assert sum(parameter.numel() for parameter in network.parameters()) / 1e6 == pytest.approx(305, rel=0.02)
    assert network.tokens_per_frame == 258


def test_its_cost_can_be_told():
    config = small_config()
    assert estimate_cost(small_world(), shape=SHAPE, config=config.train, measured_steps=1).seconds > 0


def test_weights_survive_a_safetensors_file(tmp_path):
    world = small_world()
    safetensors.torch.save_file(world.state_dict(), tmp_path / "weights.safetensors")
    other = build(small_config(), SHAPE)
    other.load_state_dict(safetensors.torch.load_file(tmp_path / "weights.safetensors"))
    assert all(torch.equal(a, b) for a, b in zip(world.state_dict().values(), other.state_dict().values(), strict=True))
