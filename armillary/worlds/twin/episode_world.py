"""The world of an episode of a manifest: its scene laid out or its task drawn, and then randomised."""

from dataclasses import replace

from armillary.worlds.twin.manifest import Manifest
from armillary.worlds.twin.randomise import randomise
from armillary.worlds.twin.tasks.catalogue import draw
from armillary.worlds.twin.tasks.task import Task, TaskWorld
from armillary.worlds.twin.tour import with_tour_camera
from armillary.worlds.twin.world import TwinWorld


def drawn_task(manifest: Manifest, episode: int, attempt: int = 0) -> Task:
    """What is to be done in an episode; another one for each attempt at it, where layouts vary."""
    seed = int(manifest.streams(episode, attempt).layout.integers(2**32)) if manifest.vary_layout else manifest.seed
    return draw(manifest.task, seed)


def drawn_world(manifest: Manifest, episode: int, attempt: int = 0) -> TwinWorld:
    """The randomised world of an episode. ConfigError if the scene lacks a camera or cannot be stepped so."""
    if manifest.task:
        return task_world(manifest, drawn_task(manifest, episode, attempt), episode, attempt)
    layout = with_tour_camera(manifest.layout(episode)) if manifest.policy == "tour" else manifest.layout(episode)
    return TwinWorld(randomise(layout, manifest.randomise, manifest.streams(episode).scene), **_settings(manifest))


def task_world(manifest: Manifest, task: Task, episode: int, attempt: int) -> TaskWorld:
    """The world in which a task is done, its scene varied as the manifest says."""
    scene = randomise(task.scene, manifest.randomise, manifest.streams(episode, attempt).scene)
    return TaskWorld(replace(task, scene=scene), **_settings(manifest))


def _settings(manifest: Manifest) -> dict:
    return {
        "size": (manifest.size, manifest.size),
        "seconds_per_step": manifest.seconds_per_step,
        "camera": manifest.cameras[0] if manifest.cameras else "",
        "quality": manifest.quality,
    }
