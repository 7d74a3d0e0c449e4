"""A trained world dreams on from what a person shows it, by the actions they give, into a folder that says how it came to be."""

import math
import os
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Generator, Tensor

import armillary
from armillary.core import ConfigError, DataError, Imagines, Policy, Prompt, Renders, World, WorldError, seeded, to_disk, to_model
from armillary.core.storage import write_json
from armillary.data.content import file_sha256
from armillary.data.staging import refuse_existing, staged_folder
from armillary.data.video import encode_video
from armillary.evaluate.open_loop import evaluating
from armillary.studies.dream_actions import Commands, StepActions, actions_of_file, beyond, unsaid
from armillary.studies.dream_cameras import beside
from armillary.studies.dream_decoder import decoder_facts, open_decoder
from armillary.studies.dream_film import Shown, film, strip
from armillary.studies.dream_prompt import Beginning, read_beginning
from armillary.studies.runs import LoadedRun, load_run
from armillary.train.config import TrainConfig
from armillary.train.distributed import choose_device
from armillary.train.environment import describe_environment, hardware
from armillary.train.run import RunFolder

FILM, STRIP, PROVENANCE = "dream.mp4", "strip.png", "provenance.json"
RECORDED = "recorded"
MEMORY_SHARE = 0.5  # of the machine's memory, for pictures
LARGEST_SEED = 2**62
SAMPLE_CRF = 4


@dataclass(frozen=True, kw_only=True)
class DreamJob:
    """What to dream. `actions` None: those of the recording that the prompt names, else left to a world that `Imagines`. `seconds` None:
    as long as there are actions. `cameras`: of a run of several, those that the prompt shows (see `read_beginning`).

    `samples` dreams have the seeds `seed`, `seed + 1`, ..., so each can be dreamt again alone. `fps` is the film's (default: real time).
    `decoder`: the run of a code decoder that draws the pictures instead of the world itself.
    """

    run: Path | str
    prompt: str
    out: Path | str
    cameras: tuple[str, ...] = ()
    actions: Path | str | None = None
    actions_fps: float | None = None
    seconds: float | None = None
    seed: int = 0
    samples: int = 1
    fps: float | None = None
    weights: str = "best"
    decoder: Path | str | None = None
    device: str = "auto"

    def __post_init__(self):
        for name, least, most in (("seconds", 0.0, math.inf), ("fps", 0.1, 1000.0)):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0 and least <= value <= most):
                limits = "above 0" if name == "seconds" else f"from {least:g} to {most:g}"
                raise ConfigError(f"--{name} must be a number {limits}, received {value}")
        if self.samples < 1:
            raise ConfigError(f"--samples must be 1 or more, received {self.samples}")
        if not 0 <= self.seed < LARGEST_SEED:
            raise ConfigError(f"--seed must be from 0 to {LARGEST_SEED - 1}, received {self.seed}")


@dataclass(frozen=True, kw_only=True)
class PreparedDream:
    """A job, checked, with all that it needs in memory: nothing has been dreamt or written."""

    job: DreamJob
    loaded: LoadedRun
    beginning: Beginning
    actions: StepActions
    device: torch.device
    decoder: LoadedRun | None
    notes: tuple[str, ...]

    @property
    def steps(self) -> int:
        """How many steps will be dreamt."""
        return len(self.actions.values)

    @property
    def seeds(self) -> range:
        """One for each sample."""
        return range(self.job.seed, self.job.seed + self.job.samples)

    @property
    def fps(self) -> float:
        """Of the film."""
        return self.job.fps or 1.0 / self.loaded.world.spec.seconds_per_step

    def to_json(self) -> dict:
        """What would be done, in plain values."""
        step_s, (height, width) = self.loaded.world.spec.seconds_per_step, self.loaded.world.spec.sees
        return {
            "run": str(self.loaded.path),
            "family": self.loaded.family,
            "out": str(self.job.out),
            "prompt": self.beginning.about,
            "cameras": {"all": list(self.loaded.cameras), "shown_by_prompt": list(self.beginning.cameras or self.loaded.cameras)},
            "actions": self.actions.about,
            "dream": {
                "seconds": self.steps * step_s,
                "steps": self.steps,
                "seconds_per_step": step_s,
                "height": height,
                "width": width,
                "seeds": list(self.seeds),
                "film_fps": self.fps,
            },
            "device": str(self.device),
            "precision": "float32",
            "notes": list(self.notes),
        }


def prepare(job: DreamJob) -> PreparedDream:
    """Load and check everything. Every input that cannot be used is an error here, before anything is dreamt or written."""
    refuse_existing(Path(job.out))
    loaded = load_run(job.run, job.weights)
    _need_to_render(loaded)
    commands = Commands.of(loaded)
    wanted = None if job.seconds is None else max(math.ceil(job.seconds / commands.seconds_per_step - 1e-6), 1)
    if wanted is not None:
        _check_memory(wanted, job, loaded)
    device = _choose_device(job.device)
    decoder = None if job.decoder is None else open_decoder(job.decoder, loaded)
    beginning = read_beginning(job.prompt, loaded, job.cameras)
    actions = _actions(job, beginning, commands, wanted, imagines=isinstance(loaded.world, Imagines))
    _check_memory(len(actions.values), job, loaded)
    outside = beyond(actions.values, loaded.world.spec.action_space) if actions.said else ""
    notes = (*beginning.notes, *([outside] if outside else []))
    return PreparedDream(job=job, loaded=loaded, beginning=beginning, actions=actions, device=device, decoder=decoder, notes=notes)


