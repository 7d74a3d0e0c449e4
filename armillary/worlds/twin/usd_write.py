"""Assets as OpenUSD files (.usda, .usdc, .usdz)."""

import errno
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from armillary.core import DataError
from armillary.core.storage import storage_errors, write_atomically
from armillary.worlds.twin.asset import Asset
from armillary.worlds.twin.extra import needs


def write_usd(asset: Asset, path: Path) -> None:
    """Write an asset as text (.usda), binary (.usdc, .usd) or a package (.usdz); the file appears whole or not at all.

    In metres, kilograms and z up. Every Quantity's exact value, source, range and note go into custom data beside OpenUSD's own
    attributes, from which `read_usd` takes them back; so do joint damping, friction and armature, for which OpenUSD has no attribute.
    `notes` and `source` are not written. DataError if the suffix is another one, or a name cannot be kept; StorageError where writing
    fails; ConfigError where OpenUSD is not installed.
    """
    needs("pxr.Usd")
    from armillary.worlds.twin.usd_author import stage_of

    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".usd", ".usda", ".usdc", ".usdz"):
        raise DataError(f"{path}: OpenUSD files end in .usda, .usdc, .usd or .usdz, received {path.suffix!r}")
    stage = stage_of(asset)  # its layer lives as long as it does
    layer = stage.GetRootLayer()
    if suffix != ".usdz":
        write_atomically(path, lambda temporary: _export(layer, temporary))
        return
    with tempfile.TemporaryDirectory() as folder, storage_errors(path):
        inside = Path(folder) / f"{re.sub('[^A-Za-z0-9_]', '_', asset.name)[:100]}.usdc"
        _export(layer, inside)
        write_atomically(path, lambda temporary: _package(inside, temporary))


def _export(layer: Any, path: Path) -> None:
    with _openusd_errors():
        layer.Export(str(path))


def _package(inside: Path, package: Path) -> None:
    """A usdz of one file."""
    from pxr import Sdf

    with _openusd_errors(), Sdf.ZipFileWriter.CreateNew(str(package)) as writer:
        writer.AddFile(str(inside), inside.name)


@contextmanager
def _openusd_errors() -> Iterator[None]:
    """OpenUSD's own errors of a failed write (a full disk, say) as the OSError that they come from."""
    from pxr import Tf

    from armillary.worlds.twin.usd_open import message_of

    try:
        yield
    except Tf.ErrorException as error:
        raise OSError(errno.EIO, message_of(error)) from error
