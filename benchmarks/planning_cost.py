"""What an action costs: `python -m benchmarks.planning_cost [--iterations N] [--seeds N] [--quick] [--json]`.

From a picture to an action, with the end-to-end JEPA of the default preset (64 x 64 pixels, two rooms, fresh weights): our CEM, the
CEMSolver of stable-worldmodel around the same networks, weights, goal, objective, samples, horizon, iterations and elites, and the
inverse-dynamics policy. All begin anew from the picture of now; what belongs to the goal picture alone was computed before.
Ours is measured as it comes, with `planner.precision` "bf16", that is, imagining in 16 bits, and with `planner.compile` besides (not in
quick runs, which its first plan outlasts); so that nobody need guess what that costs, every plan is judged by the same objective in 32 bits
(`a plan's cost`; lower is better), and what compiling takes is noted.

The solver gets the model as its own LeWM would be given to it: the picture is encoded once a solve and kept, one call of `predict` a
step for all candidates, actions already standardised. It runs with all episodes in one batch and with its own default, one
after the other; the faster counts. Before anything is measured, both sides must give the same candidates the same costs.
A seed is one pair of pictures and one round of turns in one process of one thread; `ratio` is within a round, its interval a
bootstrap over rounds. Time is this process's own, so that a busy machine does not count.
"""

import contextlib
import importlib.util
import io
import json
import logging
import math
import sys
import time
import types
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

import gymnasium
import numpy as np
import torch
from torch import Tensor

from armillary.core import ConfigError, Prompt, World, bootstrap, seeded
from armillary.core.settings import to_plain
from armillary.data.shape import DataShape
from armillary.planning.cem import CEM, CEMConfig
from armillary.planning.objectives import GoalEmbedding, GoalImage
from armillary.planning.rollout import Rollouts
from armillary.policies.inverse_dynamics import InverseDynamicsPolicy, ModelConfig
from armillary.policies.planner import PlannerPolicy
from armillary.worlds.catalog import build_small
from armillary.worlds.jepa.end_to_end_train import PRESETS, build
from armillary.worlds.jepa.end_to_end_world import EndToEndState, EndToEndWorld
from benchmarks import rows
from benchmarks.encoder_speed import seconds
from benchmarks.stand_in import stand_in

NAME = "planning_cost"
INSTALL = "pip install --no-deps -c constraints.txt stable-worldmodel"
SHAPE = DataShape(
    height=64, width=64, action_size=2, action_mean=(0.0, 0.0), action_std=(0.5, 0.5), seconds_per_step=0.1, has_rewards=False
)
STANDARD_STD = 0.2  # of half the range of an action, which is LIMIT_STD = 5 deviations: one deviation, as theirs
EPISODES = (1, 16)
OURS, HALF, COMPILED = "armillary CEM", "armillary CEM bf16", "armillary CEM bf16, compiled"
THEIRS, INVERSE = "stable-worldmodel CEMSolver", "armillary inverse dynamics"
TOLERANCE = 1e-4
CPU = torch.device("cpu")


class CostModel:
    """Our world as their solver wants it: `get_cost` of candidates `b n t a` (standardised) from what `info` holds.

    As in their own LeWM, what is encoded is kept in `info`, which lives as long as a solve.
    """

    def __init__(self, world: EndToEndWorld):
        self.world, self.parameters = world, world.parameters

    def get_cost(self, info: dict, candidates: Tensor) -> Tensor:
        """One cost a candidate, `b n`."""
        if "latent" not in info:
            info["latent"] = self.world.encode(info["pixels"][:, 0])[:, 0]
            info["objective"] = GoalEmbedding(info["goal_emb"][:, 0])
        count, samples = candidates.shape[:2]
        latent = info["latent"].repeat_interleave(samples, dim=0)
        memory = latent.new_zeros(len(latent), self.world.config.memory_size)
        actions, states = candidates.flatten(0, 1), []
        for t in range(actions.shape[1]):
            latent, memory = self.world.predict(latent, memory, actions[:, t])
            states.append(EndToEndState(latent, memory))
        return info["objective"].cost(self.world, states, actions).unflatten(0, (count, samples))


