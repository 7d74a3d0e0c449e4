"""The joints of a file as trees: which end is the parent, and where each body is when every joint is at 0."""

import math
from dataclasses import dataclass, replace

from armillary.worlds.twin.asset import WORLD, Joint
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.usd_names import Notes

_MOVED = 1e-4  # m or rad by which a body may be away from where its joints put it
_HALF_TURN = Pose.about((1.0, 0.0, 0.0), math.pi)  # the other way along z


@dataclass(frozen=True, kw_only=True)
class Link:
    """A joint whose parent is not decided yet. `ends` are bodies or WORLD, `frames` asset_from_joint as each end sees it."""

    joint: Joint
    path: str
    ends: tuple[str, str]
    frames: tuple[Pose, Pose]

    def turned(self) -> "Link":
        """The same joint seen from its other end: its axis turns round, so that limits and targets stay."""
        ends, frames = self.ends[::-1], tuple(frame.then(_HALF_TURN) for frame in self.frames[::-1])
        return replace(self, ends=ends, frames=frames)


def grow(links: list[Link], poses: dict[str, Pose], notes: Notes) -> tuple[tuple[Joint, ...], dict[str, Pose]]:
    """The joints in the order of the file, and asset_from_body at 0; a joint that would close a loop is left out, with a note.

    Joints to the world come first, since they decide what hangs on what; each other one keeps its direction if it can.
    """
    held: dict[str, Link] = {}
    for link in sorted(links, key=lambda one: WORLD not in one.ends):
        if link.ends[1] == WORLD:
            link = link.turned()
        parent, child = link.ends
        if _top(parent, held) == _top(child, held):
            notes.add(link.path, "this joint closes a loop, so it is left out")
        elif child not in held:
            held[child] = link
        elif parent not in held and parent != WORLD:
            held[parent] = link.turned()
        else:
            notes.add(link.path, f"this joint would hold {child!r} a second time, so it is left out")
    placed = _placed(held, poses, notes)
    order = {link.joint.name: place for place, link in enumerate(links)}
    found = sorted(held.values(), key=lambda link: order[link.joint.name])
    return tuple(_joint(link, placed[link.ends[1]], poses[link.ends[1]]) for link in found), placed


def _top(body: str, held: dict[str, Link]) -> str:
    while body in held:
        body = held[body].ends[0]
    return body


def _placed(held: dict[str, Link], poses: dict[str, Pose], notes: Notes) -> dict[str, Pose]:
    placed: dict[str, Pose] = {WORLD: Pose()}
    for body in poses:
        above = []
        while body not in placed:
            above.append(body)
            body = held[body].ends[0] if body in held else WORLD
        for name in reversed(above):
            placed[name] = _at_zero(held[name], placed, poses, notes) if name in held else poses[name]
    return placed


def _at_zero(link: Link, placed: dict[str, Pose], poses: dict[str, Pose], notes: Notes) -> Pose:
    """Where a body is when the joint that holds it is at 0."""
    parent, child = link.ends
    above, before = placed[parent], poses.get(parent, Pose())
    if link.joint.kind == "free" or _near(*link.frames):
        return poses[child] if above == before else above.then(before.inverse()).then(poses[child])
    notes.add(link.path, "what it joins does not stand where this joint puts it at 0; it was moved there")
    parent_from_joint = before.inverse().then(link.frames[0])
    child_from_joint = poses[child].inverse().then(link.frames[1])
    return above.then(parent_from_joint).then(child_from_joint.inverse())


def _joint(link: Link, now: Pose, before: Pose) -> Joint:
    """With its frame as the child sees it, where the child now is."""
    frame = link.frames[0] if now == before and _near(*link.frames) else now.then(before.inverse()).then(link.frames[1])
    return replace(link.joint, parent=link.ends[0], child=link.ends[1], frame=frame)


def _near(one: Pose, other: Pose) -> bool:
    between = one.inverse().then(other)
    return math.hypot(*between.position) < _MOVED and math.hypot(*between.turn[1:]) < _MOVED