def run_dream(prepared: PreparedDream, *, replay: Sequence[str] = (), on_step: Callable[[int, int], None] | None = None) -> dict:
    """Dream, and write the folder: dream.mp4, seed-N.mp4 of each sample, strip.png, provenance.json; give what the last one says.

    The same job gives the same pictures, byte for byte, on the same machine. Nothing is left half done.
    """
    loaded, begin = prepared.loaded, time.perf_counter()
    weights = RunFolder.open(loaded.path).weights(prepared.job.weights)
    digest = file_sha256(weights)
    redrawn = {} if prepared.decoder is None else {"decoder": decoder_facts(prepared.decoder)}
    mark = f"Pictures dreamt by a world model: armillary {armillary.__version__}, {loaded.family}, weights sha256 {digest}"
    with staged_folder(Path(prepared.job.out)) as folder:
        dreams = {seed: _dream(prepared, seed, on_step) for seed in prepared.seeds}
        took_s = time.perf_counter() - begin
        shown = _shown(prepared, dreams, digest)
        panels = "; ".join(shown.panels)
        encode_video(folder / FILM, film(shown), prepared.fps, gop=12, comment=f"{mark}; panels: {panels}")
        for seed, frames in dreams.items():
            rate = 1.0 / loaded.world.spec.seconds_per_step
            encode_video(folder / f"seed-{seed}.mp4", frames, rate, crf=SAMPLE_CRF, comment=f"{mark}, seed {seed}")
        tags = PngInfo()
        tags.add_text("Comment", f"{mark}; rows: {panels}")
        Image.fromarray(strip(shown)).save(folder / STRIP, pnginfo=tags)
        files = {file.name: file_sha256(file) for file in sorted(folder.iterdir())}
        about = prepared.to_json() | {
            "what_this_is": "pictures dreamt by a world model; none of them was recorded, but for panels named so",
            "world": _world_facts(prepared, weights, digest),
            **redrawn,
            "panels": list(shown.panels),
            "notes": [*prepared.notes, *_alike(dreams)],
            "files": files,
            "command": shlex.join(replay),
            "environment": describe_environment() | {"hardware": hardware()},
            "seconds_a_frame": took_s / (prepared.steps * len(dreams)),
        }
        write_json(folder / PROVENANCE, about)
    return about


def _need_to_render(loaded: LoadedRun) -> None:
    world, name = loaded.world, f"{loaded.path} ({loaded.family})"
    if isinstance(world, Policy):
        raise ConfigError(f"{name} is a policy, which foretells nothing; give the run of a world, such as vmc, diffusion or autoregressive")
    if not isinstance(world, World):
        raise ConfigError(f"{name} is no world: it does not step by actions; give the run of one, such as vmc, diffusion or autoregressive")
    if not isinstance(world, Renders):
        raise ConfigError(f"{name} foretells latents and draws no pictures; train vmc, diffusion or autoregressive to see its dreams")


def _choose_device(name: str) -> torch.device:
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"--device {name}: no GPU is here; leave it out, or give cpu")
    return choose_device(TrainConfig(device=name))


def _check_memory(steps: int, job: DreamJob, loaded: LoadedRun) -> None:
    """ConfigError, with the estimate, where the pictures of a dream do not fit into memory."""
    height, width = loaded.world.spec.sees
    step_s, each = loaded.world.spec.seconds_per_step, 3 * height * width * (job.samples + 1)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if steps * each > MEMORY_SHARE * memory:
        raise ConfigError(
            f"{steps:,} steps ({steps * step_s:,.0f} s) of {job.samples} dreams of {height} x {width} pixels need "
            f"{steps * each / 1e9:,.1f} GB, this machine has {memory / 1e9:,.1f}; with --samples {job.samples} ask for at most "
            f"--seconds {int(MEMORY_SHARE * memory / each) * step_s:.0f}"
        )


