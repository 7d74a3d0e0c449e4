"""A small labelled dataset whose truth is closed form: balls before cameras, drawn by intersecting each pixel's ray with them."""

from pathlib import Path

import numpy as np

from armillary.core import Episode
from armillary.data.labels import label_path
from armillary.data.record import DatasetWriter

HEIGHT, WIDTH, FRAMES, FOV_Y_DEG = 24, 32, 3, 50.0
# The ids of `names`: two balls of one thing, of which the second is of another kind, and a ball without a kind.
RADII_M = (0.0, 0.30, 0.12, 0.20, 0.15)
NAMES = {
    "thing": ("", "snowman", "snowman", "snowman", "marble"),
    "body": ("", "belly", "nose", "head", "marble"),
    "kind": ("", "snowman", "nose", "snowman", ""),
}


def world_from_camera(name: str) -> np.ndarray:
    """The front camera is 3 m away along x and looks back; the side one 4 m along y, and its picture lies on its side."""
    front = np.array([[0.0, 0.0, 1.0, 3.0], [1.0, 0.0, 0.0, 0.1], [0.0, 1.0, 0.0, 0.2], [0.0, 0.0, 0.0, 1.0]])
    side = np.array([[0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 4.0], [-1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    return front if name == "front" else side


def centres_m(episode: int) -> np.ndarray:
    """Of every ball by frame and id: t n 3. The marble leaves the picture in the last frame."""
    found = np.zeros((FRAMES, len(RADII_M), 3))
    found[:, 1] = (0.0, 0.0, -0.3)
    found[:, 2] = (0.3, 0.05 * episode, 0.1)
    found[:, 3] = (0.0, 0.0, 0.15)
    for frame in range(FRAMES):
        found[frame, 4] = (0.2, -0.7 + 0.1 * frame, 0.4) if frame < FRAMES - 1 else (0.0, 50.0, 50.0)
    return found


def seen(camera: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(depth in m along the axis, ids) of the balls with these centres: where a ray meets each, it meets the nearest."""
    slope = np.tan(np.radians(FOV_Y_DEG) / 2.0) / (HEIGHT / 2.0)
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5 - WIDTH / 2.0, HEIGHT / 2.0 - np.arange(HEIGHT) - 0.5)
    rays = np.stack([x * slope, y * slope, np.full_like(x, -1.0)], axis=-1)
    depth, ids = np.full((HEIGHT, WIDTH), np.inf), np.zeros((HEIGHT, WIDTH), dtype=np.uint16)
    for number in range(1, len(RADII_M)):
        middle = camera[:3, :3].T @ (centres[number] - camera[:3, 3])
        square, along = (rays * rays).sum(axis=-1), rays @ middle
        root = along**2 - square * (middle @ middle - RADII_M[number] ** 2)
        met = np.where(root > 0, (along - np.sqrt(np.maximum(root, 0.0))) / square, np.inf)
        nearer = (met > 0) & (met < depth)
        depth[nearer], ids[nearer] = met[nearer], number
    return np.where(ids > 0, depth, 0.0).astype(np.float32), ids


def label_columns(episode: int, cameras: tuple[str, ...]) -> dict[str, np.ndarray]:
    """What is in the file of an episode."""
    columns = {key: np.array(value) for key, value in NAMES.items()}
    centres = centres_m(episode)
    columns["world_from_body"] = np.tile(np.eye(4), (FRAMES, len(RADII_M), 1, 1))
    columns["world_from_body"][:, :, :3, 3] = centres
    for name in cameras:
        pictures = [seen(world_from_camera(name), centres[frame]) for frame in range(FRAMES)]
        columns[f"{name}.world_from_camera"] = np.tile(world_from_camera(name), (FRAMES, 1, 1))
        columns[f"{name}.fov_y_deg"] = np.array(FOV_Y_DEG)
        columns[f"{name}.depth"] = np.stack([depth for depth, _ in pictures])
        columns[f"{name}.segmentation"] = np.stack([ids for _, ids in pictures])
    return columns


def write_labels(dataset: Path, episode: int, columns: dict[str, np.ndarray]) -> None:
    """As the file of an episode's labels."""
    path = label_path(dataset, episode)
    path.parent.mkdir(exist_ok=True)
    np.savez_compressed(path, **columns)


def write_labelled(path: Path, *, episodes: int = 2, cameras: tuple[str, ...] = ("front", "side")) -> Path:
    """The dataset. Pictures are grey: each id has a brightness of its own."""
    with DatasetWriter(path, robot_type="balls") as writer:
        for episode in range(episodes):
            columns = label_columns(episode, cameras)
            frames = {
                f"observation.images.{name}": np.repeat((columns[f"{name}.segmentation"] * 50)[..., None], 3, axis=-1).astype(np.uint8)
                for name in cameras
            }
            actions = np.arange(2.0 * FRAMES, dtype=np.float32).reshape(FRAMES, 2) + episode
            writer.save(Episode(frames=frames, actions=actions, state=-actions, seconds_per_step=0.1, task="look"))
            write_labels(path, episode, columns)
    return path
