"""Assets from and to files, by their suffix."""

from pathlib import Path

from armillary.core import DataError
from armillary.worlds.twin.asset import Asset
from armillary.worlds.twin.glb_write import write_glb
from armillary.worlds.twin.mjcf_read import read_mjcf
from armillary.worlds.twin.mjcf_write import write_mjcf
from armillary.worlds.twin.urdf_read import read_urdf
from armillary.worlds.twin.usd_read import read_usd
from armillary.worlds.twin.usd_write import write_usd

READ = (".usd", ".usda", ".usdc", ".usdz", ".xml", ".urdf")
WRITTEN = (".usda", ".usdc", ".usdz", ".xml", ".glb")


def load_asset(path: Path) -> Asset:
    """The asset in an OpenUSD, MJCF (.xml) or URDF file. DataError if it cannot be read, or the suffix is none of READ."""
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in READ:
        raise DataError(f"{path}: assets are read from {', '.join(READ)} files, received {path.suffix!r}")
    if suffix == ".xml":
        return read_mjcf(path)
    if suffix == ".urdf":
        return read_urdf(path)
    return read_usd(path)


def save_asset(asset: Asset, path: Path) -> None:
    """Write an OpenUSD, an MJCF (.xml) or a GLB file, whole or not at all.

    DataError if the suffix is none of WRITTEN, a moving body's mass is unknown (.xml), or nothing is drawn (.glb).
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in WRITTEN:
        raise DataError(f"{path}: assets are written to {', '.join(WRITTEN)} files, received {path.suffix!r}")
    if suffix == ".glb":
        write_glb(asset, path)
    elif suffix == ".xml":
        write_mjcf(asset, path)
    else:
        write_usd(asset, path)
