"""From recorded motion to a twin that moves like it: which numbers, from which episodes, and how much better it follows the others."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from armillary.core import ConfigError, DataError
from armillary.data.dataset import Dataset, open_dataset
from armillary.data.labels import MANIFEST_FILE
from armillary.studies.recorded_motion import Tracker, label_poses, labelled, recorded
from armillary.worlds.twin.asset import Asset
from armillary.worlds.twin.asset_files import READ, WRITTEN, load_asset, save_asset
from armillary.worlds.twin.calibration import Calibrated, blind_world, calibrate, visible
from armillary.worlds.twin.calibration_recording import Recording, Replay
from armillary.worlds.twin.calibration_unknown import Unknown, candidates
from armillary.worlds.twin.manifest import Manifest, read_manifest
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.quantity import Quantity
from armillary.worlds.twin.scene import Placed, Scene
from armillary.worlds.twin.scenes.catalogue import SCENES, build

HELD_BACK = 4  # one episode of so many is not calibrated on but judged by; of a single one, its last rows
MOST = 12  # how many unknowns are looked for unless somebody names more
TRACKER = Tracker()
PHYSICAL = ("mass", "friction", "drives")  # what a manifest may draw anew for every episode


@dataclass(frozen=True, kw_only=True)
class Wish:
    """An unknown that somebody named: its kind, its part (`thing/part`; in a scene of one thing the part alone will do), and the range to
    look in, None for the scene's own."""

    kind: str
    part: str
    bounds: tuple[float, float] | None = None

    def unknown(self, scene: Scene) -> Unknown:
        """What it means in a scene."""
        things = [thing.name for thing in scene.things]
        bare = len(things) == 1 and self.part.partition("/")[0] not in things
        return Unknown(self.kind, f"{things[0]}/{self.part}" if bare else self.part)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be calibrated on which recordings, and judged on which, each from a row on."""

    scene: Scene
    unknowns: tuple[Unknown, ...]
    calibrated_on: tuple[Recording, ...]
    judged_on: tuple[tuple[Recording, int], ...]
    seconds_per_step: float
    data: str
    judged: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Followed:
    """How far the twin is from what it is judged by: root mean squares of bodies' places and slides (m), and of turns and hinges (rad);
    None where the data have none."""

    places_m: float | None
    turns_rad: float | None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a plan; `priors` are the unknowns before, in their order."""

    plan: Plan
    priors: tuple[Quantity, ...]
    result: Calibrated
    before: Followed
    after: Followed


def plan(
    twin: str,
    data: Path | str,
    *,
    wishes: Sequence[Wish] = (),
    episodes: Sequence[int] | None = None,
    seed: int = 0,
    tracker: Tracker = TRACKER,
) -> Plan:
    """The twin (an asset's file or a scene of the catalogue) as it stood in the data, and what the data may tell of it.

    Of the catalogue's scenes the layout is the dataset's own if that was simulated of this scene, else the one that `seed` gives. Without
    wishes the unknowns are all numbers with a range, of all things that move, that the data can tell (`visible`). ConfigError for
    settings, DataError for files and recordings that cannot be, each with what to do.
    """
    dataset = open_dataset(data)
    chosen = _chosen(dataset, episodes)
    manifest = _manifest(dataset, chosen)
    scene = _in_time(_scene(twin, dataset, chosen, manifest, seed), dataset.info.seconds_per_step)
    for wish in wishes:
        scene = _with_bounds(scene, wish)
    seconds_per_step = dataset.info.seconds_per_step
    recordings = recorded(dataset, chosen, blind_world(scene, seconds_per_step), tracker)
    calibrated_on, judged_on, judged = _split(recordings, chosen)
    unknowns = tuple(wish.unknown(scene) for wish in wishes)
    if not unknowns:
        unknowns = _visible(scene, calibrated_on, seconds_per_step, dataset)
    return Plan(
        scene=scene,
        unknowns=unknowns,
        calibrated_on=calibrated_on,
        judged_on=judged_on,
        seconds_per_step=seconds_per_step,
        data=Path(data).name,
        judged=judged,
        notes=_notes(manifest),
    )


def carry_out(plan: Plan, *, seed: int = 0) -> Outcome:
    """Calibrate, and follow what was held back before and after. Errors as of `calibrate`."""
    priors = tuple(unknown.in_scene(plan.scene) for unknown in plan.unknowns)
    before = followed(plan.scene, plan.judged_on, plan.seconds_per_step)
    result = calibrate(
        plan.scene,
        plan.unknowns,
        plan.calibrated_on,
        np.random.default_rng(seed),
        seconds_per_step=plan.seconds_per_step,
        data=plan.data,
    )
    after = followed(result.scene, plan.judged_on, plan.seconds_per_step)
    return Outcome(plan=plan, priors=priors, result=result, before=before, after=after)


