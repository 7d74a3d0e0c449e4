"""3-D consistency: could one still scene, seen by one camera that moves, have given these pictures?

Between two pictures of a still scene every matched point lies on the line that the other picture's point and the camera's motion give it
(the epipolar line). How far it is off, in pixels, is its Sampson error (Sampson 1982; Hartley and Zisserman 2004, eq. 11.9). A dream that
bends its room has no one motion that fits: errors grow, and no pose with enough points in front of both cameras is found.

SIFT, matching and pose are OpenCV's, in the extra `geometry`; its random samples come from a seed of its own that is always the same.
"""

import importlib
from dataclasses import dataclass
from itertools import pairwise
from types import ModuleType

import numpy as np
from jaxtyping import Float, Float64, UInt8

from armillary.core import ConfigError

RATIO = 0.75  # a match must be so much nearer than the second best (Lowe 2004)
INLIER_PX = 1.0
LEAST_MATCHES = 16
LEAST_INLIERS = 0.5  # of the matches, for a pose to count as found


@dataclass(frozen=True, kw_only=True)
class PairResult:
    """What two pictures say about one motion between them. `sampson_px` is the median over matches, NaN where there are too few to fit;
    `rotation` and `direction` (unit translation) are second_from_first, None where no pose was found."""

    matches: int
    inliers: int
    sampson_px: float
    rotation: Float64[np.ndarray, "3 3"] | None
    direction: Float64[np.ndarray, "3"] | None

    @property
    def posed(self) -> bool:
        """Whether a pose was found with at least half of the matches behind it."""
        return self.rotation is not None


def sampson_error(
    essential: Float[np.ndarray, "3 3"], first: Float[np.ndarray, "n 2"], second: Float[np.ndarray, "n 2"]
) -> Float64[np.ndarray, " n"]:
    """First-order distance of each match from what an essential matrix allows (second^T E first = 0), in the units of the points.

    Points are in a camera's plane at depth 1 (pixels with the intrinsics taken off); times the focal length, it is pixels.
    """
    one, two = (np.column_stack([points, np.ones(len(points))]).astype(np.float64) for points in (first, second))
    lines, back = one @ essential.T, two @ essential
    product = (two * lines).sum(axis=1)
    slope = (lines[:, :2] ** 2).sum(axis=1) + (back[:, :2] ** 2).sum(axis=1)
    return np.abs(product) / np.sqrt(np.where(slope > 0, slope, 1.0))


def essential_of(rotation: Float[np.ndarray, "3 3"], translation: Float[np.ndarray, "3"]) -> Float64[np.ndarray, "3 3"]:
    """The essential matrix of a known motion second_from_first: the cross product by the translation, after the rotation."""
    x, y, z = np.asarray(translation, dtype=np.float64)
    return np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) @ rotation


def match_points(
    first: UInt8[np.ndarray, "h w 3"], second: UInt8[np.ndarray, "h w 3"]
) -> tuple[Float64[np.ndarray, "n 2"], Float64[np.ndarray, "n 2"]]:
    """Where the same SIFT points are in two pictures, in pixels (x, y): mutual matches that pass Lowe's ratio test."""
    cv2 = _opencv()
    sift = cv2.SIFT_create()
    (points, one), (others, two) = (sift.detectAndCompute(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), None) for picture in (first, second))
    if one is None or two is None or min(len(one), len(two)) < 2:
        return np.empty((0, 2)), np.empty((0, 2))
    matcher = cv2.BFMatcher(cv2.NORM_L2)
    clear = {pair[0].queryIdx: pair[0].trainIdx for pair in matcher.knnMatch(one, two, k=2) if pair[0].distance < RATIO * pair[1].distance}
    back = {match.queryIdx: match.trainIdx for match in matcher.match(two, one)}
    mutual = [(a, b) for a, b in clear.items() if back.get(b) == a]
    return (
        np.array([points[a].pt for a, _ in mutual], dtype=np.float64).reshape(-1, 2),
        np.array([others[b].pt for _, b in mutual], dtype=np.float64).reshape(-1, 2),
    )


def judge_matches(first: Float[np.ndarray, "n 2"], second: Float[np.ndarray, "n 2"], intrinsics: Float[np.ndarray, "3 3"]) -> PairResult:
    """The best single motion of a camera of known intrinsics behind matches in pixels, and how well it fits all of them.

    The error is the median over all matches, those that do not fit too: what moves otherwise than the rest is not left out.
    """
    cv2, count = _opencv(), len(first)
    if count < LEAST_MATCHES:
        return PairResult(matches=count, inliers=0, sampson_px=float("nan"), rotation=None, direction=None)
    focal = float(intrinsics[0, 0] + intrinsics[1, 1]) / 2
    inverse = np.linalg.inv(np.asarray(intrinsics, dtype=np.float64))
    one, two = ((np.column_stack([points, np.ones(count)]) @ inverse.T)[:, :2] for points in (first, second))
    cv2.setRNGSeed(0)
    essential, kept = cv2.findEssentialMat(one, two, np.eye(3), method=cv2.RANSAC, prob=0.999, threshold=INLIER_PX / focal)
    if essential is None or essential.shape != (3, 3):
        return PairResult(matches=count, inliers=0, sampson_px=float("nan"), rotation=None, direction=None)
    inliers, rotation, direction, _ = cv2.recoverPose(essential, one, two, np.eye(3), mask=kept.copy())
    found = inliers >= max(LEAST_INLIERS * count, LEAST_MATCHES)
    return PairResult(
        matches=count,
        inliers=int(inliers),
        sampson_px=float(np.median(sampson_error(essential, one, two)) * focal),
        rotation=rotation if found else None,
        direction=direction[:, 0] if found else None,
    )


def judge_video(frames: UInt8[np.ndarray, "t h w 3"], intrinsics: Float[np.ndarray, "3 3"], *, stride: int = 1) -> list[PairResult]:
    """Every frame and the one `stride` later: the share that is `posed` and the mean `sampson_px` are the video's scores.

    Give real frames of the same kind beside them: how good the best can be depends on what there is to be matched.
    """
    if len(frames) < stride + 1 or stride < 1:
        raise ConfigError(f"needs at least two frames {stride} apart, received {len(frames)}")
    return [judge_matches(*match_points(one, two), intrinsics) for one, two in pairwise(frames[::stride])]


def rotation_error_deg(told: Float[np.ndarray, "3 3"], true: Float[np.ndarray, "3 3"]) -> float:
    """The angle between two rotations."""
    cosine = (np.trace(np.asarray(told, dtype=np.float64).T @ true) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


def direction_error_deg(told: Float[np.ndarray, "3"], true: Float[np.ndarray, "3"]) -> float:
    """The angle between two directions of motion; how far a camera went cannot be told from two pictures."""
    cosine = float(np.dot(told, true)) / float(np.linalg.norm(told) * np.linalg.norm(true))
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


def _opencv() -> ModuleType:
    try:
        return importlib.import_module("cv2")
    except ImportError as error:
        raise ConfigError(f'3-D consistency needs OpenCV, which is not installed ({error}); run: pip install -e ".[geometry]"') from error
