"""TwinWorld: a scene as a World, its whole truth in the state."""

import math
import threading
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Generator, Tensor

from armillary.core import Action, ConfigError, Embeds, Prompt, Renders, State, World, WorldError, WorldSpec, to_model
from armillary.worlds.twin.asset import Joint
from armillary.worlds.twin.extra import needs
from armillary.worlds.twin.mujoco_compile import Compiled, compile_scene
from armillary.worlds.twin.placing import place
from armillary.worlds.twin.quality import quality_of
from armillary.worlds.twin.rendering import Renderer
from armillary.worlds.twin.scene import Camera, Scene
from armillary.worlds.twin.seen import Placement, Shot, View, flow, normals
from armillary.worlds.twin.starting import starting_speeds
from armillary.worlds.twin.touch import Contacts, contacts_of, points_of

MODALITIES = ("rgb", "depth", "segmentation", "normals")
RECORDED = (*MODALITIES, "flow")  # what a dataset can hold: flow needs the next picture too


@dataclass(frozen=True)
class TwinState(State):
    """MuJoCo's physics state: time, positions, speeds, what the solver starts from and the drives' controls. Base SI units."""

    physics: Float64[Tensor, "b s"]


@dataclass(frozen=True, kw_only=True)
class Label:
    """What the pixels of one segmentation id show. `kind` is the body's own label, else its asset's."""

    thing: str
    body: str
    kind: str


