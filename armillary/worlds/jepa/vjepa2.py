"""V-JEPA 2 (arXiv:2506.09985): encoder, predictor, and the slow encoder whose answers the predictor must foresee."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from armillary.core import ConfigError, Loss
from armillary.worlds.jepa.masking import Masking
from armillary.worlds.jepa.predictor import Predictor
from armillary.worlds.jepa.vit import EncoderSizes, VisionTransformer, choose

# Released encoders expect pictures normalised by ImageNet's mean and deviation.
PIXEL_MEAN = (0.485, 0.456, 0.406)
PIXEL_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True)
class Sizes(EncoderSizes):
    """How large encoder and predictor are."""

    predictor_width: int = 64
    predictor_depth: int = 3
    predictor_heads: int = 2
    predictor_mlp_ratio: float = 4.0
    num_mask_tokens: int = 2

    def __post_init__(self):
        super().__post_init__()
        for name in ("predictor_width", "predictor_depth", "predictor_heads"):
            if getattr(self, name) < 1:
                raise ConfigError(f"model.{name} must be >= 1, received {getattr(self, name)}")
        if self.predictor_width % self.predictor_heads:
            raise ConfigError(
                f"model.predictor_width must be a multiple of model.predictor_heads, received {self.predictor_width} and "
                f"{self.predictor_heads}"
            )


class VJepa2(nn.Module):
    """Encoder, predictor and target encoder. The target encoder starts as a copy and is never trained, only averaged into."""

    def __init__(self, sizes: Sizes):
        super().__init__()
        self.sizes = sizes
        shared = {"rotary": sizes.rotary, "bias": sizes.bias}
        self.encoder = VisionTransformer(
            width=sizes.width,
            depth=sizes.depth,
            heads=sizes.heads,
            mlp_ratio=sizes.mlp_ratio,
            patch_size=sizes.patch_size,
            tubelet_size=sizes.tubelet_size,
            **shared,
        )
        self.predictor = Predictor(
            encoder_width=sizes.width,
            width=sizes.predictor_width,
            depth=sizes.predictor_depth,
            heads=sizes.predictor_heads,
            mlp_ratio=sizes.predictor_mlp_ratio,
            num_mask_tokens=sizes.num_mask_tokens,
            **shared,
        )
        self.target_encoder = copy.deepcopy(self.encoder).requires_grad_(False)
        self.register_buffer("pixel_mean", torch.tensor(PIXEL_MEAN)[:, None, None], persistent=False)
        self.register_buffer("pixel_std", torch.tensor(PIXEL_STD)[:, None, None], persistent=False)

    def normalise(self, frames: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b t 3 h w"]:
        """Pictures in [0, 1] as the encoders see them."""
        return (frames - self.pixel_mean) / self.pixel_std

    def encode(self, frames: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b times rows columns d"]:
        """What the target encoder, the one to use after training, makes of pictures in [0, 1]: a vector a tubelet and patch.

        `t` is a multiple of the tubelet, or 1 for a still picture. WorldError when the pictures cannot be cut into whole patches.
        """
        grid = self.target_encoder.grid(frames.shape)
        return self.target_encoder(self.normalise(frames)).unflatten(1, (grid.times, grid.rows, grid.columns))

    @torch.no_grad()
    def targets(self, pixels: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b n d"]:
        """What is to be predicted: the target encoder's tokens of the whole video, each normalised to mean 0 and deviation 1."""
        return functional.layer_norm(self.target_encoder(pixels).float(), (self.sizes.width,))

    def prediction_loss(self, frames: Float[Tensor, "b t 3 h w"], maskings: Sequence[Masking]) -> Loss:
        """Mean absolute error of the predicted tokens, averaged over the maskings (eq. 1, arXiv:2506.09985).

        `mean_target` is the error of answering the batch's mean token everywhere, which a predictor must beat; `spread` is the
        targets' mean deviation over tokens, which falls to 0 when the encoder collapses.
        """
        pixels = self.normalise(frames)
        grid, targets = self.encoder.grid(frames.shape), self.targets(pixels)
        errors = []
        for masking in maskings:
            seen = self.encoder(pixels, masking.visible)
            predicted = self.predictor(seen, grid, masking.visible, masking.hidden)
            errors.append((predicted - choose(targets, masking.hidden)).abs().mean())
        flat = targets.flatten(0, 1)
        parts = {f"prediction_{number}": error.detach() for number, error in enumerate(errors)}
        parts |= {"mean_target": (flat - flat.mean(0)).abs().mean(), "spread": flat.std(0).mean()}
        return Loss(torch.stack(errors).mean(), parts)

    @torch.no_grad()
    def follow(self, momentum: float) -> None:
        """Move the target encoder: target <- momentum * target + (1 - momentum) * encoder."""
        slow, fast = list(self.target_encoder.parameters()), list(self.encoder.parameters())
        torch._foreach_lerp_(slow, fast, 1.0 - momentum)

    @torch.no_grad()
    def copy_to_target(self) -> None:
        """Make the target encoder equal to the encoder, as at the beginning."""
        self.target_encoder.load_state_dict(self.encoder.state_dict())
