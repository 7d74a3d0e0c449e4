"""URDF -> Asset: links become bodies, each at its pose where every joint is at 0."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from armillary.core import DataError
from armillary.worlds.twin.asset import WORLD, Asset, Body, Inertia, Joint, Material, Shape
from armillary.worlds.twin.axes import principal
from armillary.worlds.twin.chain import chained
from armillary.worlds.twin.geometry import Box, Capsule, Cylinder, Geometry, Sphere
from armillary.worlds.twin.mesh_files import FORMATS, read_mesh
from armillary.worlds.twin.palette import Palette
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.quantity import Quantity
from armillary.worlds.twin.urdf_joints import joints_of, named, origin
from armillary.worlds.twin.xml_files import asset_folder, at_fault, described, numbers, read_xml, referred_file

_PACKAGE = "package://"
_TAKEN = {
    "robot": {"link", "joint", "material"},
    "link": {"inertial", "visual", "collision"},
    "joint": {"origin", "parent", "child", "axis", "limit", "dynamics"},
}


def read_urdf(path: Path, *, root: Path | None = None) -> Asset:
    """The asset in a URDF file; meshes must lie inside `root` (default: the file's own folder).

    package://NAME/FILE is FILE in `root`, or in its folder NAME where there is one. A link "world" without mass and shapes is the world
    itself; any other root link is held by nothing. A planar joint becomes two slides and a hinge about its axis, on massless frames (see
    `chained`). Numbers are "datasheet". URDF gives neither density, nor friction of surfaces, nor drives: those stay open, and `notes`
    say so of effort and velocity limits, mimics, and everything else that was not taken over.

    Raises DataError, naming the file and the element, for what is unsafe, missing, not a number, double, or forms a loop.
    """
    path = Path(path)
    folder = asset_folder(path, root)
    tree = read_xml(path)
    if tree.tag != "robot":
        raise DataError(f"{path} begins with <{tree.tag}>: a URDF file begins with <robot>")
    _refuse_macros(path, tree)
    with at_fault(str(path)):
        return _Reader(path, folder, tree).asset()


class _Reader:
    """Links first, then the joints that place them."""

    def __init__(self, path: Path, folder: Path, tree: Element):
        self.path, self.folder, self.tree = path, folder, tree
        self.palette = Palette()
        self.notes: list[str] = []
        self.colours: dict[str, tuple[float, ...]] = {}
        for material in tree.iter("material"):
            colour = material.find("color")
            if colour is not None:
                self.colours.setdefault(material.get("name", ""), numbers(colour, "rgba", (0.7, 0.7, 0.7, 1.0), 4))

    def asset(self) -> Asset:
        self.notes += _left_over(self.tree)
        links = {named(link): link for link in self.tree.findall("link")}
        if len(links) < len(self.tree.findall("link")):
            twice = Counter(link.get("name") for link in self.tree.findall("link")).most_common(1)[0][0]
            raise DataError(f"two links are called {twice!r}; rename one")
        joints = {self._link(joint, "child", links): joint for joint in self.tree.findall("joint")}
        poses = self._poses(links, joints)
        world = "world" if "world" in links and "world" not in joints and not _weighs(links["world"]) else None
        bodies: list[Body] = []
        held: list[Joint] = []
        taken = set(links)
        for name, link in links.items():
            if name == world:
                continue
            body = self._body(link, poses[name])
            found: tuple[Joint, ...] = ()
            if name in joints:
                parent = joints[name].find("parent").get("link")
                found = joints_of(joints[name], poses[name], WORLD if parent == world else parent, self.notes)
            chain, joined = chained(body, found, taken)
            bodies += chain
            held += joined
        self.notes += _efforts(self.tree)
        return Asset(
            name=self.tree.get("name") or self.path.stem,
            bodies=tuple(bodies),
            joints=tuple(held),
            materials=self.palette.materials(),
            source=str(self.path),
            notes=tuple(self.notes),
        )

    def _link(self, joint: Element, end: str, links: dict[str, Element]) -> str:
        """The link at an end of a joint."""
        found = joint.find(end)
        name = "" if found is None else found.get("link", "")
        if name not in links:
            raise DataError(f"{described(joint)}: there is no {end} link {name!r}; links: {', '.join(links) or 'none'}")
        return name

    def _poses(self, links: dict[str, Element], joints: dict[str, Element]) -> dict[str, Pose]:
        """asset_from_link with every joint at 0."""
        if len(joints) < len(self.tree.findall("joint")):
            twice = Counter(self._link(joint, "child", links) for joint in self.tree.findall("joint")).most_common(1)[0][0]
            raise DataError(f"link {twice!r} is the child of two joints; loops are not supported, take one joint out")
        below: dict[str, list[str]] = {}
        for child, joint in joints.items():
            below.setdefault(self._link(joint, "parent", links), []).append(child)
        roots = [name for name in links if name not in joints]
        if len(roots) > 1:
            self.notes.append(f"{len(roots)} links hang on no joint, where URDF wants one: {', '.join(roots)}")
        poses = {name: Pose() for name in roots}
        waiting = list(roots)
        while waiting:
            parent = waiting.pop()
            for child in below.get(parent, ()):
                poses[child] = poses[parent].then(origin(joints[child]))
                waiting.append(child)
        lost = [name for name in links if name not in poses]
        if lost:
            raise DataError(f"the joints of these links form a loop: {', '.join(lost)}; loops are not supported, take one joint out")
        return poses

    def _body(self, link: Element, pose: Pose) -> Body:
        name = named(link)
        mass, inertia = None, None
        inertial = link.find("inertial")
        if inertial is not None:
            mass, inertia = self._inertial(link, inertial)
        elif _weighs(link):
            self.notes.append(f"link {name!r} has no inertial: its mass is unknown")
        shapes = []
        for tag, role in (("visual", "visual"), ("collision", "collider")):
            for number, element in enumerate(link.findall(tag)):
                geometry = self._geometry(link, element)
                if geometry is not None:
                    own = element.get("name") or f"{name}_{tag}_{number}"
                    surface = self._surface(element) if role == "visual" else ""
                    shapes.append(Shape(name=own, geometry=geometry, pose=origin(element), role=role, material=surface))
        return Body(name=name, shapes=tuple(shapes), pose=pose, mass=mass, inertia=inertia)

    def _inertial(self, link: Element, inertial: Element) -> tuple[Quantity, Inertia | None]:
        weight, tensor = inertial.find("mass"), inertial.find("inertia")
        if weight is None:
            raise DataError(f"{described(link)}: its inertial has no <mass>; add it, or take the inertial out")
        mass = Quantity(numbers(weight, "value", None, 1)[0], "datasheet")
        if tensor is None:
            self.notes.append(f"link {link.get('name')!r} has a mass but no inertia: it follows from the shapes")
            return mass, None
        ixx, iyy, izz = (numbers(tensor, name, None, 1)[0] for name in ("ixx", "iyy", "izz"))
        ixy, ixz, iyz = (numbers(tensor, name, (0.0,), 1)[0] for name in ("ixy", "ixz", "iyz"))
        matrix = np.array([[ixx, ixy, ixz], [ixy, iyy, iyz], [ixz, iyz, izz]])
        return mass, principal(matrix, origin(inertial), "datasheet")

    def _geometry(self, link: Element, element: Element) -> Geometry | None:
        holder = element.find("geometry")
        shape = None if holder is None else next(iter(holder), None)
        if shape is None:
            raise DataError(f"{described(link)}: a <{element.tag}> has no geometry; add one or take it out")
        with at_fault(f"{described(link)}, <{element.tag}>, <{shape.tag}>"):
            match shape.tag:
                case "box":
                    x, y, z = numbers(shape, "size", None)
                    return Box((x / 2, y / 2, z / 2))
                case "sphere":
                    return Sphere(numbers(shape, "radius", None, 1)[0])
                case "cylinder" | "capsule":
                    kind = Cylinder if shape.tag == "cylinder" else Capsule
                    return kind(numbers(shape, "radius", None, 1)[0], numbers(shape, "length", None, 1)[0] / 2)
                case "mesh":
                    return self._mesh(link, shape)
                case other:
                    raise DataError(f"geometry <{other}> is not known; use box, sphere, cylinder, capsule or mesh")

    def _mesh(self, link: Element, shape: Element) -> Geometry | None:
        reference = shape.get("filename", "")
        if reference.startswith(_PACKAGE):
            package, _, inside = reference.removeprefix(_PACKAGE).partition("/")
            folder = self.folder / package if (self.folder / package).is_dir() and package not in ("", ".", "..") else self.folder
            file = referred_file(self.folder, self.path, inside, base=folder)
        else:
            file = referred_file(self.folder, self.path, reference)
        if file.suffix.lower() not in FORMATS:
            self.notes.append(f"link {link.get('name')!r}: mesh {reference!r} is not taken over: not one of {', '.join(FORMATS)}")
            return None
        x, y, z = numbers(shape, "scale", (1.0, 1.0, 1.0))
        return read_mesh(file, (x, y, z))

    def _surface(self, visual: Element) -> str:
        """The material's name, which may be defined anywhere in the file."""
        material = visual.find("material")
        if material is None:
            return ""
        name, own = material.get("name", ""), material.find("color")
        colour = self.colours.get(name) if own is None else numbers(own, "rgba", (0.7, 0.7, 0.7, 1.0), 4)
        if material.find("texture") is not None:
            self.notes.append(f"material {name!r}: its texture is not taken over")
        if colour is None:
            self.notes.append(f"material {name!r} has no colour in this file")
            return self.palette.name(Material(name=name or "surface"))
        red, green, blue, opacity = colour
        return self.palette.name(Material(name=name or "surface", colour=(red, green, blue, opacity)))


def _weighs(link: Element) -> bool:
    """Whether a link is more than a frame."""
    return any(link.find(tag) is not None for tag in ("inertial", "visual", "collision"))


def _refuse_macros(path: Path, tree: Element) -> None:
    for element in tree.iter():
        if element.tag.startswith("xacro:") or any("${" in text or "$(" in text for text in element.attrib.values()):
            raise DataError(f"{path}, {described(element)} is a macro of xacro; expand it first: xacro {path.name} > robot.urdf")


def _left_over(tree: Element) -> Iterator[str]:
    """One note for each kind of element that an asset has no place for."""
    found: dict[str, list[str]] = {}
    for owner in (tree, *tree.findall("link"), *tree.findall("joint")):
        for child in owner:
            if child.tag not in _TAKEN[owner.tag]:
                found.setdefault(f"{owner.tag} {child.tag}", []).append((child if owner is tree else owner).get("name", ""))
    for kind, names in found.items():
        yield f"not taken over: {kind} ({', '.join(names)})"


def _efforts(tree: Element) -> Iterator[str]:
    said = [
        f"{joint.get('name')} ({', '.join(f'{name} {limit.get(name)}' for name in ('effort', 'velocity') if limit.get(name))})"
        for joint in tree.findall("joint")
        for limit in joint.findall("limit")
        if limit.get("effort") or limit.get("velocity")
    ]
    if said:
        yield f"limits of motors, of which URDF says no more, are not taken over: {'; '.join(said)}"