class TwinWorld(World[TwinState], Renders, Embeds):
    """A scene that is simulated.

    The action (Box) is one number per drive, in the order of `drives`: the position wanted (m, rad) where the drive is stiff, else the
    speed (m/s, rad/s) where it damps, else the force (N, N m). Beyond its bounds it counts as the bound; they are the joint's limits or
    what `max_force` can do from rest, a turn either way for a hinge without either, and none where nothing says. `targets` is the action
    that asks for what the scene's drives ask for.

    `Prompt.layout` takes names of hinges and slides (`thing/joint`: a position, one per world, or "random" within the limits) and of bodies
    that fly freely (`thing/body`: x y z, or x y z and a quaternion w x y z, or one such row per world).

    `camera` names one of the scene's (the first if left out); `modalities` is what `render` shows, of MODALITIES. Where a row becomes
    unstable, WorldError names the thing and the time. Threads may share a world: each has its own MuJoCo data and renderer.
    ConfigError for settings that do not fit, and, once something is drawn, where the machine has no offscreen OpenGL.
    """

    def __init__(
        self,
        scene: Scene,
        *,
        size: tuple[int, int] = (128, 128),
        seconds_per_step: float = 0.05,
        camera: str = "",
        quality: str = "fast",
        modalities: tuple[str, ...] = ("rgb",),
    ):
        self._mujoco = mujoco = needs("mujoco")
        self.scene, self.size, self.quality, self.modalities = scene, size, quality_of(quality), modalities
        self.camera = _camera(scene, camera)
        self.substeps = _substeps(scene, seconds_per_step)
        if "rgb" not in modalities or set(modalities) - set(MODALITIES):
            raise ConfigError(f"modalities must hold rgb and only {', '.join(MODALITIES)}, received {modalities}")
        self.compiled: Compiled = compile_scene(scene)
        self.drives = tuple(name for name, _ in self.compiled.drives)
        self.targets = torch.tensor([joint.drive.target for _, joint in self.compiled.drives], dtype=torch.float32)
        self.labels = _labels(self.compiled)
        bounds = np.array([_bounds(joint) for _, joint in self.compiled.drives], dtype=np.float32).reshape(-1, 2)
        self.spec = WorldSpec(
            observation_space=gymnasium.spaces.Box(0, 255, (*size, 3), np.uint8),
            action_space=gymnasium.spaces.Box(bounds[:, 0], bounds[:, 1], dtype=np.float32),
            seconds_per_step=seconds_per_step,
        )
        kinds = mujoco.mjtState
        self._parts = int(kinds.mjSTATE_FULLPHYSICS) | int(kinds.mjSTATE_WARMSTART) | int(kinds.mjSTATE_CTRL)
        self._state_size = mujoco.mj_stateSize(self.compiled.model, self._parts)
        self._thread = threading.local()  # .data, .renderer: room to work in, never a position to keep

    def start(self, prompt: Prompt, rng: Generator) -> TwinState:
        """The scene as it was placed, changed by the layout, with the speeds that it gives; drives hold their targets."""
        data, found = self._data(), np.empty((prompt.batch_size, self._state_size))
        placed, speeds = place(self.compiled, prompt.layout or {}, prompt.batch_size, rng), starting_speeds(self.compiled)
        for row in range(prompt.batch_size):
            self._mujoco.mj_resetData(self.compiled.model, data)
            data.ctrl[:], data.qvel[:] = self.targets.double().numpy(), speeds
            for address, values in placed.items():
                data.qpos[address : address + values.shape[1]] = values[row]
            self._mujoco.mj_getState(self.compiled.model, data, found[row], self._parts)
        return TwinState(physics=torch.from_numpy(found))

    def step(self, state: TwinState, action: Action, rng: Generator) -> TwinState:
        """`seconds_per_step` in substeps of the scene's `seconds_per_substep`."""
        controls = self._bounded(action, state)
        found = np.empty((state.batch_size, self._state_size))
        for row in range(state.batch_size):
            data = self._placed(state, row)
            data.ctrl[:] = controls[row]
            self._mujoco.mj_step(self.compiled.model, data, self.substeps)
            self._refuse_unstable(data, row)
            self._mujoco.mj_getState(self.compiled.model, data, found[row], self._parts)
        return TwinState(physics=torch.from_numpy(found))

    def observe(self, state: TwinState, action: Action, observation: Float[Tensor, "b c h w"], rng: Generator) -> TwinState:
        """The state after `action`: a twin knows its truth, and learns nothing from a picture of itself."""
        return self.step(state, action, rng)

    def render(self, state: TwinState) -> dict[str, Tensor]:
        """The world's modalities from its camera, as `look` gives them."""
        return self.look(state, self.camera.name, self.modalities)

    def look(self, state: TwinState, camera: str, modalities: tuple[str, ...] = MODALITIES) -> dict[str, Tensor]:
        """What a camera of the scene sees.

        rgb `b 3 h w` in [0, 1]; depth `b 1 h w` in metres along the camera's axis, 0 where nothing is; segmentation `b 1 h w` int64, an
        index into `labels`, 0 where nothing is; normals `b 3 h w`, in the camera's frame (x right, y up, z back), 0 where nothing is.
        """
        rows = []
        for row in range(state.batch_size):
            shot = self.shoot(state, camera, row=row, rgb="rgb" in modalities, view=bool(set(modalities) - {"rgb"}))
            rows.append(_pictures(shot, modalities))
        return {name: torch.stack([pictures[name] for pictures in rows]) for name in modalities}

    def shoot(self, state: TwinState, camera: str, *, row: int = 0, rgb: bool = True, view: bool = True) -> Shot:
        """What a camera of the scene sees in one row of a batch, as NumPy arrays: the picture, and the geometry if `view`."""
        name = _camera(self.scene, camera).name
        renderer, data = self._renderer(), self._posed(state, row)
        renderer.look(data, name)
        return Shot(rgb=renderer.rgb() if rgb else None, view=self._view(renderer, data, name) if view else None)

    def placement(self, state: TwinState, camera: str, *, row: int = 0) -> Placement:
        """Where a camera of the scene and every body are in one row of a batch; draws nothing."""
        return self._placement(self._posed(state, row), _camera(self.scene, camera).name)

    def flow(self, state: TwinState, later: TwinState, camera: str = "") -> Float[Tensor, "b 2 h w"]:
        """How far what each pixel shows moves in the picture until `later`: pixels right and down. NaN: it gets behind the camera."""
        name, found = camera or self.camera.name, []
        for row in range(state.batch_size):
            now = self.shoot(state, name, row=row, rgb=False).view
            found.append(torch.from_numpy(flow(now, self.placement(later, name, row=row))))
        return torch.stack(found)

    def contacts(self, state: TwinState) -> Contacts:
        """Which bodies touch, and how hard they press: what acts in the first substep after the state."""
        found = []
        for row in range(state.batch_size):
            data = self._placed(state, row)
            self._mujoco.mj_forward(self.compiled.model, data)
            found.append(points_of(data))
        return contacts_of(self.compiled.model, found)

    def embed(self, state: TwinState) -> Float[Tensor, "b d"]:
        """Every position (m, rad, quaternions) and every speed, in MuJoCo's order."""
        model = self.compiled.model
        return state.physics[:, 1 : 1 + model.nq + model.nv].float()  # time comes first

    def poses(self, state: TwinState) -> Float64[Tensor, "b n 4 4"]:
        """world_from_body of every body, by its index in `labels`; the first is the world's own."""
        return torch.stack([torch.from_numpy(_world_from_body(self._posed(state, row))) for row in range(state.batch_size)])

    def close(self) -> None:
        """Free this thread's renderer; the next picture makes another."""
        renderer = getattr(self._thread, "renderer", None)
        if renderer is not None:
            renderer.close()
            self._thread.renderer = None

    def _data(self) -> Any:
        if not hasattr(self._thread, "data"):
            self._thread.data = self._mujoco.MjData(self.compiled.model)
        return self._thread.data

    def _renderer(self) -> Renderer:
        if getattr(self._thread, "renderer", None) is None:
            height, width = self.size
            self._thread.renderer = Renderer(self.compiled, height=height, width=width, quality=self.quality)
        return self._thread.renderer

    def _placed(self, state: TwinState, row: int) -> Any:
        data = self._data()
        self._mujoco.mj_resetData(self.compiled.model, data)
        self._mujoco.mj_setState(self.compiled.model, data, np.ascontiguousarray(state.physics[row].numpy()), self._parts)
        return data

    def _posed(self, state: TwinState, row: int) -> Any:
        """Only for looking: what a reset would clear does not show."""
        data, model = self._data(), self.compiled.model
        self._mujoco.mj_setState(model, data, np.ascontiguousarray(state.physics[row].numpy()), self._parts)
        for work in (self._mujoco.mj_kinematics, self._mujoco.mj_comPos, self._mujoco.mj_camlight):
            work(model, data)
        return data

    def _view(self, renderer: Renderer, data: Any, camera: str) -> View:
        depth_m, bodies = renderer.depth_and_bodies()
        fov_y_deg = float(self.compiled.model.cam_fovy[self.compiled.cameras[camera]])
        return View(depth_m=depth_m, bodies=bodies, fov_y_deg=fov_y_deg, placement=self._placement(data, camera))

    def _placement(self, data: Any, camera: str) -> Placement:
        number, world_from_camera = self.compiled.cameras[camera], np.eye(4)
        world_from_camera[:3, :3], world_from_camera[:3, 3] = data.cam_xmat[number].reshape(3, 3), data.cam_xpos[number]
        return Placement(world_from_camera=world_from_camera, world_from_body=_world_from_body(data))

    def _bounded(self, action: Action, state: TwinState) -> Float64[np.ndarray, "b a"]:
        space = self.spec.action_space
        expected = (state.batch_size, *space.shape)
        if tuple(action.shape) != expected or not bool(torch.isfinite(action).all()):
            problem = f"shape {tuple(action.shape)}" if tuple(action.shape) != expected else "numbers that are not finite"
            raise WorldError(f"the action must be finite and have shape {expected}, received {problem}")
        return action.detach().cpu().numpy().astype(np.float64).clip(space.low, space.high)

    def _refuse_unstable(self, data: Any, row: int) -> None:
        """MuJoCo counts what went wrong; WorldError names where."""
        kinds, model = self._mujoco.mjtWarning, self.compiled.model
        for kind in np.flatnonzero(data.warning.number).tolist():
            warning = data.warning[kind]
            if kind == kinds.mjWARN_BADQPOS:
                body = model.jnt_bodyid[np.searchsorted(model.jnt_qposadr, warning.lastinfo, side="right") - 1]
            elif kind in (kinds.mjWARN_BADQVEL, kinds.mjWARN_BADQACC, kinds.mjWARN_INERTIA):
                body = model.dof_bodyid[warning.lastinfo]
            else:
                body = 0
            where = f"thing {self.labels[body].thing!r}, body {self.labels[body].body!r}" if body else "the scene"
            raise WorldError(
                f"scene {self.scene.name!r}, row {row}: {where} became unstable by {data.time:.3f} s ({kinds(kind).name}); try a smaller "
                f"seconds_per_substep than {self.scene.seconds_per_substep}, or look for light bodies with stiff drives or deep overlaps"
            )


