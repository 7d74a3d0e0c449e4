"""BridgeData from the RLDS file beside the repository: episodes of a WidowX arm, ten pictures each, five a second, 64 x 64 pixels."""

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from armillary.core import DataError, Episode
from armillary.data.resize import area_resize
from armillary.data.tfrecord import Column, read_examples

FPS, SIDE = 5.0, 64
FOLDER = "bridge_widowx_rlds/bridge_dataset/1.0.0"
CAMERA = "observation.images.view"
CAMERAS = 4
SEEN_BY = (CAMERA, *(f"{CAMERA}_{number}" for number in range(1, CAMERAS)))
BLACK = 16
MOST_PIXELS = 2**20

Pictures = UInt8[np.ndarray, "t h w 3"]


def bridge_episodes(path: Path, cameras: Sequence[str] = (CAMERA,)) -> Iterator[Episode]:
    """Each episode of a file as some cameras (of SEEN_BY) saw it. The action of a step leads to the next step's picture."""
    for number, record in enumerate(read_examples(path)):
        frames = {camera: _pictures(record, SEEN_BY.index(camera), path) for camera in cameras}
        steps = len(frames[cameras[0]])
        actions, state = (np.asarray(record[f"steps/{name}"]).reshape(steps, -1) for name in ("action", "observation/state"))
        task = record["steps/language_instruction"][0].decode()
        yield Episode(frames=frames, actions=actions, state=state, seconds_per_step=1.0 / FPS, task=task, index=number)


def bridge_videos(path: Path) -> Iterator[Pictures]:
    """What each camera that was there saw in each episode of a file. One that was not there is black in every picture
    (the file's own has_image flags are 0 for all)."""
    for record in read_examples(path):
        for number in range(CAMERAS):
            frames = _pictures(record, number, path)
            if frames.max() > BLACK:
                yield frames


def _pictures(record: Mapping[str, Column], camera: int, path: Path) -> Pictures:
    return np.stack([_picture(data, path) for data in record[f"steps/observation/image_{camera}"]])


def _picture(data: bytes, path: Path) -> UInt8[np.ndarray, "h w 3"]:
    with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
        if image.width * image.height > MOST_PIXELS:
            raise DataError(f"{path}: a picture of {image.width} x {image.height}, at most {MOST_PIXELS} pixels are read")
        return area_resize(np.asarray(image.convert("RGB"))[None], (SIDE, SIDE))[0]
