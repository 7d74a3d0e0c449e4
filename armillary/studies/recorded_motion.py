"""What a dataset saw of a twin, as the recordings that calibration takes: from labels, where it has them, else from the joints' sensors."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64

from armillary.core import DataError, Prompt
from armillary.data.dataset import Dataset
from armillary.data.labels import Labels, found_labels, read_labels
from armillary.worlds.twin.asset import WORLD, Joint
from armillary.worlds.twin.calibration_recording import Recording
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.record import IDLE
from armillary.worlds.twin.scene import Placed
from armillary.worlds.twin.world import TwinWorld

FAST_RAD = 1.0  # what turns further from one row to the next is left out: nobody can tell how often it went round
STILL = 3.0  # what moves by less than so many times the noise counts as still
ELSEWHERE_M = 0.01  # a twin whose bodies start this far from the recorded ones is another twin
BEYOND = 0.01  # how far (rad, m) a recorded start may be beyond a limit, which gives way a little
SUFFIXES = (".position", ".pos")  # that writers put behind a joint's name


@dataclass(frozen=True, kw_only=True)
class Tracker:
    """How well the data measure: standard deviations of positions (m) and of turns and hinges (rad)."""

    noise_m: float = 0.001
    noise_rad: float = 0.005


def label_poses(labels: Labels) -> dict[str, Float64[np.ndarray, "t 4 4"]]:
    """world_from_body of every labelled body, by `thing/body`."""
    names = zip(labels.names.things, labels.names.bodies, strict=True)
    return {f"{thing}/{body}": labels.world_from_body[:, number] for number, (thing, body) in enumerate(names) if body}


def labelled(dataset: Dataset, episode: int) -> Labels | None:
    """The poses that lie beside an episode; None if there are none. DataError if they are damaged."""
    return read_labels(dataset, episode, cameras=()) if found_labels(dataset.path, episode) else None


def recorded(dataset: Dataset, episodes: Sequence[int], world: TwinWorld, tracker: Tracker) -> list[Recording]:
    """The episodes, as far as the world's bodies or joints were seen in them: every body that moves in any of them and turns by no more
    than FAST_RAD between two rows, or without labels every joint of the state.

    DataError where the dataset lacks a drive's action, saw nothing of the twin or nothing move, or begins elsewhere than the twin can.
    """
    labels = {episode: labelled(dataset, episode) for episode in episodes}
    if all(labels.values()):
        poses = {episode: label_poses(found) for episode, found in labels.items()}
        common = [name for name in world.compiled.bodies if all(name in one for one in poses.values())]
        slow = [name for name in common if all(_step(one[name]) <= FAST_RAD for one in poses.values())]
        moving = [name for name in slow if any(_moves(one[name], tracker) for one in poses.values())]
        _refuse_still(dataset, moving, common, "bodies")
        return [_from_poses(dataset, episode, world, poses[episode], moving, tracker) for episode in episodes]
    return _from_state(dataset, episodes, world, tracker)


def _from_poses(dataset: Dataset, episode: int, world: TwinWorld, poses: dict, moving: list[str], tracker: Tracker) -> Recording:
    layout = _layout(world, {name: rows[0] for name, rows in poses.items()})
    _refuse_elsewhere(dataset, episode, world, layout, poses)
    seen = np.stack([poses[name] for name in moving], axis=1)
    return Recording(
        actions=_actions(dataset, episode, world),
        bodies=tuple(moving),
        positions=seen[..., :3, 3],
        turns=seen[..., :3, :3],
        noise_m=tracker.noise_m,
        noise_rad=tracker.noise_rad,
        layout=layout,
    )


def _from_state(dataset: Dataset, episodes: Sequence[int], world: TwinWorld, tracker: Tracker) -> list[Recording]:
    names = dataset.info.state_names
    columns = {joint.name: _column(names, joint.name) for joint in _one_number(world)}
    known = {name: column for name, column in columns.items() if column is not None}
    states = {episode: dataset.load(episode, cameras=()).state for episode in episodes}
    if not known:
        joints = ", ".join(columns) or "none"
        raise DataError(
            f"{dataset.path} saw nothing of the twin: it has no labels, and its state ({', '.join(names) or 'without names'}) has none of "
            f"the joints {joints}; name the state's columns as the joints, each with .position behind it if you like"
        )
    slides = {joint.name: joint.kind == "slide" for joint in _one_number(world)}
    noise = {name: tracker.noise_m if slides[name] else tracker.noise_rad for name in known}
    still = all(np.ptp(states[one][:, column]) <= STILL * noise[name] for one in episodes for name, column in known.items())
    _refuse_still(dataset, [] if still else list(known), list(known), "joints")
    found = []
    for episode in episodes:
        angles = states[episode][:, list(known.values())].astype(np.float64)
        layout = {name: _within(world, name, float(angle)) for name, angle in zip(known, angles[0], strict=True)}
        found.append(
            Recording(
                actions=_actions(dataset, episode, world),
                joints=tuple(known),
                angles=angles,
                noise_m=tracker.noise_m,
                noise_rad=tracker.noise_rad,
                layout=layout,
            )
        )
    return found


def _actions(dataset: Dataset, episode: int, world: TwinWorld) -> Float64[np.ndarray, "t a"]:
    """The columns of the world's drives, in their order."""
    names = dataset.info.action_names
    if not world.drives and names not in ((), (IDLE,)):
        raise DataError(f"{dataset.path} commands {', '.join(names)}, but the twin has no drives; is this its twin?")
    columns = {drive: _column(names, drive) for drive in world.drives}
    missing = [drive for drive, column in columns.items() if column is None]
    if missing:
        raise DataError(
            f"{dataset.path} has no action for the twin's drive {missing[0]!r}; its actions are {', '.join(names) or 'without names'}; "
            "name its columns as the drives"
        )
    return dataset.load(episode, cameras=()).actions[:, list(columns.values())].astype(np.float64)


