"""Clips that tokenizers learn from and are judged on, real videos with whole scenes held out, and what classical codes make of them.

    python -m recipes.tokenizer_clips [--shared PATH] [--quick] [--json]

Clips are of 17 frames and 128 x 128 pixels. One scene of each kind is held out, chosen before anything was measured: a drive (both of its
videos), a dog on a leash, hands that pour coffee, a humanoid's hands. Every video is seen at its own rate, or every other picture of one
at 60 a second. Held-out clips show the middle square; training pieces several squares, of the whole height and of half of it. Left out
are what is generated, simulated, drawn, of ten pictures only, or smaller than 128 pixels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from math import log2
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from armillary.core import ConfigError, DataError, Episode, Estimate, to_model
from armillary.data.record import write_dataset
from armillary.data.resize import area_resize
from armillary.data.staging import staged_folder
from armillary.data.video import VideoInfo, decode_video, probe_video
from armillary.data.video_episodes import read_square_video, video_episode
from armillary.evaluate.tokenizer_table import Subject, judge_codecs, judge_copy_first, judge_linear_codes, linear_codes
from benchmarks.rows import parser, publish, row, timed

NAME = "tokenizer_clips"
SIDE, LENGTH = 128, 17
CAMERA = "observation.images.view"
HIGHEST_FPS, DATASET_FPS = 31.0, 30.0
CLIPS_A_VIDEO, QUICK_PIECES = 6, 10
FRAMES, SIZE, CHANNELS, CODES = 4, 8, 16, 64_000  # the rate 4x8x8 and FSQ [8, 8, 8, 5, 5, 5]
TRAINING = (
    "video/cosmos_drive_0.mp4",
    "video/cosmos_drive_2.mp4",
    "video/cosmos_drive_3.mp4",
    "video/cosmos_robot_handover.mp4",
    "video/intel_bottle-detection.mp4",
    "video/sam2_01_dog.mp4",
    "video/sam2_02_cups.mp4",
    "video/udacity_solidWhiteRight.mp4",
    "decode_cases/nasa_13013.mp4",
)
HELD_OUT = (
    "video/cosmos_drive_4.mp4",
    "video/cosmos_drive_5.mp4",
    "video/cosmos_tokenizer_video.mp4",
    "video/sam2_04_coffee.mp4",
    "g1_inspire_original_av1/episode_000010.mp4",
)

Pictures = UInt8[np.ndarray, "t h w 3"]
Clip = Float[Tensor, "t 3 h w"]


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A part of a video: which, and the pictures of it."""

    video: str
    place: str
    frames: Pictures


def held_out_clips(shared: Path, *, length: int = LENGTH, side: int = SIDE, most: int = CLIPS_A_VIDEO) -> dict[str, list[Clip]]:
    """By video, at most `most` clips, apart from one another and spread evenly. Videos are decoded one at a time."""
    found = {}
    for video in HELD_OUT:
        frames, fps = read_square_video(_existing(shared, video), side)
        found[video] = spread_clips(_thinned(frames, fps), length, most)
    return found


