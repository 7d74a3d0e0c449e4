"""What computes a learned world while somebody plays it: torch here, ONNX Runtime, or torch on a GPU."""

import torch

from armillary.core import ConfigError, Portable, World

BACKENDS = ("eager", "onnx", "cuda")
EXPORTED = ("vmc",)  # the families whose worlds are Portable


def on_backend(world: World, backend: str, name: str) -> World:
    """The world, computed by the backend. `name` is what a person calls it. ConfigError where that cannot be, with what can."""
    if backend not in BACKENDS:
        raise ConfigError(f"the backend must be one of {', '.join(BACKENDS)}; received {backend!r}")
    if backend == "onnx":
        from armillary.serve.onnx_world import on_onnx

        if not isinstance(world, Portable):
            raise ConfigError(f"{name} cannot be exported to ONNX; families that can: {', '.join(EXPORTED)}; use --backend eager")
        return on_onnx(world)
    if backend == "cuda":
        from armillary.serve.moved_world import moved

        if not torch.cuda.is_available():
            raise ConfigError(f"torch {torch.__version__} finds no CUDA device here; use --backend eager or onnx")
        return moved(world, "cuda")
    return world


def refuse_backend(backend: str, name: str) -> None:
    """ConfigError where a backend was asked for and `name` is a simulator."""
    if backend != "eager":
        raise ConfigError(f"{name} is a simulator, which is computed as it is; --backend {backend} is for learned worlds")
