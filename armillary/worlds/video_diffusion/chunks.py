"""Chunks of video drawn from what is given of them: pictures in, pictures and actions out."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Generator, Tensor

from armillary.worlds.video_diffusion.config import ModelConfig
from armillary.worlds.video_diffusion.denoiser import Denoiser
from armillary.worlds.video_diffusion.space import Space
from armillary.worlds.video_diffusion.text import TextReader
from armillary.worlds.video_diffusion.window import HIDDEN, Noise, Window


@dataclass(frozen=True)
class Asked:
    """The first `k` frames of a chunk (`k` may be 0), what is known of the `s` actions between its s + 1 frames, and a text.

    `shown` says how many of the frames are given of each of the `v` cameras, which stand side by side.
    """

    frames: Float[Tensor, "b k 3 h vw"]
    shown: Int[Tensor, "b v"]
    actions: Float[Tensor, "b s a"]  # standardised
    acted: Int[Tensor, "b s"]
    augment: Float[Tensor, " b"]  # noise level of the frames
    text: UInt8[Tensor, "b n"]


@dataclass(frozen=True)
class Chunks:
    """What draws them, and which lengths it can draw: 1 + a multiple of the frames of a cell."""

    config: ModelConfig
    picture: tuple[int, int, int]
    space: Space
    denoiser: Denoiser
    reader: TextReader | None

    def longest(self, frames: int) -> int:
        """The most of so many frames, one or more, that can be given."""
        return 1 + (frames - 1) // self.space.rate * self.space.rate

    def shortest(self, frames: int) -> int:
        """The fewest frames that can be drawn and hold so many."""
        return 1 - (1 - frames) // self.space.rate * self.space.rate

    def noise(self, rows: int, frames: int, rng: Generator) -> Noise:
        """For a chunk of so many frames."""
        _, height, width = self.picture
        side = self.space.side
        cells = (rows, self.space.channels, 1 + (frames - 1) // self.space.rate, height // side, width // side)
        return Noise.draw(cells, (rows, frames - 1, len(self.denoiser.standardise.mean)), rng)

    @property
    def views(self) -> int:
        """How many cameras there are."""
        return self.denoiser.views

    def draw(self, asked: Asked, noise: Noise) -> tuple[Float[Tensor, "b t 3 h vw"], Float[Tensor, "b s a"]]:
        """All frames, and all actions in standard units (of those hidden nothing is known). What was given comes back as it is."""
        cells = torch.zeros_like(noise.cells)
        if asked.frames.shape[1]:
            given = self.space.to_cells(asked.frames)
            cells[:, :, : given.shape[2]] = given
        known = (asked.shown + self.space.rate - 1) // self.space.rate  # cells: one of the first frame, then one of `rate` frames
        is_given = (torch.arange(cells.shape[2], device=cells.device) < known[..., None]).flatten(1)
        window = Window(cells, is_given, asked.augment, asked.actions, asked.acted, asked.text)
        text, without = None, None
        if self.reader is not None:
            text = self.reader(asked.text)
            without = self.reader(torch.zeros_like(asked.text)) if self.config.guidance != 1.0 else None
        drawn, actions = self.denoiser.draw(window, noise, text, without)
        return self._with_shown(asked, self.space.to_frames(drawn)), actions

    def ask(self, frames: Float[Tensor, "b k 3 h vw"], actions: int, text: UInt8[Tensor, "b n"]) -> Asked:
        """Nothing but real frames, of all cameras, and a text is given; all actions are hidden."""
        rows, device = len(frames), frames.device
        nothing = torch.zeros(rows, actions, len(self.denoiser.standardise.mean), device=device)
        acted = torch.full((rows, actions), HIDDEN, device=device)
        shown = torch.full((rows, self.views), frames.shape[1], device=device)
        return Asked(frames, shown, nothing, acted, torch.zeros(rows, device=device), text)

    def beside(self, which: Bool[Tensor, "b *more v"]) -> Bool[Tensor, "b *more vw"]:
        """What is true of each camera, for every column of a picture in which they stand side by side."""
        return which.repeat_interleave(self.picture[2] // self.views, dim=-1)

    def _with_shown(self, asked: Asked, film: Float[Tensor, "b t 3 h vw"]) -> Float[Tensor, "b t 3 h vw"]:
        """The film with what was given as it was."""
        frames = asked.frames.shape[1]
        given = torch.arange(frames, device=film.device)[:, None] < asked.shown[:, None]
        return torch.cat([torch.where(self.beside(given)[:, :, None, None], asked.frames, film[:, :frames]), film[:, frames:]], dim=1)
