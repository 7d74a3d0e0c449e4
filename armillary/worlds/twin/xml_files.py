"""XML of strangers: no DTD, no entity, limits on size and depth, and no file read outside the asset's own folder."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from armillary.core import ArmillaryError, ConfigError, DataError
from armillary.core.storage import safe_join

MAX_XML_BYTES = 32 * 2**20
MAX_DEPTH = 200
MAX_ELEMENTS = 200_000


def read_xml(path: Path) -> Element:
    """The file's outermost element. DataError if the file is missing, too large, too deep, malformed, or has a DTD or an entity."""
    parser, builder = expat.ParserCreate(), TreeBuilder()
    depth = count = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth, count
        depth, count = depth + 1, count + 1
        if depth > MAX_DEPTH or count > MAX_ELEMENTS:
            raise DataError(
                f"{path}, line {parser.CurrentLineNumber}: at most {MAX_DEPTH} levels and {MAX_ELEMENTS} elements are read; split the file"
            )
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse(name: str, *_) -> None:
        raise DataError(
            f"{path}, line {parser.CurrentLineNumber}: DTDs and entities are refused, found {name!r}; write the text out instead"
        )

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, builder.data
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    try:
        parser.Parse(read_limited(path, MAX_XML_BYTES), True)
    except expat.ExpatError as error:
        raise DataError(f"{path} is not well-formed XML: {error}; open it in an editor at that line and mend it") from error
    return builder.close()


def read_limited(path: Path, most: int) -> bytes:
    """The file's bytes. DataError if there is no such file or it has more than `most`."""
    if not path.is_file():
        raise DataError(f"there is no file {path}; check the name, or put the file there")
    with path.open("rb") as handle:
        data = handle.read(most + 1)
    if len(data) > most:
        raise DataError(f"{path} has more than {most} bytes, which is the limit; make it smaller")
    return data


def asset_folder(path: Path, root: Path | None) -> Path:
    """The folder that nothing is read outside of: `root`, else the file's own. ConfigError if the file itself is not in it."""
    folder = path.parent if root is None else root
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ConfigError(f"{path} is not inside the asset's folder {folder}; pass a root that holds it")
    return folder


def referred_file(root: Path, holder: Path, reference: str, *, base: Path | None = None) -> Path:
    """The file inside `root` that `reference`, found in the file `holder`, means; relative to `base`, else to the holder's folder.

    DataError, naming both, if it is an address or an absolute path, leads outside `root`, or is not there. Nothing is fetched.
    """
    where = f"{holder} refers to {reference!r}"
    rule = f"only files inside {root} are read; put the file there and name it relative to {holder.name}"
    if ":" in reference or reference.startswith(("/", "\\", "~")):
        raise DataError(f"{where}, an address or an absolute path: {rule}")
    parts = list((base or holder.parent).resolve().relative_to(root.resolve()).parts)
    for part in reference.split("/"):
        if part == ".." and not parts:
            raise DataError(f"{where}, which leads outside: {rule}")
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    try:
        path = safe_join(root, "/".join(parts))
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    if not path.is_file():
        raise DataError(f"{where}, but there is no file {path}; put it there, or take the reference out")
    return path


def described(element: Element) -> str:
    """How a message names an element.

    >>> described(Element("joint", {"name": "knee"}))
    "<joint name='knee'>"
    """
    name = element.get("name")
    return f"<{element.tag} name={name!r}>" if name else f"<{element.tag}>"


def numbers(element: Element, attribute: str, default: tuple[float, ...] | None, count: int = 3) -> tuple[float, ...]:
    """The `count` finite numbers of an attribute; `default` where it is absent. DataError otherwise."""
    text = element.get(attribute)
    if text is None and default is not None:
        return default
    try:
        found = tuple(float(part) for part in (text or "").split())
    except ValueError:
        found = ()
    if len(found) != count or not all(map(math.isfinite, found)):
        raise DataError(f"{described(element)}: {attribute} must be {count} finite number{'s' * (count > 1)}, received {text!r}")
    return found


@contextmanager
def at_fault(where: str) -> Iterator[None]:
    """What the schema refuses below is a fault of the file: DataError that says where."""
    try:
        yield
    except ArmillaryError as error:
        raise DataError(f"{where}: {error}") from error
