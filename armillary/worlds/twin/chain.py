"""A body that several joints hold, for a schema in which one joint holds a body."""

from dataclasses import replace

from armillary.worlds.twin.asset import Body, Joint
from armillary.worlds.twin.palette import free_name


def chained(body: Body, joints: tuple[Joint, ...], taken: set[str]) -> tuple[tuple[Body, ...], tuple[Joint, ...]]:
    """The bodies and joints of a body that hangs on its parent by all of `joints`, the outermost first; `taken` gains their names.

    All joints but the last hold a frame: a body at the body's own pose, without shape, mass or inertia, on which the next one hangs.
    What has no mass adds nothing to the equations of motion, so this is exact where the frames stay massless: a simulator puts the
    joints of a chain of frames onto the one body that follows, or refuses. A small mass in their place would change the motion.
    """
    frames: list[Body] = []
    held: list[Joint] = []
    for joint in joints[:-1]:
        name = free_name(f"{body.name}_{joint.name}", taken)
        taken.add(name)
        frames.append(Body(name=name, pose=body.pose))
        held.append(replace(joint, child=name, parent=frames[-2].name if len(frames) > 1 else joint.parent))
    held += [replace(joint, child=body.name, parent=frames[-1].name if frames else joint.parent) for joint in joints[-1:]]
    return (*frames, body), tuple(held)
