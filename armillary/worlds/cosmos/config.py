"""How a released model is run: the settings, and what each kind of model was released with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from armillary.core import ConfigError

DTYPES = ("bfloat16", "float16", "float32")
_T5 = {"text_encoder": ("T5EncoderModel",), "tokenizer": ("T5TokenizerFast", "T5Tokenizer")}
_QWEN = {"text_encoder": ("Qwen2_5_VLForConditionalGeneration",), "tokenizer": ("Qwen2TokenizerFast", "Qwen2Tokenizer")}
_FIRST = {"transformer": ("CosmosTransformer3DModel",), "vae": ("AutoencoderKLCosmos",), "scheduler": ("EDMEulerScheduler",)}
_LATER = {"transformer": ("CosmosTransformer3DModel",), "vae": ("AutoencoderKLWan",)}
SPACE_RATE = 8  # pixels to a latent, each way
SIDE_STEP = 2 * SPACE_RATE  # picture sides are multiples of this: 2 x 2 latents are a token


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A pipeline of diffusers: the classes that its parts may have, what it starts from, and what it was released with."""

    parts: Mapping[str, tuple[str, ...]]
    goes_on: bool  # from frames; otherwise it makes one chunk from text alone
    needs_frames: bool
    num_frames: int
    fps: float
    takes_fps: bool
    sampling_steps: int
    height: int = 704
    width: int = 1280


KINDS: dict[str, Kind] = {
    "CosmosTextToWorldPipeline": Kind(
        parts={**_FIRST, **_T5}, goes_on=False, needs_frames=False, num_frames=121, fps=30.0, takes_fps=True, sampling_steps=36
    ),
    "CosmosVideoToWorldPipeline": Kind(
        parts={**_FIRST, **_T5}, goes_on=True, needs_frames=True, num_frames=121, fps=30.0, takes_fps=True, sampling_steps=36
    ),
    "Cosmos2VideoToWorldPipeline": Kind(
        parts={**_LATER, **_T5, "scheduler": ("FlowMatchEulerDiscreteScheduler",)},
        goes_on=True,
        needs_frames=True,
        num_frames=93,
        fps=16.0,
        takes_fps=True,
        sampling_steps=35,
    ),
    "Cosmos2_5_PredictBasePipeline": Kind(
        parts={**_LATER, **_QWEN, "scheduler": ("UniPCMultistepScheduler",)},
        goes_on=True,
        needs_frames=False,
        num_frames=93,
        fps=16.0,
        takes_fps=False,
        sampling_steps=36,
    ),
}


@dataclass(frozen=True, kw_only=True)
class CosmosConfig:
    """Settings of a released model; 0 stands for what it was released with.

    A chunk has `num_frames` frames, the first `condition_frames` of which are the last of the one before (1, or 1 + those of a latent).
    `text` is said for prompts that bring no words. `device` "" is the GPU where there is one. `offload` keeps the parts in RAM and
    moves each to the GPU for its turn. `safety_checker` false runs the model without NVIDIA's guardrail, which its licence asks for.
    """

    height: int = 0
    width: int = 0
    num_frames: int = 0
    condition_frames: int = 0
    fps: float = 0.0
    sampling_steps: int = 0
    guidance: float = 7.0
    text: str = ""
    dtype: str = "bfloat16"
    device: str = ""
    offload: bool = False
    safety_checker: bool = True

    def __post_init__(self):
        if self.dtype not in DTYPES:
            raise ConfigError(f"dtype must be one of {', '.join(DTYPES)}, received {self.dtype!r}")
        for name in ("height", "width", "num_frames", "condition_frames", "fps", "sampling_steps"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must be positive, or 0 for what was released, received {getattr(self, name)}")

    def complete(self, kind: Kind, time_rate: int, max_latents: Sequence[int]) -> "CosmosConfig":
        """With what the kind was released with in place of every 0. ConfigError for a chunk that its networks cannot make.

        `time_rate` is how many frames a latent stands for, `max_latents` how many the transformer has places for: in time, down, across.
        """
        released = {name: getattr(kind, name) for name in ("height", "width", "num_frames", "fps", "sampling_steps")}
        released["condition_frames"] = 1 + time_rate
        whole = replace(self, **{name: getattr(self, name) or value for name, value in released.items()})
        for name in ("height", "width"):
            if getattr(whole, name) % SIDE_STEP:
                raise ConfigError(f"{name} must be a multiple of {SIDE_STEP}, received {getattr(whole, name)}")
        latents = (1 + (whole.num_frames - 1) // time_rate, whole.height // SPACE_RATE, whole.width // SPACE_RATE)
        if any(wanted > most for wanted, most in zip(latents, max_latents, strict=True)):
            raise ConfigError(
                f"{whole.num_frames} frames of {whole.height} x {whole.width} are {latents} latents, and the transformer has places for "
                f"{tuple(max_latents)}; draw fewer or smaller pictures"
            )
        if (whole.num_frames - 1) % time_rate:
            raise ConfigError(f"num_frames must be 1 + a multiple of {time_rate} (a latent's frames), received {whole.num_frames}")
        if whole.condition_frames not in (1, 1 + time_rate) or whole.condition_frames >= whole.num_frames:
            raise ConfigError(
                f"condition_frames must be 1 or {1 + time_rate} and fewer than num_frames ({whole.num_frames}), "
                f"received {whole.condition_frames}"
            )
        return whole

    def dtype_of(self, part: str, device: torch.device) -> torch.dtype:
        """What a part's numbers are kept as. A VAE without a GPU has float32: torch pools half as wide numbers on GPUs alone."""
        return torch.float32 if part == "vae" and device.type == "cpu" else getattr(torch, self.dtype)
