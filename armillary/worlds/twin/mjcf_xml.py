"""An MJCF file as one text without references: includes put in, meshes read, and what no asset holds taken out, with notes about it."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import Element, SubElement, tostring

from armillary.core import DataError
from armillary.worlds.twin.xml_files import MAX_DEPTH, described, read_limited, read_xml, referred_file

MAX_FILE_BYTES = 128 * 2**20  # of all meshes together
MAX_INCLUDES = 100
MAX_COPIES = 10_000
MAX_DETAIL = 512  # of a mesh that MuJoCo makes by itself

# Damping, friction and density that say: nobody wrote this. No file can hold them, and MuJoCo checks them only when it compiles.
UNWRITTEN = -1.0
_MARKED = {"geom": ("density", "friction"), "joint": ("damping", "frictionloss", "armature")}

_NOT_A_NUMBER = re.compile(r"(?<!\S)[+-]?nan(\([^)]*\))?(?!\S)", re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:\.\d*)?(?:[eE]\+?\d+)?")
_SECTIONS = {
    "custom",
    "visual",
    "statistic",
    "size",
    "sensor",
    "keyframe",
    "deformable",
    "extension",
    "contact",
    "tendon",
    "equality",
    "option",
}
_PARTS = {"texture", "hfield", "skin", "site", "camera", "light", "plugin", "flexcomp", "layer", "pair"}
_OTHER_MOTORS = {"intvelocity", "damper", "cylinder", "muscle", "adhesion", "plugin", "dcmotor", "pid", "orientation"}
_REFUSED = {"attach", "model", "composite"}

_PLACE = {"pos", "quat", "axisangle", "xyaxes", "zaxis", "euler"}
_MOTOR = {"name", "class", "group", "joint", "ctrllimited", "ctrlrange", "forcelimited", "forcerange", "gear"}
_TAKEN = {
    "geom": _PLACE
    | {"name", "class", "type", "contype", "conaffinity", "group", "size", "material", "mass", "density", "friction", "rgba", "fromto"}
    | {"mesh", "fitscale", "shellinertia"},
    "joint": {"name", "class", "type", "pos", "axis", "range", "limited", "damping", "frictionloss", "armature", "stiffness"}
    | {"springref", "springdamper", "ref", "group", "actuatorfrclimited", "actuatorfrcrange"},
    "freejoint": {"name", "group", "align"},
    "body": _PLACE | {"name", "childclass"},
    "material": {"name", "class", "rgba", "roughness", "metallic"},
    "motor": _MOTOR,
    "general": _MOTOR | {"gaintype", "biastype", "dyntype", "gainprm", "biasprm"},
    "position": _MOTOR | {"kp", "kv", "dampratio"},
    "velocity": _MOTOR | {"kv"},
}


@dataclass(frozen=True, kw_only=True)
class SelfContained:
    """`text` for MuJoCo, the `files` that it names, whether it has a name, which `gains` of motors are written (kp, kv), and `notes` on
    what was taken out."""

    text: str
    files: dict[str, bytes]
    named: bool
    gains: frozenset[str]
    notes: tuple[str, ...]


def self_contained(path: Path, root: Path) -> SelfContained:
    """Read a file and all that it refers to inside `root`; MuJoCo itself then opens no file.

    DataError for a file that is not MJCF, a reference that leads outside, a number that is NaN, and what has no place in an asset and
    cannot be left out either (<attach>, <model>, <composite>).
    """
    tree = read_xml(path)
    if tree.tag != "mujoco":
        advice = "read it as URDF" if tree.tag == "robot" else "an MJCF file begins with <mujoco>"
        raise DataError(f"{path} begins with <{tree.tag}>: {advice}")
    _include(tree, path, root, {path.resolve()})
    _check(tree, path)
    notes = [*_without_parts(tree), *_left_over(tree)]
    files = _meshes(tree, path, root)
    gains = frozenset(name for motor in tree.iter() if motor.tag in ("position", "velocity", "general") for name in motor.attrib)
    _mark(tree)
    text = tostring(tree, encoding="unicode")
    return SelfContained(text=text, files=files, named=bool(tree.get("model")), gains=gains, notes=tuple(notes))


def _include(tree: Element, path: Path, root: Path, seen: set[Path]) -> None:
    """Put the content of every <include> in its place; names are relative to the first file's folder, as MuJoCo has it."""
    for parent in list(tree.iter()):
        for place, child in reversed(list(enumerate(parent))):
            if child.tag == "include":
                file = referred_file(root, path, child.get("file", ""))
                if file.resolve() in seen or len(seen) > MAX_INCLUDES:
                    raise DataError(f"{path} includes {child.get('file')!r} twice, in a ring, or as one of more than {MAX_INCLUDES}")
                seen.add(file.resolve())
                included = read_xml(file)
                _include(included, path, root, seen)
                parent[place : place + 1] = list(included)


