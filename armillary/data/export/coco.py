"""COCO: images, and one annotation for every instance that a picture shows, with its exact mask."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from armillary.core.storage import write_atomically
from armillary.data.export.masks import box, compressed, run_lengths
from armillary.data.export.pictures import png
from armillary.data.export.takes import Progress, Selection, Take
from armillary.data.labels import found_labels, read_names

IMAGES_FOLDER, ANNOTATIONS_FILE = "images", "annotations/instances.json"


def write_coco(selection: Selection, folder: Path, progress: Progress | None = None) -> None:
    """Write `images/` and `annotations/instances.json` into an empty folder.

    An instance is what `Names.instance` says; its category is its kind. Masks are run lengths, packed as COCO does; areas are pixels. What
    is not seen has no annotation. Categories are those of the whole dataset, by name, so that their ids do not hang on what is exported;
    all ids count from 1. Beside COCO's own keys an image has `episode`, `frame` and `camera`, an annotation has `instance_id` (the same
    in all pictures of an episode) and `thing`.
    """
    categories = _categories(selection)
    (folder / IMAGES_FOLDER).mkdir()
    images: list[dict] = []

    def write(path: Path) -> None:
        with open(path, "w", encoding="utf-8") as file:
            file.write('{"annotations": [')
            for number, annotation in enumerate(_annotations(selection, folder, images, categories, progress), start=1):
                file.write(",\n" if number > 1 else "\n")
                json.dump({"id": number} | annotation, file)
            named = [{"id": number, "name": name, "supercategory": "thing"} for name, number in categories.items()]
            info = {"description": f"{selection.dataset.path.resolve().name}, exported by armillary", "version": "1.0"}
            rest = {"images": images, "categories": named, "info": info, "licenses": []}
            file.write(f"\n], {json.dumps(rest)[1:]}\n")

    write_atomically(folder / ANNOTATIONS_FILE, write)


def _categories(selection: Selection) -> dict[str, int]:
    """Every category of the dataset by name, numbered from 1."""
    dataset, found = selection.dataset, set()
    for record in dataset.episodes:
        if found_labels(dataset.path, record.index) is not None:
            names = read_names(dataset, record)
            found |= {names.category(number) for number in range(1, len(names.things))}
    return {name: number for number, name in enumerate(sorted(found), start=1)}


def _annotations(
    selection: Selection, folder: Path, images: list[dict], categories: dict[str, int], progress: Progress | None
) -> Iterator[dict]:
    """Writes the pictures and lists them in `images` on the way."""
    for take in selection.takes(("segmentation",), progress):
        for frame, picture in enumerate(take.episode.frames[take.key]):
            name = f"{take.name}-{frame:06d}.png"
            (folder / IMAGES_FOLDER / name).write_bytes(png(picture))
            image = {"id": len(images) + 1, "file_name": name, "height": take.camera.height, "width": take.camera.width}
            images.append(image | {"episode": take.episode.index, "frame": frame, "camera": take.camera.name})
            yield from _of_picture(take, frame, image["id"], categories)


def _of_picture(take: Take, frame: int, image: int, categories: dict[str, int]) -> Iterator[dict]:
    names = take.labels.names
    instances = np.array([0, *(names.instance(number) for number in range(1, len(names.things)))])
    shown = instances[take.camera.segmentation[frame]]
    for instance in np.unique(shown[shown > 0]).tolist():
        mask = shown == instance
        yield {
            "image_id": image,
            "category_id": categories[names.category(instance)],
            "segmentation": {"size": [take.camera.height, take.camera.width], "counts": compressed(run_lengths(mask))},
            "area": int(mask.sum()),
            "bbox": box(mask),
            "iscrowd": 0,
            "instance_id": instance,
            "thing": names.things[instance],
        }
