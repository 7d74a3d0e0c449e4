"""Opening a stranger's USD file: every layer that it leads to is found and checked before OpenUSD puts them together."""

import re
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from pxr import Ar, Sdf, Tf, Usd, UsdUtils

from armillary.core import DataError
from armillary.worlds.twin.usd_names import (
    MAX_FILE_BYTES,
    MAX_LAYERS,
    MAX_TEXT_NESTING,
    PROBE_BYTES_PER_SECOND,
    PROBE_MEMORY_BYTES,
    PROBE_PATIENCE,
    PROBE_SECONDS,
    SUFFIXES,
)
from armillary.worlds.twin.usd_size import check_size

_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*:")
_PROBE = Path(__file__).with_name("usd_probe.py")
_QUOTED = re.compile(
    rb'"""(?:[^\\]|\\.)*?"""|\'\'\'(?:[^\\]|\\.)*?\'\'\'|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'|@@@.*?@@@|@[^@\n]*@|#[^\n]*', re.DOTALL
)


@contextmanager
def quiet() -> Iterator[None]:
    """OpenUSD prints its warnings to the terminal; not inside this block, where what counts of them becomes a note or an error."""
    delegate = UsdUtils.CoalescingDiagnosticDelegate()
    try:
        yield
    finally:
        delegate.TakeCoalescedDiagnostics()  # drops them; left in it they are printed when it ends
        del delegate


def open_stage(path: Path) -> Usd.Stage:
    """The stage of a file. DataError if it, or anything that it leads to, is broken, too large, or outside the file's own folder."""
    real = path.resolve()
    if not real.is_file():
        raise DataError(f"{path} is not a file")
    try:
        layers = _layers(path, real)
        check_size(path, layers)
        return Usd.Stage.Open(next(iter(layers.values())))
    except Tf.ErrorException as error:
        raise DataError(f"{path} is not a USD file that OpenUSD can read: {message_of(error)}") from error


def _layers(path: Path, root: Path) -> dict[str, Sdf.Layer]:
    """The layer of a file, and all that it leads to by what they are referred to as, each checked before it is opened."""
    found: dict[str, Sdf.Layer] = {}
    waiting = [str(root)]
    while waiting:
        identifier = waiting.pop(0)
        if identifier in found:
            continue
        if len(found) >= MAX_LAYERS:
            raise DataError(f"{path} leads to more than {MAX_LAYERS} files; flatten it first (usdcat --flatten)")
        _check_file(Path(Ar.SplitPackageRelativePathOuter(identifier)[0]))
        layer = Sdf.Layer.FindOrOpen(identifier)
        if layer is None:
            raise DataError(f"{path}: OpenUSD cannot open {identifier}")
        found[identifier] = layer
        _refuse_clips(path, layer)
        waiting += [_inside(path, root, layer, asset) for asset in layer.GetCompositionAssetDependencies() if asset]
    return found


def _inside(path: Path, root: Path, layer: Sdf.Layer, asset: str) -> str:
    """Where a layer's reference leads. DataError if that is not a USD file in the folder of `root`; `path` is what it was called."""
    refused = f"{path}: {'it' if layer.identifier == str(root) else layer.identifier} refers to {asset!r}, which "
    if _SCHEME.match(asset) or asset.startswith("`") or ":SDF_FORMAT_ARGS:" in asset:
        raise DataError(f"{refused}is no path of a file; only files in {root.parent} are read. Copy it there and refer to the copy")
    outer, inner = Ar.SplitPackageRelativePathOuter(asset)
    if Path(outer).is_absolute() or ".." in Path(inner).parts:
        raise DataError(f"{refused}is not relative to it; only files in {root.parent} are read. Copy it there and refer to the copy")
    package, within = Ar.SplitPackageRelativePathOuter(layer.identifier)
    file = Path(package) if within or package.endswith(".usdz") else Path(package).parent / outer
    if not file.resolve().is_relative_to(root.parent):
        raise DataError(f"{refused}leads outside {root.parent}; only files in that folder are read. Copy it there and refer to the copy")
    if not file.is_file():  # OpenUSD would look for it in the folder where this program was started
        raise DataError(f"{refused}does not exist: {file} is missing; put it there or remove the reference")
    return Sdf.ComputeAssetPathRelativeToLayer(layer, asset)