def followed(scene: Scene, judged_on: Sequence[tuple[Recording, int]], seconds_per_step: float) -> Followed:
    """How far the scene is from recordings, each from a row on; all of a recording is simulated from its start."""
    world, places, turns = blind_world(scene, seconds_per_step), [], []
    for recording, first in judged_on:
        replay = Replay(world, recording)
        off = replay.off()
        places += [np.linalg.norm(off.positions[first:], axis=-1).ravel(), np.abs(off.angles[first:, replay.slides]).ravel()]
        turns += [np.linalg.norm(off.turns[first:], axis=-1).ravel(), np.abs(off.angles[first:, ~replay.slides]).ravel()]
    return Followed(places_m=_root_mean_square(places), turns_rad=_root_mean_square(turns))


def outputs(plan: Plan, out: Path) -> dict[str, Path]:
    """Where which thing is written: one thing to a file, several to a folder that gets one file of each. ConfigError if `out` is of the
    other sort, or no file that assets are written to."""
    things = list(dict.fromkeys(unknown.thing for unknown in plan.unknowns))
    writable = [suffix for suffix in WRITTEN if suffix.startswith(".usd")]  # the others cannot keep where a number is from
    if len(things) == 1:
        if out.suffix.lower() not in writable:
            raise ConfigError(f"--out must be a {', '.join(writable)} file, received {out}")
        return {things[0]: out}
    if out.suffix:
        raise ConfigError(f"numbers of {len(things)} things are looked for ({', '.join(things)}): --out must be a folder, received {out}")
    return {thing: out / f"{thing.replace('/', '_')}.usda" for thing in things}


def write(outcome: Outcome, out: Path) -> tuple[Path, ...]:
    """Write the assets of which something was measured; the files."""
    measured = {found.unknown.thing for found in outcome.result.found if found.identifiable}
    written = []
    for thing, path in outputs(outcome.plan, out).items():
        if thing in measured:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_asset(outcome.result.scene.thing(thing).asset, path)
            written.append(path)
    return tuple(written)


def _chosen(dataset: Dataset, episodes: Sequence[int] | None) -> tuple[int, ...]:
    chosen = tuple(record.index for record in dataset.episodes) if episodes is None else tuple(episodes)
    if not chosen or len(set(chosen)) < len(chosen):
        raise ConfigError(f"calibration needs episodes of {dataset.path}, each once, received {list(chosen)}")
    return tuple(dataset.record(one).index for one in chosen)


def _manifest(dataset: Dataset, chosen: tuple[int, ...]) -> Manifest | None:
    """Of a simulated dataset. DataError where its episodes are of different twins and several are chosen."""
    path = dataset.path / MANIFEST_FILE
    if not path.is_file():
        return None
    manifest = read_manifest(path)
    varied = [name for name in PHYSICAL if getattr(manifest.randomise, name) > 0]
    if len(chosen) > 1 and (varied or manifest.vary_layout):
        what = f"masses, frictions or gains of its own (randomise.{varied[0]} in" if varied else "a layout of its own (vary_layout in"
        raise DataError(
            f"{dataset.path}: every episode has {what} {MANIFEST_FILE}), so no twin is that of them all; "
            f"choose one, as in: --episodes {chosen[0]}"
        )
    return manifest


def _scene(twin: str, dataset: Dataset, chosen: tuple[int, ...], manifest: Manifest | None, seed: int) -> Scene:
    if twin in SCENES:
        return manifest.layout(chosen[0]) if manifest is not None and manifest.scene == twin else build(twin, seed)
    if Path(twin).suffix.lower() not in READ:
        raise ConfigError(f"a twin is a file ({', '.join(READ)}) or one of the scenes {', '.join(SCENES)}, received {twin!r}")
    asset = load_asset(Path(twin))
    return Scene(name=asset.name, things=(_placed(asset, dataset, chosen[0]),))