def _column(names: Sequence[str], wanted: str) -> int | None:
    """Where `thing/joint` is among the names, or its own name without the thing's."""
    bare = [next((name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)), name) for name in names]
    return next((bare.index(name) for name in (wanted, wanted.partition("/")[2]) if name in bare), None)


@dataclass(frozen=True, kw_only=True)
class _JointOf:
    name: str
    kind: str
    thing: Placed
    joint: Joint


def _one_number(world: TwinWorld) -> list[_JointOf]:
    """The hinges and slides of the scene."""
    return [
        _JointOf(name=f"{thing.name}/{joint.name}", kind=joint.kind, thing=thing, joint=joint)
        for thing in world.scene.things
        for joint in thing.asset.joints
        if joint.kind in ("hinge", "slide")
    ]


def _layout(world: TwinWorld, poses: dict[str, Float64[np.ndarray, "4 4"]]) -> dict[str, object]:
    """Where what can move stood, as a Prompt's layout: free bodies and joints whose two ends were seen."""
    found: dict[str, object] = {}
    for name in world.compiled.free:
        if name in poses:
            found[name] = _place(poses[name])
    for one in _one_number(world):
        asset, thing, joint = one.thing.asset, one.thing, one.joint
        ends = []
        for body in (joint.parent, joint.child):
            if body == WORLD:
                ends.append(thing.pose.then(joint.frame).matrix())
            elif f"{thing.name}/{body}" in poses:
                ends.append(poses[f"{thing.name}/{body}"] @ asset.body(body).pose.inverse().then(joint.frame).matrix())
        if len(ends) == 2:
            motion = np.linalg.inv(ends[0]) @ ends[1]
            angle = math.atan2(motion[1, 0], motion[0, 0]) if one.kind == "hinge" else float(motion[2, 3])
            found[one.name] = _within(world, one.name, angle)
    return found


def _within(world: TwinWorld, name: str, angle: float) -> float:
    """The position of a joint, brought back to a limit that it was a little beyond."""
    model, joint = world.compiled.model, world.compiled.joints[name]
    if not model.jnt_limited[joint]:
        return angle
    low, high = model.jnt_range[joint]
    turned = [angle + turn for turn in (0.0, 2 * math.pi, -2 * math.pi) if low - BEYOND <= angle + turn <= high + BEYOND]
    return min(max(turned[0], float(low)), float(high)) if turned else angle


def _place(pose: Float64[np.ndarray, "4 4"]) -> list[float]:
    """x y z and a quaternion w x y z."""
    found = Pose.of_matrix(pose)
    return [*found.position, *found.turn]


def _step(poses: Float64[np.ndarray, "t 4 4"]) -> float:
    """The most that a body turns (rad) from one row to the next."""
    turns = poses[:-1, :3, :3].swapaxes(1, 2) @ poses[1:, :3, :3]
    return float(np.arccos(np.clip((np.trace(turns, axis1=1, axis2=2) - 1.0) / 2.0, -1.0, 1.0)).max())


def _moves(poses: Float64[np.ndarray, "t 4 4"], tracker: Tracker) -> bool:
    gone = np.linalg.norm(poses[:, :3, 3] - poses[0, :3, 3], axis=1).max()
    turned = np.linalg.norm(poses[:, :3, :3] - poses[0, :3, :3], axis=(1, 2)).max() / math.sqrt(2.0)  # about the angle, if it is small
    return bool(gone > STILL * tracker.noise_m or turned > STILL * tracker.noise_rad)


def _refuse_still(dataset: Dataset, moving: list[str], seen: list[str], what: str) -> None:
    if not seen:
        raise DataError(f"{dataset.path} saw none of the twin's {what}; is this the twin of this dataset?")
    if not moving:
        raise DataError(
            f"{dataset.path}: nothing of the twin moves that could be followed ({what} seen: {', '.join(seen)}), and what rests tells no "
            "number; record it moving, at a higher rate if it spins, or say that the data measure better (--noise-m, --noise-rad)"
        )


def _refuse_elsewhere(dataset: Dataset, episode: int, world: TwinWorld, layout: dict, poses: dict) -> None:
    start = world.start(Prompt(layout=layout), torch.Generator())
    for name, pose in zip((f"{label.thing}/{label.body}" for label in world.labels), world.poses(start)[0].numpy(), strict=True):
        if name in poses and np.linalg.norm(poses[name][0, :3, 3] - pose[:3, 3]) > ELSEWHERE_M:
            there, here = (tuple(one[:3, 3].round(3).tolist()) for one in (poses[name][0], pose))
            raise DataError(
                f"{dataset.path}, episode {episode}: body {name!r} starts at {there} m, and the twin can only have it at {here}; "
                "is this the twin of this dataset, with the same layout?"
            )
