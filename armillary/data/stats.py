"""Statistics of features in LeRobot's form: min, max, mean, std, count and five quantiles, by episode and joined."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import UInt8

from armillary.data.schema import Feature

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
BASE = ("min", "max", "mean", "std", "count")
MAX_PICTURES = 100
MAX_SIDE = 150

Stats = dict[str, np.ndarray]


def column_stats(column: np.ndarray) -> Stats:
    """Statistics over the rows of a numeric column `t ...`; each has the shape of one row."""
    values = column.astype(np.float64)
    if values.ndim == 1:
        values = values[:, None]
    quantiles = np.quantile(values, list(QUANTILES.values()), axis=0)
    found = {"min": values.min(0), "max": values.max(0), "mean": values.mean(0), "std": values.std(0)}
    return found | {"count": np.array([len(values)])} | dict(zip(QUANTILES, quantiles, strict=True))


def picture_stats(frames: UInt8[np.ndarray, "t h w 3"]) -> Stats:
    """Statistics per colour, scaled to [0, 1] and shaped 3 1 1, over at most 100 evenly spaced, thinned pictures."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), MAX_PICTURES)).round().astype(int))
    thin = max(1, max(frames.shape[1:3]) // MAX_SIDE)
    pixels = frames[chosen, ::thin, ::thin].reshape(-1, 3)
    tally = np.stack([np.bincount(pixels[:, colour], minlength=256) for colour in range(3)])
    values = np.arange(256)
    mean = tally @ values / len(pixels)
    found = {
        "min": (tally > 0).argmax(axis=1),
        "max": 255 - (tally[:, ::-1] > 0).argmax(axis=1),
        "mean": mean,
        "std": np.sqrt(np.maximum(tally @ values**2 / len(pixels) - mean**2, 0.0)),
    }
    below = np.cumsum(tally, axis=1) / len(pixels)
    found |= {name: (below >= quantile).argmax(axis=1) for name, quantile in QUANTILES.items()}
    return {name: value.reshape(3, 1, 1) / 255.0 for name, value in found.items()} | {"count": np.array([len(chosen)])}


def known_stats(raw: object, feature: Feature) -> Stats | None:
    """Statistics that a dataset brings along for a camera, or None when they are incomplete or not of the right shape."""
    if not isinstance(raw, Mapping):
        return None
    found: Stats = {}
    for name in (*BASE, *QUANTILES):
        if name not in raw:
            continue
        try:
            value = np.asarray(raw[name], dtype=np.float64)
        except (ValueError, TypeError):
            return None
        if not np.isfinite(value).all() or value.size != (1 if name == "count" else 3):
            return None
        found[name] = value.reshape(1).astype(np.int64) if name == "count" else value.reshape(3, 1, 1)
    return found if all(name in found for name in BASE) and feature.shape[2] == 3 else None


def join_stats(parts: Sequence[Mapping[str, Stats]]) -> dict[str, Stats]:
    """Statistics of several episodes as one. Quantiles are means weighted by count, as LeRobot joins them."""
    joined: dict[str, Stats] = {}
    for key in dict.fromkeys(key for part in parts for key in part):
        own = [part[key] for part in parts if key in part]
        counts = np.stack([stats["count"] for stats in own]).astype(np.float64)
        weights = counts.reshape(len(own), *[1] * np.ndim(own[0]["mean"])) / counts.sum()
        mean = sum(weight * stats["mean"] for weight, stats in zip(weights, own, strict=True))
        variance = sum(weight * (stats["std"] ** 2 + (stats["mean"] - mean) ** 2) for weight, stats in zip(weights, own, strict=True))
        joined[key] = {
            "min": np.min([stats["min"] for stats in own], axis=0),
            "max": np.max([stats["max"] for stats in own], axis=0),
            "mean": mean,
            "std": np.sqrt(variance),
            "count": np.array([int(counts.sum())]),
        }
        for name in QUANTILES:
            if all(name in stats for stats in own):
                joined[key][name] = sum(weight * stats[name] for weight, stats in zip(weights, own, strict=True))
    return joined


def plain(stats: Mapping[str, Stats]) -> dict[str, dict[str, list]]:
    """As nested lists, for JSON and parquet."""
    return {key: {name: np.asarray(value).tolist() for name, value in own.items()} for key, own in stats.items()}


def as_arrays(raw: Mapping[str, Mapping[str, object]]) -> dict[str, Stats]:
    """The inverse of `plain`."""
    return {key: {name: np.asarray(value) for name, value in own.items()} for key, own in raw.items()}