def _pictures(shot: Shot, modalities: tuple[str, ...]) -> dict[str, Tensor]:
    found = {}
    if shot.rgb is not None:
        found["rgb"] = to_model(shot.rgb)
    if shot.view is not None:
        found["depth"] = torch.from_numpy(shot.view.depth_m)[None]
        found["segmentation"] = torch.from_numpy(shot.view.bodies)[None]
        if "normals" in modalities:
            found["normals"] = torch.from_numpy(normals(shot.view)).movedim(-1, 0)
    return found


def _camera(scene: Scene, name: str) -> Camera:
    if not scene.cameras:
        raise ConfigError(f"scene {scene.name!r} has no camera; add one: Camera.looking('front', at=(0, 0, 0), eye=(1, -1, 1))")
    found = {camera.name: camera for camera in scene.cameras}
    if name and name not in found:
        raise ConfigError(f"scene {scene.name!r} has no camera {name!r}; it has {', '.join(found)}")
    return found[name] if name else scene.cameras[0]


def _substeps(scene: Scene, seconds_per_step: float) -> int:
    count = round(seconds_per_step / scene.seconds_per_substep)
    if count < 1 or not math.isclose(count * scene.seconds_per_substep, seconds_per_step, rel_tol=1e-6):
        raise ConfigError(
            f"seconds_per_step must be a whole number of substeps of {scene.seconds_per_substep} s, received {seconds_per_step}"
        )
    return count