def _actions(job: DreamJob, beginning: Beginning, commands: Commands, wanted: int | None, *, imagines: bool) -> StepActions:
    """What is done at each step: of the file, or as recorded. ConfigError or DataError where there is too little of it.

    A world that `imagines` needs nobody to say it, and can be told nothing where it has seen nothing.
    """
    if job.actions is not None and imagines and beginning.frames is None:
        raise ConfigError("actions lead on from something seen, and a text shows nothing; leave out --actions, or begin with a picture")
    if job.actions is not None:
        found, whose = actions_of_file(job.actions, job.actions_fps, commands), str(job.actions)
    elif job.actions_fps is not None:
        raise ConfigError(f"--actions-fps {job.actions_fps:g} says the rate of a file: give --actions FILE too")
    elif beginning.next_actions is not None:
        about = {"recorded": True, "rows": len(beginning.next_actions) * commands.a_step, "fps": commands.fps}
        found, whose = StepActions(values=beginning.next_actions, about=about), "what was recorded after that moment"
    elif imagines and wanted is not None:
        return unsaid(wanted)
    elif imagines:
        raise ConfigError("how long shall the dream be? Give --seconds S, or --actions FILE")
    else:
        raise ConfigError(f"what shall be done in the dream? Give --actions FILE (.npy, .csv or .json): this world takes {commands}")
    most = len(found.values)
    if wanted is not None and wanted > most:
        raise DataError(
            f"{whose} makes {most} steps ({most * commands.seconds_per_step:g} s); --seconds {job.seconds:g} needs {wanted}, which are "
            f"{wanted * commands.a_step} {commands}"
        )
    return replace(found, values=found.values[:wanted], about=found.about | {"steps_made": most, "steps_used": wanted or most})


def _dream(prepared: PreparedDream, seed: int, on_step: Callable[[int, int], None] | None) -> UInt8[np.ndarray, "t h w 3"]:
    """One sample: the picture after each action."""
    height, width = prepared.loaded.world.spec.sees
    frames = np.empty((prepared.steps, height, width, 3), np.uint8)
    before, total = (seed - prepared.job.seed) * prepared.steps, prepared.steps * prepared.job.samples
    for step, picture in enumerate(_pictures(prepared, seed)):
        frames[step] = picture
        if on_step is not None:
            on_step(before + step + 1, total)
    return frames


@torch.no_grad()
def _pictures(prepared: PreparedDream, seed: int) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    world = prepared.loaded.world.to(prepared.device)
    with evaluating(world) as device:
        rng = seeded(seed, device)
        for step, picture in enumerate(_drawn(prepared, world, _prompt(prepared.beginning, device), rng)):
            if not bool(torch.isfinite(picture).all()):
                raise WorldError(f"after step {step} the world draws NaN or infinity; its weights are damaged: train it again")
            yield to_disk(picture)


def _drawn(prepared: PreparedDream, world: World, prompt: Prompt, rng: Generator) -> Iterator[Float[Tensor, "3 h w"]]:
    """Step by step what is done leads to; at once where nobody says what that is."""
    if not prepared.actions.said:
        yield from world.imagine(prompt, rng, steps=prepared.steps)[0]
        return
    state, codes = world.start(prompt, rng), []
    for action in torch.from_numpy(prepared.actions.values.copy()).to(rng.device):
        state = world.step(state, action[None], rng)
        if prepared.decoder is None:
            yield world.render(state)["rgb"][0]
        else:
            codes.append(world.codes(state))
    if prepared.decoder is not None:
        yield from prepared.decoder.world.to(rng.device).decode(torch.stack(codes, dim=1), rng)[0]


def _prompt(beginning: Beginning, device: torch.device) -> Prompt:
    frames = None if beginning.frames is None else to_model(beginning.frames)[None].to(device)
    actions = None if beginning.actions is None else torch.from_numpy(beginning.actions.copy())[None].to(device)
    text = None if beginning.text is None else [beginning.text]
    return Prompt(frames=frames, actions=actions, text=text, cameras=beginning.cameras or None)


def _shown(prepared: PreparedDream, dreams: dict[int, np.ndarray], digest: str) -> Shown:
    """What really happened is shown only beside the actions that were really done."""
    spec, beginning, cameras = prepared.loaded.world.spec, prepared.beginning, prepared.loaded.cameras
    recorded = (
        {} if prepared.job.actions is not None or beginning.next_frames is None else {RECORDED: beginning.next_frames[: prepared.steps]}
    )
    context = np.empty((0, *spec.sees, 3), np.uint8) if beginning.frames is None else beginning.frames
    if beginning.cameras:
        alone = np.split(context, len(beginning.cameras), axis=2)
        context = beside(dict(zip(beginning.cameras, alone, strict=True)), cameras)
    return Shown(
        panels=recorded | {f"dream, seed {seed}": frames for seed, frames in dreams.items()},
        context=context,
        seconds_per_step=spec.seconds_per_step,
        foot=f"dreamt by a world model, {digest[:8]}",
    )


def _world_facts(prepared: PreparedDream, weights: Path, digest: str) -> dict:
    recorded = prepared.loaded.recorded
    return {
        "weights": str(weights.resolve()),
        "weights_sha256": digest,
        "which": prepared.job.weights,
        "config": recorded["config"],
        "trained_on": recorded["data_path"],
        "trained_by": shlex.join(recorded["replay"]),
    }


def _alike(dreams: dict[int, np.ndarray]) -> list[str]:
    """A world that draws nothing at random dreams one dream."""
    first, *others = dreams.values()
    if others and all(np.array_equal(first, other) for other in others):
        return [f"all {len(dreams)} samples are the same: this world leaves nothing to chance (see model.temperature, model.boldness)"]
    return []