class Rivals:
    """The planners and the policy around one world, looking at the same pictures."""

    def __init__(self, config: CEMConfig, *, compiles: bool):
        solver = load_solver()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.world = build(PRESETS["default"], SHAPE).eval().requires_grad_(False)
            self.inverse = inverse_dynamics(self.world)
        self.config = config
        self.planners = {OURS: CEM(config), HALF: CEM(replace(config, precision="bf16"))}
        if compiles:
            self.planners[COMPILED] = CEM(replace(config, precision="bf16", compile=True))
        actions = gymnasium.spaces.Box(-np.inf, np.inf, (1, SHAPE.action_size), np.float32)
        plan = types.SimpleNamespace(horizon=config.horizon, receding_horizon=1, action_block=1)
        self.solvers = {}
        for count in EPISODES:
            numbers = {"num_samples": config.samples, "n_steps": config.iterations, "topk": config.elites, "var_scale": 1.0}
            for together in {1, count}:
                found = solver(CostModel(self.world), batch_size=together, **numbers)
                found.configure(action_space=actions, n_envs=count, config=plan)
                self.solvers[count, together] = found

    def material(self, seed: int, count: int) -> tuple[Tensor, Tensor]:
        """What is seen and the goals: `count` pictures each of two rooms with the agent somewhere."""
        rooms, rng = build_small("two-rooms"), seeded(seed)
        seen, goal = (rooms.render(rooms.start(Prompt(batch_size=count), rng))["rgb"] for _ in range(2))
        return seen, goal

    def works(self, seed: int, count: int) -> dict[str, Callable[[], Tensor]]:
        """For each subject, what gives `count` episodes their next actions: the plan `b t a`, or `b a` of the policy."""
        seen, goal = self.material(seed, count)
        objective = GoalImage(self.world, goal, seeded(0))
        towards = self.inverse.with_goal(goal)
        reading = towards.act(seen, towards.start(count), seeded(0))[1]  # the goal is read
        works = {INVERSE: lambda: towards.act(seen, reading, seeded(0))[0]}
        for name, planner in self.planners.items():
            policy = PlannerPolicy(self.world, planner, objective)
            works[name] = lambda policy=policy: policy.act(seen, policy.start(count), seeded(seed))[1].plan.actions
        for together in {1, count}:
            info = {"pixels": seen[:, None], "goal_emb": objective.target}
            works[f"{THEIRS}, {together}"] = lambda found=self.solvers[count, together], info=info: solve(found, info)
        return works

    def judge(self, seed: int, plans: Tensor) -> float:
        """What plans cost in the mean, in the world itself."""
        seen, goal = self.material(seed, len(plans))
        state = self.world.start(Prompt(batch_size=len(plans), frames=seen[:, None]), seeded(0))
        objective, rollouts = GoalImage(self.world, goal, seeded(0)), Rollouts(max_rows=self.config.max_rows)
        return rollouts.costs(self.world, state, objective, plans[:, None], seeded(0)).mean().item()

    def compare(self) -> None:
        """Both must ask the same question, or the comparison means nothing."""
        seen, goal = self.material(0, 2)
        objective = GoalImage(self.world, goal, seeded(0))
        units = torch.randn(2, 8, self.config.horizon, SHAPE.action_size, generator=seeded(0))
        state = self.world.start(Prompt(batch_size=2, frames=seen[:, None]), seeded(0))
        scale = torch.tensor(SHAPE.action_std)
        ours = Rollouts(max_rows=self.config.max_rows).costs(self.world, state, objective, units * scale, seeded(0))
        info = {"pixels": seen[:, None, None].expand(-1, 8, -1, -1, -1, -1), "goal_emb": objective.target[:, None].expand(-1, 8, -1)}
        with torch.no_grad():
            theirs = CostModel(self.world).get_cost(info, units)
        gap = ((ours - theirs) / theirs).abs().max().item()
        assert gap < TOLERANCE, f"the costs differ by up to {gap} of them"


def inverse_dynamics(world: World) -> InverseDynamicsPolicy:
    """The policy on this world's latents, of fresh weights."""
    settings = {"family": "jepa", "config": to_plain(PRESETS["default"]), "shape": asdict(SHAPE)}
    policy = InverseDynamicsPolicy(ModelConfig(world_settings=json.dumps(settings)), SHAPE).eval()
    policy.world.load_state_dict(world.state_dict())
    policy.has_world.fill_(True)
    return policy


