"""diffusers' pipeline over a release: its parts loaded one by one from safetensors, and the guardrail."""

import importlib
from types import ModuleType, SimpleNamespace

import torch
from torch import Tensor

from armillary.core import CheckpointError, ConfigError
from armillary.worlds.cosmos.config import CosmosConfig
from armillary.worlds.cosmos.released import WEIGHTS, Release

_INSTALL = 'run: pip install -e ".[cosmos]"'


class AlreadyChecked:
    """Stands where diffusers wants a guardrail: the world asks the true one itself, where a refusal can be told."""

    def to(self, device: object) -> None:
        """Nothing to move."""

    def check_text_safety(self, text: str) -> bool:
        """Asked before."""
        return True

    def check_video_safety(self, frames):
        """Asked afterwards."""
        return frames


def load_guardrail(config: CosmosConfig):
    """NVIDIA's guardrail; None where the settings do without. ConfigError where it is not installed or finds no weights of its own."""
    if not config.safety_checker:
        return None
    without = "or set safety_checker to false, if your use and its licence allow that"
    try:
        from cosmos_guardrail import CosmosSafetyChecker
    except ImportError as error:
        raise ConfigError(
            f"the model's licence asks for NVIDIA's guardrail; run: pip install cosmos_guardrail ({error}); {without}"
        ) from error
    try:
        return CosmosSafetyChecker()
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        raise ConfigError(
            f"NVIDIA's guardrail could not be started ({error}); it fetches its own weights from the hub, whose licence must be accepted "
            f"there; {without}"
        ) from error


def load_pipeline(release: Release, config: CosmosConfig, device: torch.device):
    """The pipeline with every part on the device (or, with `offload`, in RAM until its turn). ConfigError without diffusers."""
    diffusers, transformers = _needed("diffusers"), _needed("transformers")
    _stand_in_for_torchvision()
    parts = {}
    for part, name in release.classes.items():
        library = transformers if part in ("text_encoder", "tokenizer") else diffusers
        parts[part] = _load(getattr(library, name), release, part, config.dtype_of(part, device))
    pipeline = getattr(diffusers, release.name)(**parts, safety_checker=AlreadyChecked())
    pipeline.set_progress_bar_config(disable=True)
    if config.offload:
        pipeline.enable_model_cpu_offload(device=device)
    else:
        pipeline.to(device)
    return pipeline


def _needed(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(f"released Cosmos models are run by {module}, which is not installed ({error}); {_INSTALL}") from error


def _load(kind: type, release: Release, part: str, dtype: torch.dtype):
    """A part, in evaluation mode and frozen where it has weights. CheckpointError where some are missing or of another shape."""
    folder = release.folder / part
    try:
        if part not in WEIGHTS:
            return kind.from_pretrained(folder, local_files_only=True)
        settings = {"dtype": dtype, "use_safetensors": True, "local_files_only": True, "output_loading_info": True}
        module, found = kind.from_pretrained(folder, **settings)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise CheckpointError(f"{folder} could not be loaded as {kind.__name__}: {error}; download the model again") from error
    missing = sorted(found["missing_keys"])
    if missing:
        raise CheckpointError(f"{folder} lacks {len(missing)} tensors ({', '.join(missing[:3])}); download the model again")
    return module.eval().requires_grad_(False)


def _stand_in_for_torchvision() -> None:
    """diffusers' transformer asks torchvision for one thing, the padding mask in the latents' size; without it torch does that."""
    module = importlib.import_module("diffusers.models.transformers.transformer_cosmos")
    if not hasattr(module, "transforms"):
        nearest = SimpleNamespace(NEAREST="nearest")
        module.transforms = SimpleNamespace(functional=SimpleNamespace(resize=_resize), InterpolationMode=nearest)


def _resize(picture: Tensor, size: list[int], interpolation: str) -> Tensor:
    return torch.nn.functional.interpolate(picture, size=size, mode=interpolation)