def _bounds(joint: Joint) -> tuple[float, float]:
    """The lowest and the highest action of a driven joint."""
    drive = joint.drive
    stiffness, damping = drive.stiffness.value, drive.damping.value
    if stiffness and joint.limits:
        return joint.limits[0].value, joint.limits[1].value
    if drive.max_force is not None:
        reach = drive.max_force.value / (stiffness or damping or 1.0)
        return -reach, reach
    turn = 2 * math.pi if stiffness and joint.kind == "hinge" else math.inf
    return -turn, turn


def _labels(compiled: Compiled) -> tuple[Label, ...]:
    found = {0: Label(thing="", body="", kind="")}
    for thing in compiled.scene.things:
        for body in thing.asset.from_root():  # a frame's id is that of the body that follows it
            kind = body.label or thing.asset.label
            found[compiled.bodies[f"{thing.name}/{body.name}"]] = Label(thing=thing.name, body=body.name, kind=kind)
    return tuple(found[number] for number in sorted(found))


def _world_from_body(data: Any) -> Float64[np.ndarray, "n 4 4"]:
    found = np.tile(np.eye(4), (len(data.xpos), 1, 1))
    found[:, :3, :3], found[:, :3, 3] = data.xmat.reshape(-1, 3, 3), data.xpos
    return found