def _check(element: Element, path: Path, copies: int = 1, depth: int = 1) -> None:
    """DataError for NaN, for what cannot be taken over, and for more of anything than an asset needs."""
    if element.tag in _REFUSED:
        raise DataError(f"{path}, {described(element)} is not supported; save the model as MuJoCo compiled it, and read that")
    for name, text in element.items():
        if name not in ("name", "class", "childclass") and _NOT_A_NUMBER.search(text):
            raise DataError(f"{path}, {described(element)}: {name} must be finite, received {text!r}")
    if element.tag == "replicate" and element.get("count", "").isdigit():
        copies *= int(element.get("count"))
    fine = element.tag == "mesh" and any(float(part) > MAX_DETAIL for part in _NUMBER.findall(element.get("params", "")))
    if copies > MAX_COPIES or depth > MAX_DEPTH or fine:
        limits = f"{MAX_COPIES} copies, {MAX_DEPTH} levels, or detail {MAX_DETAIL} of a built-in mesh"
        raise DataError(f"{path}, {described(element)} asks for more than {limits}; use fewer")
    for child in element:
        _check(child, path, copies, depth + 1)


def _without_parts(tree: Element) -> Iterator[str]:
    """Take out what an asset has no place for; one note a kind."""
    gone: dict[str, list[str]] = {}
    for parent in list(tree.iter()):
        for child in list(parent):
            kind = _unwanted(tree, parent, child)
            if not kind:
                continue
            parent.remove(child)
            if kind in _SECTIONS:
                if child.attrib:
                    gone.setdefault(f"attributes of {kind}", []).extend(child.attrib)
                for part in child:
                    gone.setdefault(f"{kind} {part.tag}", []).append(part.get("name", ""))
            elif parent.tag != "default":
                gone.setdefault(kind, []).append(child.get("name", ""))
    for kind, names in gone.items():
        known = [name for name in names if name]
        which = f" ({', '.join(known[:8])}{', ...' if len(known) > 8 else ''})" if known else ""
        yield f"not taken over: {kind}{f' x {len(names)}' if len(names) > 1 else ''}{which}"


def _unwanted(tree: Element, parent: Element, child: Element) -> str:
    """As what an element is left out; empty where it is not."""
    if parent is tree and child.tag in _SECTIONS:
        return child.tag
    if parent.tag == "actuator" and (child.tag in _OTHER_MOTORS or not child.get("joint")):
        return f"actuator {child.tag}"
    if child.tag == "geom" and (child.get("type") == "hfield" or child.get("hfield")):
        return "height field geom"
    return child.tag if child.tag in _PARTS or (parent.tag == "default" and child.tag in _OTHER_MOTORS) else ""


def _left_over(tree: Element) -> Iterator[str]:
    """Attributes that stay in the text for MuJoCo but have no place in an asset; one note a kind of element."""
    left: dict[str, Counter] = {}
    for element in tree.iter():
        if element.tag in _TAKEN:
            others = [name for name in element.attrib if name not in _TAKEN[element.tag]]
            if element.tag == "geom" and len(element.get("friction", "").split()) > 1:
                others.append("torsional and rolling friction")
            left.setdefault(element.tag, Counter()).update(others)
        if element.tag == "material":
            element.attrib.pop("texture", None)
    for tag, names in left.items():
        if names:
            yield f"not taken over of {tag}: {', '.join(f'{name} (x {count})' if count > 1 else name for name, count in names.items())}"


def _meshes(tree: Element, path: Path, root: Path) -> dict[str, bytes]:
    """The files of all meshes, each under a new name without a folder, which the tree refers to from here on."""
    folder = ""
    for compiler in tree.iter("compiler"):
        folder = compiler.get("meshdir", compiler.get("assetdir", folder))
    strip = any(compiler.get("strippath") == "true" for compiler in tree.iter("compiler"))
    for compiler in tree.iter("compiler"):
        for name in ("meshdir", "texturedir", "assetdir", "strippath", "fusestatic", "discardvisual"):
            compiler.attrib.pop(name, None)
    files: dict[str, bytes] = {}
    for number, mesh in enumerate(tree.iter("mesh")):
        reference = mesh.get("file")
        if reference is None:
            continue
        name = PurePosixPath(reference).name if strip else reference
        file = referred_file(root, path, f"{folder}/{name}" if folder and not name.startswith("/") else name)
        if "name" not in mesh.attrib:
            mesh.set("name", PurePosixPath(reference).stem)
        mesh.set("file", f"mesh{number}{file.suffix.lower()}")
        files[mesh.get("file")] = read_limited(file, MAX_FILE_BYTES - sum(map(len, files.values())))
    for element in tree.iter():
        if element.tag != "mesh" and any(name.startswith("file") for name in element.attrib):
            raise DataError(f"{path}, {described(element)} refers to a file, which only meshes may; take it out")
    return files


def _mark(tree: Element) -> None:
    """Where the outermost defaults leave a number open, put UNWRITTEN: whatever still has it after parsing, nobody wrote."""
    first = tree.find("default")
    if first is None:
        first = Element("default")
        tree.insert(0, first)
    for tag, names in _MARKED.items():
        element = first.find(tag)
        if element is None:
            element = SubElement(first, tag)
        for name in names:
            if name not in element.attrib:
                element.set(name, str(UNWRITTEN))
