"""Pictures of a compiled scene, drawn offscreen by MuJoCo on whichever OpenGL the machine has.

Every picture is `h w ...` with row 0 on top. A renderer has an OpenGL context to itself for all its pictures: MuJoCo leaves settings of the
last renderer made in a context, and the earlier ones would draw wrong light and shadows. A closed one leaves its context to the next one
of its thread, which draws the same to the bit, and sooner: with llvmpipe it is made in 4 ms instead of 70, and its first pictures take
10 ms instead of 35.
"""

import atexit
import ctypes
import os
import platform
import threading
import weakref
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from armillary.core import ConfigError
from armillary.worlds.twin.extra import needs
from armillary.worlds.twin.mujoco_compile import Compiled
from armillary.worlds.twin.mujoco_light import FAR_M, NEAR_M
from armillary.worlds.twin.quality import Quality

_LIBRARIES = {"egl": ("libEGL.so.1",), "osmesa": ("libOSMesa.so.8", "libOSMesa.so.6", "libOSMesa.so")}


class _Idle(threading.local):
    """The context that a thread's last closed renderer left; a context can only be used in the thread where it is current."""

    context: Any = None


_idle = _Idle()
_contexts: weakref.WeakSet = weakref.WeakSet()  # those of every thread, each of which ends with its thread


class Renderer:
    """Draws one compiled scene at one size; close it, or use it in a `with`, when done. Only the thread that made it may draw with it.

    ConfigError if this machine has no offscreen OpenGL.
    """

    def __init__(self, compiled: Compiled, *, height: int, width: int, quality: Quality):
        if height < 1 or width < 1:
            raise ConfigError(f"a picture's height and width must be >= 1, received {height} and {width}")
        self._mujoco = mujoco = needs("mujoco")
        self.height, self.width, self._compiled = height, width, compiled
        model = compiled.model
        model.vis.global_.offheight, model.vis.global_.offwidth = height, width
        settings = model.vis.quality
        settings.shadowsize, settings.offsamples = max(quality.shadow_map, 1), quality.samples
        settings.numslices, settings.numstacks = quality.slices, quality.stacks
        self._gl = _take_context()
        self._gl.make_current()
        self._drawing = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._drawing)
        self._drawing.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        self._free = weakref.finalize(self, _free, self._gl, self._drawing)
        self._free.atexit = False  # runs too late for EGL, which ends at exit itself
        atexit.register(self._free)
        self._scene = mujoco.MjvScene(model, maxgeom=model.ngeom + 100)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = quality.shadow_map > 0
        self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
        self._option, self._camera = mujoco.MjvOption(), mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._area = mujoco.MjrRect(0, 0, width, height)
        self._body_of_colour = np.zeros(1, dtype=np.int64)  # 0 is the sky

    def look(self, data: Any, camera: str) -> None:
        """Take up where everything is, for what is drawn next. `data`: a mujoco.MjData after mj_kinematics, mj_comPos and mj_camlight."""
        self._camera.fixedcamid = self._compiled.cameras[camera]
        everything = self._mujoco.mjtCatBit.mjCAT_ALL.value
        self._mujoco.mjv_updateScene(self._compiled.model, data, self._option, None, self._camera, everything, self._scene)
        if len(self._body_of_colour) != self._scene.ngeom + 1:
            self._body_of_colour = self._bodies_by_colour()

    def rgb(self) -> UInt8[np.ndarray, "h w 3"]:
        """What the camera sees."""
        self._draw()
        found = np.empty((self.height, self.width, 3), dtype=np.uint8)
        self._mujoco.mjr_readPixels(found, None, self._area, self._drawing)
        return np.ascontiguousarray(found[::-1])

    def depth_and_bodies(self) -> tuple[Float32[np.ndarray, "h w"], Int64[np.ndarray, "h w"]]:
        """Metres along the camera's axis, and the id of the body seen; both 0 where nothing is. One drawing gives both."""
        flags, kinds = self._scene.flags, self._mujoco.mjtRndFlag
        flags[kinds.mjRND_SEGMENT] = flags[kinds.mjRND_IDCOLOR] = True
        self._draw()
        flags[kinds.mjRND_SEGMENT] = flags[kinds.mjRND_IDCOLOR] = False
        colours = np.empty((self.height, self.width, 3), dtype=np.uint8)
        raw = np.empty((self.height, self.width), dtype=np.float32)
        self._mujoco.mjr_readPixels(colours, raw, self._area, self._drawing)
        parts = colours[::-1].astype(np.int32)
        bodies = self._body_of_colour.take(parts[..., 0] + 256 * parts[..., 1] + 65536 * parts[..., 2])
        # Depth is kept reversed (1 near, 0 far), which is linear in 1 / distance.
        distance = NEAR_M * FAR_M / (NEAR_M + raw[::-1].astype(np.float64) * (FAR_M - NEAR_M))
        return np.where(bodies > 0, distance, 0.0).astype(np.float32), bodies

    def close(self) -> None:
        """Free what the graphics driver holds, all but the context, which the thread's next renderer takes; closing twice does no harm."""
        atexit.unregister(self._free)
        if self._free.detach() is None:
            return
        self._gl.make_current()
        self._drawing.free()
        if _idle.context is None:
            _idle.context = self._gl
        else:
            self._gl.free()

    def __enter__(self) -> "Renderer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _draw(self) -> None:
        if not self._free.alive:
            raise ConfigError("this renderer was closed; make another one")
        self._gl.make_current()
        self._mujoco.mjr_render(self._area, self._scene, self._drawing)

    def _bodies_by_colour(self) -> Int64[np.ndarray, " n"]:
        """The body of each colour that MuJoCo draws ids in: 0 is the sky, 1 + n the n-th drawn geom, the same one in every picture."""
        found = np.zeros(self._scene.ngeom + 1, dtype=np.int64)
        kind = self._mujoco.mjtObj.mjOBJ_GEOM
        for geom in self._scene.geoms[: self._scene.ngeom]:
            if geom.objtype == kind and geom.segid >= 0:
                found[geom.segid + 1] = self._compiled.model.geom_bodyid[geom.objid]
        return found


