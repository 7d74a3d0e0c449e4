"""How fast a learned world answers a key: `python -m benchmarks.interactive_step [--seeds N] [--quick] [--json]`.

V-M-Cs on torch (eager) and on ONNX Runtime: the world that comes with the package, the same settings at 128 x 128 pixels, and the default
settings (two members) at both sizes, these with fresh weights, which cost the same. A step goes from a held key to the picture's JPEG file:
noise, dynamics, decoder, bytes, file; one world, as many threads as there are cores. The backends take turns of a quarter of a second, so
that what else the machine does falls on both. `steps to JPEG` counts wall time, `processor time of a step` all threads together. `action to
picture, p99` is over the server's own WebSocket, with a player in a process of its own who changes what is held four times a second. A
seed is one round; intervals are bootstraps over rounds. The machine must be otherwise idle.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from armillary.core import Prompt, World, seeded
from armillary.data.shape import DataShape
from armillary.serve.backends import on_backend
from armillary.serve.bundled_world import load_bundled
from armillary.serve.controls import controls_of
from armillary.serve.messages import encode_picture
from armillary.serve.playable import WORLD, Beginning, Place, Playable
from armillary.worlds.vmc.train import PRESETS, build
from benchmarks import rows
from benchmarks.serve_load import Load, measure_load

NAME = "interactive_step"
BACKENDS = ("eager", "onnx")
TURN_S, WARM_S = 0.25, 1.0
METRICS = {
    "fps": ("steps to JPEG", "1/s"),
    "processor_ms": ("processor time of a step", "ms"),
    "latency_ms": ("action to picture, p99", "ms"),
}


def worlds() -> dict[str, World]:
    """What is measured, by name."""
    bundled = load_bundled()[0].world
    scale = bundled.standardise
    shape = DataShape(
        height=64,
        width=64,
        action_size=len(scale.mean),
        action_mean=tuple(scale.mean.tolist()),
        action_std=tuple(scale.std.tolist()),
        seconds_per_step=bundled.spec.seconds_per_step,
        has_rewards=True,
    )
    large, default = replace(shape, height=128, width=128), PRESETS["default"]
    return {
        "bundled, 64 px": bundled,
        "bundled's settings, 128 px": fresh(replace(default, model=bundled.config), large),
        "default, 64 px": fresh(default, shape),
        "default, 128 px": fresh(default, large),
    }


def fresh(config, shape: DataShape) -> nn.Module:
    """With weights that learned nothing."""
    return build(config, shape).eval().requires_grad_(False)


def playable(name: str, world: World) -> Playable:
    """A world that begins from noise."""
    controls = controls_of(world.spec.action_space)

    def begin(seed: int) -> Beginning:
        rng, steps = seeded(seed), world.spec.context_steps
        frames = torch.rand(1, steps, 3, *world.spec.sees, generator=rng)
        actions = torch.zeros(1, steps - 1, *world.spec.action_space.shape)
        return Beginning(place=Place(state=world.start(Prompt(frames=frames, actions=actions), rng)), value=controls.neutral)

    return Playable(name=name, world=world, controls=controls, begin=begin, act=controls.tensor)


@torch.no_grad()
def step_speed(played: Sequence[Playable], seconds: float) -> list[dict[str, float]]:
    """Of each, whole steps a second and the processor time of one, in turns until each had so many seconds."""
    places = [one.begin(0).place for one in played]
    counts, walls, processors = ([0.0] * len(played) for _ in range(3))
    for turn in range(1 + max(1, round(seconds / TURN_S))):
        for number, one in enumerate(played):
            wall, processor, count = time.perf_counter(), time.process_time(), 0
            while count < 2 or time.perf_counter() - wall < (TURN_S if turn else WARM_S):
                places[number] = one.step(places[number], [one.controls.neutral], seeded(count))
                encode_picture(one.show(places[number])[WORLD][0])
                count += 1
            if turn:  # the first one warms up
                counts[number] += count
                walls[number] += time.perf_counter() - wall
                processors[number] += time.process_time() - processor
    return [{"fps": n / wall, "processor_ms": 1000 * cpu / n} for n, wall, cpu in zip(counts, walls, processors, strict=True)]


def measure(quick: bool) -> dict[str, dict[str, float]]:
    """One round: numbers by who was measured."""
    found = {}
    for name, world in worlds().items():
        played = [playable(name, on_backend(world, backend, name)) for backend in BACKENDS]
        for backend, one, speed in zip(BACKENDS, played, step_speed(played, 0.25 if quick else 3.0), strict=True):
            load = Load(people=1, stalled=0, seconds=1.0 if quick else 15.0)
            found[f"{name}, {backend}"] = speed | {"latency_ms": measure_load(one, load)["latency_ms"]}
    return found


def main() -> None:
    """Print the rows."""
    torch.set_num_threads(os.cpu_count() or 1)
    rows.run_speed(NAME, __doc__ or "", lambda seeds, quick: rows.of_rounds(NAME, METRICS, [measure(quick) for _ in range(seeds)]))


if __name__ == "__main__":
    main()
