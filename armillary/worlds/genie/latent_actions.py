"""The latent action model: what was done between two frames, as one of a few codes, learned from pictures alone (arXiv:2402.15391, 2.1).

An encoder sees the frames up to the next one and says a code; a decoder sees the frames before it and that code alone, and draws the next
frame. Whatever the decoder cannot know from the past must pass through the code. The decoder is for training only.

A decoder tends to guess the next frame from the past and to ignore the code. Remedies, each with a setting that switches it off:
* `drop_past`: with this probability a window's decoder sees the latest frame only, so that no motion can be read from the past (frames of
  the decoder are masked so in TinyWorlds, github.com/AlmondGod/tinyworlds; here the latest frame is always left);
* `variance_weight`: a hinge on the deviation of each number of the latents over the batch (the form of VICReg, arXiv:2105.04906, eq. 1;
  the idea for latent actions is TinyWorlds'), so that the encoder does not say the same of all frames;
* `change_weight`: pixels that change count so many times more than those that stay (ours), for what is done often moves little;
* `reach`: the decoder may only move pixels, each patch by a mixture of displacements (arXiv:1605.07157, section 3.1), so that what passes
  through the code is motion. The encoder is told how well each patch matches displaced ones (a correlation, as in arXiv:1504.06852). With
  0 the decoder draws the change of every pixel instead.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor, nn
from torch.nn import functional

from armillary.nn.st_transformer import STTransformer
from armillary.nn.vector_quantise import VectorQuantiser
from armillary.worlds.genie.config import ModelConfig
from armillary.worlds.genie.patches import from_patches, to_patches

COLOURS = 3
CHANGED = 0.1  # a pixel of which a colour moved by more, of the 2 between black and white, has changed
WANTED_STD = 1.0
RESTART_AFTER = 10  # steps without use after which a latent action starts again: with so few, all should be in use
MATCH_SCALE = 0.03  # of the mean difference of two patches, of the 2 between black and white, that halves a match's weight and more
LEAST_WEIGHT = 1e-3  # of a patch in the mean over places: those that change more weigh more
STRAIGHT_STD = 3.0  # of the matches' own way to the latents: from the first step, frames that move differently differ
STAYS_AT_FIRST = 4.0  # logit of no displacement: most of a picture has not moved


class LatentActionModel(nn.Module):
    """Codes of actions from frames, and the next frame from frames and codes, on pictures made smaller by `action_shrink`."""

    def __init__(self, config: ModelConfig, grid: tuple[int, int]):
        super().__init__()
        self.config, self.grid, self.side = config, grid, config.patch // config.action_shrink
        width, numbers = config.action_width, COLOURS * self.side**2
        sizes = {"grid": grid, "width": width, "depth": config.action_depth, "heads": config.action_heads}
        self.displacements = (2 * config.reach + 1) ** 2
        self.enter = nn.Linear(numbers + self.displacements, width)
        self.encoder = STTransformer(**sizes, past_frames=config.context_steps)
        self.narrow = nn.Linear(width, config.action_size)
        self.straight = nn.Linear(self.displacements, config.action_size, bias=False)
        nn.init.normal_(self.straight.weight, std=STRAIGHT_STD)
        self.quantiser = VectorQuantiser(num_codes=config.num_actions, size=config.action_size, restart_after=RESTART_AFTER)
        self.enter_past = nn.Linear(numbers, width)
        self.enter_action = nn.Linear(config.action_size, width)
        self.decoder = STTransformer(**sizes, past_frames=config.context_steps)
        self.leave = nn.Linear(width, numbers)
        self.move = nn.Linear(width, self.displacements)
        for last in (self.leave, self.move):  # it begins by copying
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        self.stays = nn.Parameter(torch.tensor(STAYS_AT_FIRST))

    def shrink(self, frames: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b t 3 y x"]:
        """The pictures that this model looks at: every `action_shrink` pixels of a side averaged, in [-1, 1]."""
        count = self.config.action_shrink
        small = functional.avg_pool2d(frames.flatten(0, 1), count) if count > 1 else frames.flatten(0, 1)
        return 2 * small.unflatten(0, frames.shape[:2]) - 1

    def read(self, small: Float[Tensor, "b t 3 y x"], there: Bool[Tensor, "b t"] | None = None) -> Float[Tensor, "b d s"]:
        """What was done between each two of `t` frames, before quantisation; `s` is `t` - 1."""
        before = torch.cat([small[:, :1], small[:, :-1]], dim=1)
        matches = self._matches(before, small)
        tokens = self.enter(torch.cat([to_patches(small - before, self.side), matches], dim=-1))
        amount = (small - before).abs().mean(dim=2, keepdim=True)
        weight = to_patches(amount, self.side).mean(dim=-1, keepdim=True) + LEAST_WEIGHT
        outputs = self.encoder(tokens, there=there)[0]
        weight = weight / weight.sum(dim=2, keepdim=True)
        return (self.narrow((outputs * weight).sum(dim=2)) + self.straight((matches * weight).sum(dim=2)))[:, 1:].mT

    def codes(self, frames: Float[Tensor, "b t 3 h w"], there: Bool[Tensor, "b t"] | None = None) -> Int[Tensor, "b s"]:
        """The code of what was done between each two frames. Each depends on the frames up to the one that it led to."""
        return self.quantiser.quantise(self.read(self.shrink(frames), there)).codes

    def latents(self, frames: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b s d"]:
        """The vector of each of those codes."""
        return self.quantiser.codes_to_z(self.codes(frames)).mT

    def foretell(
        self, small: Float[Tensor, "b s 3 y x"], actions: Float[Tensor, "b d s"], dropped: Bool[Tensor, " b"]
    ) -> Float[Tensor, "b s 3 y x"]:
        """The frame after each of `s`, from it and those before (from it alone where `dropped`) and what was done then."""
        tokens = self.enter_past(to_patches(small, self.side)) + self.enter_action(actions.mT)[:, :, None]
        moments = torch.arange(small.shape[1], device=small.device)
        allowed = self.decoder.band(moments, moments).expand(len(small), -1, -1)
        alone = torch.eye(len(moments), dtype=torch.bool, device=small.device)
        allowed = torch.where(dropped[:, None, None], allowed & alone, allowed)
        outputs = self.decoder(tokens, allowed=allowed)[0]
        if self.config.reach:
            return self._moved(small, self.move(outputs))
        return small + from_patches(self.leave(outputs), self.grid, self.side)

    def _moved(self, small: Float[Tensor, "b s 3 y x"], logits: Float[Tensor, "b s n k"]) -> Float[Tensor, "b s 3 y x"]:
        """Pixels moved by up to `reach` pixels: each patch a mixture of displacements (arXiv:1605.07157, section 3.1)."""
        middle = self.displacements // 2
        stays = self.stays * functional.one_hot(torch.tensor(middle, device=small.device), self.displacements)
        shares = (logits.float() + stays).softmax(dim=-1).flatten(0, 1).unflatten(1, self.grid)  # bs rows columns k
        moved = torch.einsum("ackryxz,arxk->acryxz", self._displaced(small), shares)
        return moved.flatten(4, 5).flatten(2, 3).unflatten(0, small.shape[:2])

    @torch.no_grad()
    def _matches(self, before: Float[Tensor, "b t 3 y x"], small: Float[Tensor, "b t 3 y x"]) -> Float[Tensor, "b t n k"]:
        """How well each patch is what a patch so displaced was a frame before, as shares (a correlation, as in arXiv:1504.06852)."""
        cells = small.flatten(0, 1).unflatten(3, (-1, self.side)).unflatten(2, (-1, self.side))  # bt 3 rows y columns x
        error = (self._displaced(before) - cells[:, :, None]).abs().mean(dim=(1, 4, 6))  # bt k rows columns
        return (-error / MATCH_SCALE).softmax(dim=1).flatten(2).mT.unflatten(0, small.shape[:2])

    def _displaced(self, small: Float[Tensor, "b t 3 y x"]) -> Float[Tensor, "bt 3 k rows v columns u"]:
        """Every picture displaced by up to `reach` pixels each way, in patches."""
        padded = functional.pad(small.flatten(0, 1), (self.config.reach,) * 4, mode="replicate")
        windows = padded.unfold(2, small.shape[3], 1).unfold(3, small.shape[4], 1).flatten(2, 3)  # bt 3 k y x
        return windows.unflatten(4, (-1, self.side)).unflatten(3, (-1, self.side))

    def loss(self, frames: Float[Tensor, "b t 3 h w"], rng: Generator) -> tuple[dict[str, Float[Tensor, ""]], Int[Tensor, "b s"]]:
        """(the parts to add up: the next frame, the code book's commitment, the remedies that are switched on; the codes).

        The decoder's past is dropped in training alone.
        """
        config, small = self.config, self.shrink(frames)
        latents = self.read(small)
        quantised = self.quantiser.quantise(latents)
        self.quantiser.observe(latents, quantised.codes, rng)
        dropped = torch.rand(len(small), generator=rng, device=rng.device) < (config.drop_past if self.training else 0.0)
        drawn = self.foretell(small[:, :-1], quantised.z, dropped)
        squared = (drawn.float() - small[:, 1:]).square()
        if config.change_weight:
            changed = (small[:, 1:] - small[:, :-1]).abs().amax(dim=2, keepdim=True) > CHANGED
            weight = 1 + config.change_weight * changed
            squared = squared * weight / weight.mean()
        parts = {"next_frame": squared.mean(), **quantised.losses}
        if config.variance_weight:
            parts["variance"] = config.variance_weight * variance_hinge(latents)
        return parts, quantised.codes


def variance_hinge(latents: Float[Tensor, "b d s"]) -> Float[Tensor, ""]:
    """How far each number's deviation over the batch falls short of one, on average (VICReg, arXiv:2105.04906, eq. 1)."""
    std = (latents.movedim(1, -1).flatten(0, 1).var(dim=0, unbiased=False) + 1e-4).sqrt()
    return (WANTED_STD - std).clamp_min(0.0).mean()
