"""A tiny world with every feature that the loop must carry: two phases, noise, an LSTM, a convolution, a buffer and frozen parts."""

import numpy as np
import torch
from torch import Generator, nn
from torch.nn import functional as F

from armillary.core import Batch, Episode, Loss, Phase, Trainable


class ToyWorld(nn.Module, Trainable):
    """Phase "see" learns to encode 8x8 pictures; phase "move" learns where the codes go under an action."""

    def __init__(self, seed: int = 0, learning_rate: float = 1e-2, batch_size: int = 6):
        super().__init__()
        self.batch_size, self.learning_rate = batch_size, learning_rate
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.encoder = nn.Conv2d(3, 4, 4, 4)
            self.decoder = nn.ConvTranspose2d(4, 3, 4, 4)
            self.memory = nn.LSTM(16 + 2, 16, batch_first=True)
            self.out = nn.Linear(16, 16)
        self.register_buffer("num_updates", torch.zeros((), dtype=torch.long))

    def phases(self) -> tuple[Phase, ...]:
        shape = {"batch_size": self.batch_size, "learning_rate": self.learning_rate}
        return (Phase(name="see", share=0.5, num_frames=2, **shape), Phase(name="move", share=0.5, num_frames=5, **shape))

    def begin_phase(self, name: str) -> None:
        self.phase = name
        seeing = name == "see"
        for module in (self.encoder, self.decoder):
            module.requires_grad_(seeing)
        for module in (self.memory, self.out):
            module.requires_grad_(not seeing)

    def loss(self, batch: Batch, rng: Generator) -> Loss:
        flat = batch.frames.flatten(0, 1)
        codes = self.encoder(flat).flatten(1)
        noise = torch.randn(codes.shape, generator=rng, device=codes.device)
        if self.phase == "see":
            seen = codes + 0.1 * noise
            error = F.mse_loss(self.decoder(seen.view(-1, 4, 2, 2)), flat)
            size = seen.square().mean()
            total = error + 1e-3 * size
            return Loss(total=total, parts={"reconstruction": error.detach(), "size": size.detach()})
        codes = (codes + 0.01 * noise).view(*batch.frames.shape[:2], -1)
        moved, _ = self.memory(torch.cat([codes, batch.actions], dim=-1)[:, :-1])
        total = F.mse_loss(self.out(moved), codes[:, 1:])
        return Loss(total=total, parts={"prediction": total.detach()})

    def after_step(self) -> None:
        self.num_updates += 1


def toy_episodes(count: int = 4, length: int = 20, seed: int = 0) -> list[Episode]:
    """A bright square that moves as its action says."""
    rng = np.random.default_rng(seed)
    episodes = []
    for index in range(count):
        actions = rng.integers(-1, 2, (length, 2)).astype(np.float32)
        frames = np.zeros((length, 8, 8, 3), np.uint8)
        place = np.array([3, 3])
        for t in range(length):
            frames[t, place[0] : place[0] + 2, place[1] : place[1] + 2] = 200
            place = np.clip(place + actions[t].astype(int), 0, 6)
        episodes.append(Episode(frames={"view": frames}, actions=actions, seconds_per_step=0.1, index=index + 10))
    return episodes