def _placed(asset: Asset, dataset: Dataset, episode: int) -> Placed:
    """The asset where the data saw it, under the name that they have for it; at the origin where they did not see its bodies."""
    labels = labelled(dataset, episode)
    if labels is None:
        return Placed(name=asset.name, asset=asset)
    poses, wanted = label_poses(labels), {body.name for body in asset.bodies if body.shapes}
    things = [thing for thing in dict.fromkeys(labels.names.things) if thing]
    fitting = [thing for thing in things if all(f"{thing}/{body}" in poses for body in wanted)]
    if not fitting:
        known = ", ".join(things)
        raise DataError(
            f"{dataset.path} has no thing with the bodies of {asset.name!r} ({', '.join(sorted(wanted))}); its things are {known}"
        )
    name = asset.name if asset.name in fitting else fitting[0]
    root = next(body for body in asset.from_root() if f"{name}/{body.name}" in poses)
    seen = poses[f"{name}/{root.name}"]
    moves = asset.joint_to(root.name) is None and not np.allclose(seen, seen[0], atol=1e-9)
    return Placed(name=name, asset=asset, pose=Pose.of_matrix(seen[0]).then(root.pose.inverse()), moves=moves)


def _in_time(scene: Scene, seconds_per_step: float) -> Scene:
    """With a substep of which a row of the data has a whole number."""
    count = max(round(seconds_per_step / scene.seconds_per_substep), 1)
    if math.isclose(count * scene.seconds_per_substep, seconds_per_step, rel_tol=1e-6):
        return scene
    return replace(scene, seconds_per_substep=seconds_per_step / count)


def _with_bounds(scene: Scene, wish: Wish) -> Scene:
    """With the wished range around the number; one that is outside is replaced by the range's middle."""
    if wish.bounds is None:
        return scene
    unknown, (low, high) = wish.unknown(scene), wish.bounds
    if not 0 <= low < high < math.inf:
        raise ConfigError(f"the {unknown} must be looked for in a range such as 0.1..0.9, received {low:g}..{high:g}")
    said = unknown.said(scene)
    middle = math.sqrt(low * high) if low > 0 else high / 2.0
    value = said.value if said is not None and low <= said.value <= high else middle
    return unknown.put(scene, Quantity(value, "estimated", low, high, "the range that calibration was told"))


def _split(recordings: list[Recording], chosen: tuple[int, ...]) -> tuple[tuple[Recording, ...], tuple[tuple[Recording, int], ...], str]:
    """What to calibrate on, what to judge by, and in words what the latter is."""
    if len(recordings) > 1:
        held = max(len(recordings) // HELD_BACK, 1)
        names = ", ".join(map(str, chosen[-held:]))
        return tuple(recordings[:-held]), tuple((one, 0) for one in recordings[-held:]), f"episode{'s' * (held > 1)} {names}"
    (only,) = recordings
    rows = len(only.actions)
    first = max(rows - max(rows // HELD_BACK, 1), 2)
    if first >= rows:
        raise DataError(f"an episode of {rows} rows is too short to be calibrated on and judged by; record at least 3")
    return (only.rows(first),), ((only, first),), f"rows {first} to {rows - 1} of the only episode, {chosen[0]}"


def _visible(scene: Scene, recordings: Sequence[Recording], seconds_per_step: float, dataset: Dataset) -> tuple[Unknown, ...]:
    """Every number of what moves that the recordings can tell. DataError if there is none, ConfigError if there are too many."""
    moving = {name.partition("/")[0] for one in recordings for name in (*one.bodies, *one.joints)}
    unsure = candidates(scene, moving)
    found = visible(scene, unsure, recordings, seconds_per_step=seconds_per_step) if unsure else ()
    if not found:
        tried = f"none of {len(unsure)} numbers changes the motion enough" if unsure else "no number of what moves has a range"
        where = f"{dataset.path} tells nothing of {', '.join(sorted(moving))}"
        raise DataError(f"{where}: {tried}; give one a wider range, as in: --unknown KIND:PART=LOW..HIGH")
    if len(found) > MOST:
        raise ConfigError(
            f"{len(found)} numbers can be seen in {dataset.path}, which is too many to look for at once; name up to {MOST} or so with "
            f"--unknown: {', '.join(f'{one.kind}:{one.name}' for one in found)}"
        )
    return found


def _notes(manifest: Manifest | None) -> tuple[str, ...]:
    """What the data have that the twin knows nothing of."""
    if manifest is None:
        return ()
    notes = []
    if manifest.randomise.latency_s > 0:
        notes.append(f"actions take effect up to {manifest.randomise.latency_s:g} s late in these data, which the twin does not do")
    if manifest.randomise.distractors[-1] > 0:
        notes.append("these data have distractors, which the twin has not: what touched them moved otherwise")
    return tuple(notes)


def _root_mean_square(parts: list[np.ndarray]) -> float | None:
    numbers = np.concatenate(parts)
    return float(np.sqrt((numbers**2).mean())) if numbers.size else None