def load_solver() -> type:
    """stable-worldmodel's CEMSolver. ConfigError where the package is missing.

    It is installed without its dependencies (simulators, databases, torchvision), so that only its solvers are imported: an empty module
    stands for the package itself, and Python's logging for its logger.
    """
    found = importlib.util.find_spec("stable_worldmodel")
    if found is None:
        raise ConfigError(f"this benchmark compares with stable-worldmodel; install it: {INSTALL}")
    stand_in("stable_worldmodel", {"__path__": list(found.submodule_search_locations)})
    if importlib.util.find_spec("loguru") is None:
        stand_in("loguru", {"logger": logging.getLogger("stable_worldmodel")})
    from stable_worldmodel.solver.cem import CEMSolver

    return CEMSolver


def solve(solver, info: dict) -> Tensor:
    """Their plan, `b t a` in the units of the data, without what they print."""
    with contextlib.redirect_stdout(io.StringIO()):
        return solver.solve(dict(info))["actions"] * torch.tensor(SHAPE.action_std)


def measure(rivals: Rivals, seed: int) -> dict[str, dict[str, tuple[float, float]]]:
    """For each number of episodes and subject the seconds that one episode's action takes, and what the plan costs (NaN: no plan).

    Who begins changes from round to round.
    """
    found = {}
    for count in EPISODES:
        works = rivals.works(seed, count)
        names = list(works) if seed % 2 == 0 else list(reversed(works))
        taken, cost = {}, {}
        for name in names:
            repeats = 20 if name == INVERSE else 1
            answers = []
            taken[name] = seconds(lambda work=works[name]: answers.append(work()), CPU, repeats) / count  # noqa: B023
            cost[name] = math.nan if name == INVERSE else rivals.judge(seed, answers[0])
        faster = min((name for name in names if name.startswith(THEIRS)), key=taken.get)
        chosen = {**{who: who for who in rivals.planners}, THEIRS: faster, INVERSE: INVERSE}
        found["1 episode" if count == 1 else f"{count} episodes"] = {who: (taken[name], cost[name]) for who, name in chosen.items()}
    return found


def compile_seconds(rivals: Rivals, count: int) -> float:
    """Wall seconds of the first plan for `count` episodes with `planner.compile`."""
    work, begin = rivals.works(0, count)[COMPILED], time.perf_counter()
    work()
    return time.perf_counter() - begin


def rows_of(measured: Sequence[dict[str, dict[str, tuple[float, float]]]]) -> list[dict]:
    """Seconds an action, their ratios within rounds, and what plans cost; one measurement a round."""

    def row(who: str, metric: str, values: Sequence[float], unit: str) -> dict:
        return rows.row(NAME, who, metric, bootstrap(values), seeds=len(values), unit=unit, digits=5)

    found = []
    for told in measured[0]:
        taken = {who: [one[told][who][0] for one in measured] for who in measured[0][told]}
        found += [row(who, f"an action, {told}", values, "s") for who, values in taken.items()]
        pairs = [(OURS, THEIRS), (HALF, THEIRS), (COMPILED, THEIRS), (INVERSE, OURS), (INVERSE, HALF), (INVERSE, COMPILED)]
        for above, below in (pair for pair in pairs if taken.keys() >= set(pair)):
            ratios = [a / b for a, b in zip(taken[above], taken[below], strict=True)]
            found.append(row(f"{above} / {below}", f"an action's ratio, {told}", ratios, "x"))
        for who in (who for who in taken if who != INVERSE):
            found.append(row(who, f"a plan's cost, {told}", [one[told][who][1] for one in measured], ""))
    return found


def main() -> int:
    """Print the rows."""
    parser = rows.parser(f"benchmarks.{NAME}", __doc__ or "", seeds=10)
    parser.add_argument("--iterations", type=int, default=10, help="of both searches (default 10)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    iterations = 2 if options.quick else options.iterations
    config = CEMConfig(horizon=10, samples=300, elites=30, iterations=iterations, initial_std=STANDARD_STD)
    try:
        rivals = Rivals(config, compiles=not options.quick)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    with rows.timed() as whole:
        rivals.compare()
        compiled = {} if options.quick else {count: compile_seconds(rivals, count) for count in EPISODES}
        measure(rivals, 0)  # warm up
        measured = [measure(rivals, seed) for seed in range(3 if options.quick else options.seeds)]
    command = f"python -m benchmarks.{NAME} --iterations {iterations}"
    notes = [f"{config.samples} samples, {config.elites} elites, {iterations} iterations, {config.horizon} steps ahead, one thread."]
    notes += [f"The first compiled plan for {count} episodes took {taken:.0f} s." for count, taken in compiled.items()]
    rows.publish(NAME, rows_of(measured), options, command=command, wall_s=whole["s"], notes=notes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
