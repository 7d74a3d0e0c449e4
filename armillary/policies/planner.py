"""PlannerPolicy: model-predictive control with any world, any planner and any objective."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from armillary.core import Action, ConfigError, Objective, Plan, Planner, Policy, State, World, WorldError
from armillary.planning.objectives import still_prompt
from armillary.planning.pictures import check_pictures
from armillary.planning.warm_start import shifted


@dataclass(frozen=True, kw_only=True)
class PlannerPolicyConfig:
    """`execute` actions of each plan are done before planning again; `warm_start` begins a plan where the last one left off."""

    execute: int = 1
    warm_start: bool = True

    def __post_init__(self):
        if self.execute < 1:
            raise ConfigError(f"policy.execute must be at least 1; received {self.execute!r}")


@dataclass(frozen=True)
class PlannerMemory:
    """Where the world was believed to be, what was done there, and the plan that is being carried out."""

    batch_size: int
    state: State | None = None
    action: Tensor | None = None  # b a, or b
    plan: Plan | None = None
    executed: int = 0  # how many of the plan's actions are done


class PlannerPolicy(Policy[PlannerMemory]):
    """Sees pictures, keeps a belief of where the world is, plans from there and does the first `execute` actions.

    A learned world is started from the first picture and corrected by each one that follows (`World.observe`). Planning with the
    truth: the simulator is the world, and `state_of` says where it is, from what is observed or from what the caller knows:

        where = {}
        policy = PlannerPolicy(simulator, planner, objective, state_of=lambda observation: where["state"])
        memory = policy.start(batch_size)
        while not done:
            where["state"] = state
            action, memory = policy.act(observation, memory, rng)
            state = simulator.step(state, action, rng)

    All episodes of the batch plan at once. Raises WorldError for a world that no picture can start, unless `state_of` is given.
    """

    def __init__(
        self,
        world: World,
        planner: Planner,
        objective: Objective,
        config: PlannerPolicyConfig | None = None,
        *,
        state_of: Callable[[Tensor], State] | None = None,
    ):
        if state_of is None and "frames" not in world.spec.prompt:
            raise WorldError(f"{type(world).__name__} does not start from pictures: give state_of, which says where it is at each step")
        self.world = world
        self.planner = planner
        self.objective = objective
        self.config = config or PlannerPolicyConfig()
        self.state_of = state_of

    def start(self, batch_size: int) -> PlannerMemory:
        """Nothing seen, nothing planned."""
        return PlannerMemory(batch_size)

    def act(self, observation: Tensor, memory: PlannerMemory, rng: Generator) -> tuple[Action, PlannerMemory]:
        """The next action of the plan, made anew when `execute` of its actions are done.

        `observation` is `b 3 h w` in [0, 1], or whatever `state_of` reads. Raises WorldError for pictures of another size or batch.
        """
        if len(observation) != memory.batch_size:
            raise WorldError(f"the policy was started for {memory.batch_size} episodes and sees {len(observation)}; call start again")
        state = self._locate(observation, memory, rng)
        plan, executed = memory.plan, memory.executed
        if plan is None or executed >= self.config.execute:
            left = shifted(plan, executed) if plan is not None and self.config.warm_start else None
            plan, executed = self._plan(state, rng, left), 0
        action = plan.actions[:, executed]
        return action, PlannerMemory(memory.batch_size, state=state, action=action, plan=plan, executed=executed + 1)

    def _plan(self, state: State, rng: Generator, warm_start: Plan | None) -> Plan:
        plan = self.planner.plan(self.world, state, self.objective, rng, warm_start)
        if plan.actions.shape[1] < self.config.execute:
            raise ConfigError(f"policy.execute is {self.config.execute}, but a plan has only {plan.actions.shape[1]} steps; plan farther")
        return plan

    @torch.no_grad()
    def _locate(self, observation: Tensor, memory: PlannerMemory, rng: Generator) -> State:
        """Where the world is now."""
        if self.state_of is not None:
            return self.state_of(observation)
        check_pictures(self.world, observation, "the observation")
        if memory.state is None or memory.action is None:
            return self.world.start(still_prompt(self.world, observation), rng)
        return self.world.observe(memory.state, memory.action, observation, rng)
