"""Vector quantisation (VQ, arXiv:1711.00937): each latent becomes the nearest of `num_codes` vectors, which follow what they stand for."""

import torch
import torch.distributed as dist
from jaxtyping import Float, Int
from torch import Generator, Tensor

from armillary.core import ConfigError
from armillary.nn.quantise import Quantised, Quantiser, count_codes, require_codes, straight_through

DISTANCES_AT_ONCE = 2**24  # 64 MiB of float32


class VectorQuantiser(Quantiser):
    """Codes are vectors, compared by Euclidean distance: the moving averages below are the least squares fit for that distance.

    Each vector is the moving average of the latents that chose it (appendix A.1), weight `decay` on the past. A code that no latent
    chose for `restart_after` steps starts again at a latent drawn from those of the step (None: never). Before the first step all
    count as unused, so that the first batch gives the vectors their first places. The encoder is drawn to its codes by
    `losses["commitment"]`, `commitment` times the mean squared difference.

    All that is learned lies in buffers, which travel with the weights. Where processes train together, each observes its equal share of
    the batch and `after_step` sums over all of them, so that the codes are the same on each and those of one process with the whole
    batch; all must call it. ConfigError for settings that make no codes.
    """

    def __init__(self, *, num_codes: int, size: int, decay: float = 0.99, commitment: float = 0.25, restart_after: int | None = 100):
        if num_codes < 1 or size < 1:
            raise ConfigError(f"vector quantisation needs at least one code and one channel, received {num_codes} and {size}")
        if not 0 <= decay < 1 or commitment < 0 or (restart_after is not None and restart_after < 1):
            raise ConfigError(
                "vector quantisation needs decay in [0, 1), commitment >= 0 and restart_after >= 1 (or None), "
                f"received {decay}, {commitment} and {restart_after}"
            )
        super().__init__(num_codes=num_codes, size=size)
        self.decay, self.commitment, self.restart_after = decay, commitment, restart_after
        self.register_buffer("vectors", torch.randn(num_codes, size))
        self.register_buffer("mean_counts", torch.zeros(num_codes))
        self.register_buffer("mean_sums", torch.zeros(num_codes, size))
        self.register_buffer("idle_steps", torch.full((num_codes,), (restart_after or 1) - 1))
        self._observed: list[tuple[Tensor, Tensor, Tensor]] = []

    @torch.no_grad()
    def nearest(self, latents: Float[Tensor, "n d"]) -> Int[Tensor, " n"]:
        """The nearest code of each latent, in float32 whatever the precision around; the first one of several as near."""
        with torch.autocast(latents.device.type, enabled=False):
            vectors = self.vectors.to(torch.promote_types(latents.dtype, torch.float32))
            # Seen from their middle: far from zero, the squares would swallow the differences.
            middle = vectors.mean(0)
            directions = vectors - middle
            handicap = directions.square().sum(1) / 2
            parts = latents.to(vectors.dtype).split(max(1, DISTANCES_AT_ONCE // self.num_codes))
            return torch.cat([((part - middle) @ directions.T - handicap).argmax(1) for part in parts])

    def quantise(self, z: Float[Tensor, "b d *places"]) -> Quantised:
        self.require_size(z)
        latents = z.movedim(1, -1).to(torch.promote_types(z.dtype, torch.float32))
        codes = self.nearest(latents.flatten(0, -2)).view(latents.shape[:-1])
        chosen = self.vectors[codes].to(latents.dtype)
        losses = {"commitment": self.commitment * (latents - chosen).square().mean()}
        return Quantised(z=straight_through(chosen, latents).movedim(-1, 1).to(z.dtype), codes=codes, losses=losses)

    def codes_to_z(self, codes: Int[Tensor, "b *places"]) -> Float[Tensor, "b d *places"]:
        require_codes(codes, self.num_codes)
        return self.vectors[codes].float().movedim(-1, 1)

    @torch.no_grad()
    def observe(self, z: Float[Tensor, "b d *places"], codes: Int[Tensor, "b *places"], rng: Generator) -> None:
        if not self.training:
            return
        latents = z.detach().movedim(1, -1).flatten(0, -2).to(self.vectors.dtype)
        # A number for each latent, in its order, so that several processes draw what one would; the lowest are where codes start again.
        draw = torch.rand(len(latents), generator=rng, device=rng.device, dtype=torch.float64).to(latents.device)
        self._observed.append((latents, codes.flatten(), draw))

    @torch.no_grad()
    def after_step(self) -> None:
        if not self._observed:
            return
        latents, codes, draw = (torch.cat(parts) for parts in zip(*self._observed, strict=True))
        self._observed.clear()
        sums = torch.zeros_like(self.mean_sums).index_add_(0, codes, latents)
        counts = count_codes(codes, self.num_codes).to(sums.dtype)
        if dist.is_initialized():
            dist.all_reduce(sums)
            dist.all_reduce(counts)
        self.mean_sums.lerp_(sums, 1 - self.decay)
        self.mean_counts.lerp_(counts, 1 - self.decay)
        used = counts > 0  # the average of the others has not moved
        self.vectors.copy_(torch.where(used[:, None], self.mean_sums / self.mean_counts[:, None], self.vectors))
        self.idle_steps.add_(1).masked_fill_(used, 0)
        if self.restart_after is not None:
            self._restart(latents, draw)

    def _restart(self, latents: Float[Tensor, "n d"], draw: Float[Tensor, " n"]) -> None:
        """Idle codes take the latents of the lowest draws; where there are fewer latents than such codes, the rest wait a step."""
        idle = (self.idle_steps >= self.restart_after).nonzero().flatten()
        if not len(idle):
            return
        draw, lowest = draw.topk(min(len(idle), len(draw)), largest=False)
        latents, draw = _from_all_processes(latents[lowest]), _from_all_processes(draw)
        places = latents[draw.argsort()[: len(idle)]]
        again = idle[: len(places)]
        self.vectors[again] = places
        self.mean_sums[again] = 0.0
        self.mean_counts[again] = 0.0
        self.idle_steps[again] = 0


def _from_all_processes(rows: Tensor) -> Tensor:
    """The rows of all processes (as many on each), in order."""
    if not dist.is_initialized():
        return rows
    parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, rows.contiguous())
    return torch.cat(parts)