def _check_file(path: Path) -> None:
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{path}: only {', '.join(SUFFIXES)} are read as USD")
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise DataError(f"{path} has {size:,} bytes; at most {MAX_FILE_BYTES:,} are read")
    with path.open("rb") as file:
        start = file.read(5)
    if start == b"#usda":
        _check_nesting(path, path.read_bytes())
        return
    if start[:4] == b"PK\x03\x04":
        _check_package(path, size)
    _survive(path, size)


def _survive(path: Path, size: int) -> None:
    """Read a binary file in a child first: a few wrong bytes make OpenUSD hang, die, or ask for all memory."""
    seconds = PROBE_SECONDS + size // PROBE_BYTES_PER_SECOND
    command = [sys.executable, "-P", str(_PROBE), str(path), str(seconds), str(PROBE_MEMORY_BYTES)]
    try:
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PROBE_PATIENCE * seconds)
    except subprocess.TimeoutExpired as error:
        raise DataError(f"{path}: OpenUSD takes too long to read this file, so it is damaged or hostile; export it again") from error
    if ended.returncode == 1:
        complaint = ended.stderr.decode("utf-8", "replace")
        raise DataError(f"{path} is not a USD file that OpenUSD can read: {message_of(complaint)}")
    if ended.returncode:
        how = "takes too long to read" if ended.returncode in (-signal.SIGXCPU, -signal.SIGKILL) else "dies of"
        raise DataError(f"{path}: OpenUSD {how} this file, so it is damaged or hostile; export it again")


def _check_package(path: Path, size: int) -> None:
    try:
        with zipfile.ZipFile(path) as package:
            parts = package.infolist()
            if any(part.compress_type != zipfile.ZIP_STORED for part in parts) or sum(part.file_size for part in parts) > size:
                raise DataError(f"{path}: the files in a usdz must be stored uncompressed, side by side; package it again with usdzip")
            for part in parts:
                with package.open(part) as file:
                    if file.read(5) == b"#usda":
                        _check_nesting(path, package.read(part))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{path} is not a usdz package: {error}") from error


def _check_nesting(path: Path, text: bytes) -> None:
    """Brackets in brackets, outside strings, names of files and remarks."""
    codes = np.frombuffer(_QUOTED.sub(b"", text), dtype=np.uint8)
    depth = 0
    for start in range(0, len(codes), 1 << 20):
        part = codes[start : start + (1 << 20)]
        opened, closed = np.isin(part, list(b"([{")), np.isin(part, list(b")]}"))
        depths = depth + np.cumsum(opened.astype(np.int64) - closed)
        if len(depths) and depths.max() > MAX_TEXT_NESTING:
            raise DataError(f"{path}: brackets are nested more than {MAX_TEXT_NESTING} deep, which OpenUSD's parser may not survive")
        depth = int(depths[-1])


def _refuse_clips(path: Path, layer: Sdf.Layer) -> None:
    """Value clips name files that no list of dependencies shows."""
    clipped: list[str] = []

    def look(place: Sdf.Path) -> None:
        spec = layer.GetPrimAtPath(place) if place.IsPrimPath() or place.IsPrimVariantSelectionPath() else None
        if spec is not None and spec.HasInfo("clips"):
            clipped.append(str(place))

    layer.Traverse(Sdf.Path.absoluteRootPath, look)
    if clipped:
        raise DataError(f"{path}: {clipped[0]} plays value clips, which are not supported; flatten the file first (usdcat --flatten)")


def message_of(error: object) -> str:
    """OpenUSD's own message, without the place in its sources."""
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "it does not say why")
    return text.split(" : ", 1)[-1].strip("'")[:300]