def spread_clips(frames: Pictures, length: int, most: int) -> list[Clip]:
    """As many clips as do not overlap, but at most `most`, the first at the beginning and the last at the end."""
    count = min(len(frames) // length, most)
    return [to_model(frames[first : first + length]) for first in np.linspace(0, len(frames) - length, count).round().astype(int)]


def squares(shared: Path, videos: Sequence[str], *, side: int = SIDE, zooms: Sequence[int] = (1, 2)) -> Iterator[Piece]:
    """Squares of `side` pixels of videos shrunk to a shorter side of `zoom * side`; one video is decoded at a time.

    They cover the picture with as little overlap as that takes. ConfigError where a video is smaller than the largest zoom asks for.
    """
    for video in videos:
        path = _existing(shared, video)
        info = probe_video(path)
        height, width = _shrunk(info, max(zooms) * side)
        largest = _thinned(decode_video(path, size=(height, width)), info.fps)
        for zoom in zooms:
            height, width = _shrunk(info, zoom * side)
            frames = area_resize(largest, (height, width))
            for top, left in product(starts(height, side), starts(width, side)):
                part = np.ascontiguousarray(frames[:, top : top + side, left : left + side])
                yield Piece(video=video, place=f"zoom {zoom}, row {top}, column {left}", frames=part)


def training_clips(shared: Path, *, length: int = LENGTH, side: int = SIDE, pieces: int | None = None) -> list[Clip]:
    """At most CLIPS_A_VIDEO clips of every training piece, or of the first `pieces`: enough to fit a linear code on."""
    chosen = islice(squares(shared, TRAINING, side=side), pieces)
    return [clip for piece in chosen for clip in spread_clips(piece.frames, length, CLIPS_A_VIDEO)]


def training_dataset(shared: Path, folder: Path, *, side: int = SIDE) -> Path:
    """Every training piece as an episode of a dataset in `folder`, written now unless it was before.

    A dataset has one rate: it says DATASET_FPS also of videos that have 25 or 29.97.
    """
    if not folder.exists():
        with staged_folder(folder) as staging:
            write_dataset(staging / "dataset", (_episode(piece) for piece in squares(shared, TRAINING, side=side)))
    return folder / "dataset"


def starts(length: int, side: int) -> list[int]:
    """Where squares begin that cover `length` pixels: the first at 0, the last at the end, evenly between.

    >>> starts(228, 128), starts(128, 128), starts(455, 128)
    ([0, 100], [0], [0, 109, 218, 327])
    """
    return np.linspace(0, length - side, -(-length // side)).round().astype(int).tolist()


def _episode(piece: Piece) -> Episode:
    return video_episode(piece.frames, DATASET_FPS, camera=CAMERA, task=f"{Path(piece.video).stem}, {piece.place}")


def _shrunk(info: VideoInfo, shorter: int) -> tuple[int, int]:
    """Height and width of which the shorter is `shorter`."""
    scale = shorter / min(info.height, info.width)
    if scale > 1:
        raise ConfigError(f"a video of {info.height} x {info.width} pixels cannot be seen at {shorter}; ask for a smaller side or zoom")
    return round(info.height * scale), round(info.width * scale)


def _thinned(frames: Pictures, fps: float) -> Pictures:
    return frames[:: int(np.ceil(fps / HIGHEST_FPS))]


def _existing(shared: Path, video: str) -> Path:
    path = shared / video
    if not path.is_file():
        raise DataError(f"there is no {video} under {shared}; --shared must be the folder of real recordings")
    return path


def bits_of_a_clip(length: int = LENGTH, side: int = SIDE) -> int:
    """What a discrete tokenizer of the rate 4x8x8 takes for a clip."""
    return int((1 + (length - 1) // FRAMES) * (side // SIZE) ** 2 * log2(CODES))


def rows_of(subjects: Sequence[Subject], *, seeds: int = 1, name: str = NAME) -> list[dict]:
    """PSNR and SSIM of every subject, what they took, and what did not fit."""
    table = []
    for one in subjects:
        table.append(row(name, one.name, "PSNR", one.estimate_psnr(), seeds=seeds, unit="dB", digits=2))
        table.append(row(name, one.name, "SSIM", one.estimate_ssim(), seeds=seeds))
        told = {"numbers a clip": one.numbers, "bits a clip": one.bits, "code usage": one.code_usage and one.code_usage.share}
        table += [row(name, one.name, metric, _exact(value, one), seeds=seeds) for metric, value in told.items() if value is not None]
        if one.over_budget:
            table.append(row(name, one.name, "clips over the budget", _exact(one.over_budget, one), seeds=seeds))
    return table


def _exact(value: float, subject: Subject) -> Estimate:
    return Estimate(value=float(value), low=float(value), high=float(value), n=len(subject.psnr_db))


def judge(shared: Path, *, quick: bool = False) -> list[Subject]:
    """What needs no training: linear codes with as many numbers as 16 channels at 4x8x8, codecs with as many bits as its discrete kin."""
    most = 1 if quick else CLIPS_A_VIDEO
    clips = [clip for some in held_out_clips(shared, most=most).values() for clip in some]
    codes = linear_codes(training_clips(shared, pieces=QUICK_PIECES if quick else None), frames=FRAMES, size=SIZE, channels=CHANNELS)
    return [*judge_linear_codes(clips, codes), *judge_codecs(clips, bits_of_a_clip()), judge_copy_first(clips)]


def main() -> None:
    """Judge, print the rows."""
    arguments = parser(f"recipes.{NAME}", __doc__.splitlines()[0], seeds=1)
    arguments.add_argument("--shared", type=Path, default=Path("../shared/data"), help="the folder of real recordings")
    options = arguments.parse_args()
    with timed() as wall:
        subjects = judge(options.shared, quick=options.quick)
    publish(NAME, rows_of(subjects), options, command=f"python -m recipes.{NAME}", wall_s=wall["s"])


if __name__ == "__main__":
    main()
