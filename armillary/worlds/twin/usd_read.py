"""OpenUSD files (.usd, .usda, .usdc, .usdz) as assets."""

from pathlib import Path

from armillary.worlds.twin.asset import Asset
from armillary.worlds.twin.extra import needs


def read_usd(path: Path) -> Asset:
    """The asset in an OpenUSD file, in metres, kilograms and z up whatever the file uses; at the first moment, where it moves.

    References, payloads and sublayers are followed inside the file's own folder only. Numbers without our provenance count as a
    datasheet's; those that the file does not give are None. What cannot be taken over is in `notes`, by prim. Where nothing is a rigid
    body, everything is one body. DataError if the file is broken, too large, leads outside its folder, or has nothing that an asset
    can hold; ConfigError where OpenUSD is not installed.
    """
    needs("pxr.Usd")
    from armillary.worlds.twin.usd_open import open_stage, quiet
    from armillary.worlds.twin.usd_stage import asset_of

    path = Path(path)
    with quiet():
        return asset_of(open_stage(path), path)