def _free(gl: Any, drawing: Any) -> None:
    """In the context that it belongs to: elsewhere it would free what another renderer draws with."""
    gl.make_current()
    drawing.free()
    gl.free()


def _take_context() -> Any:
    """The one that this thread has left over, or a new one."""
    found, _idle.context = _idle.context, None
    if found is None:
        found = _new_context()
        if not _contexts:
            atexit.register(_free_contexts)  # after the renderers, which are younger, and before EGL, which is older
        _contexts.add(found)
    return found


def _free_contexts() -> None:
    for context in list(_contexts):
        context.free()


def _new_context() -> Any:
    wanted = os.environ.get("MUJOCO_GL", "").strip().lower()
    if platform.system() != "Linux":
        return needs("mujoco.rendering.classic.gl_context").GLContext(64, 64)
    tried = [wanted] if wanted in _LIBRARIES else list(_LIBRARIES)
    found = next((name for name in tried if _has(name)), None)
    if found is None:
        raise ConfigError(
            f"no offscreen OpenGL on this machine (looked for {' and '.join(tried)}); "
            "on Debian or Ubuntu: apt-get install libegl1 libgl1-mesa-dri, or apt-get install libosmesa6"
        )
    try:
        # The size is that of a surface that nobody draws on: pictures are drawn into MuJoCo's own buffers.
        return needs(f"mujoco.{found}").GLContext(64, 64)
    except (RuntimeError, ImportError, AttributeError) as error:
        raise ConfigError(
            f"{found} is on this machine but gives no OpenGL context ({error}); on Debian or Ubuntu: apt-get install libgl1-mesa-dri, "
            "or apt-get install libosmesa6 and set MUJOCO_GL=osmesa"
        ) from error


def _has(name: str) -> bool:
    for library in _LIBRARIES[name]:
        try:
            loaded = ctypes.CDLL(library)
        except OSError:
            continue
        return name != "egl" or _egl_devices(loaded) > 0
    return False


def _egl_devices(egl: ctypes.CDLL) -> int:
    """How many devices EGL can draw on without a screen; 0 where there is no driver."""
    egl.eglGetProcAddress.restype = ctypes.c_void_p
    egl.eglGetProcAddress.argtypes = [ctypes.c_char_p]
    address = egl.eglGetProcAddress(b"eglQueryDevicesEXT")
    if not address:
        return 0
    query = ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int))(address)
    count = ctypes.c_int(0)
    return count.value if query(0, None, ctypes.byref(count)) else 0
