"""A codebook learned by one process, or by several with a share of the batch each; run as a script it is one of several."""

import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import save_file

from armillary.core import seeded
from armillary.nn.vector_quantise import VectorQuantiser
from armillary.train.distributed import Group

BATCH, STEPS = 4, 12


def learn(*, rank: int, world_size: int) -> dict[str, torch.Tensor]:
    """The buffers after STEPS steps on latents that wander, of which every process sees its rows."""
    torch.manual_seed(0)
    vq = VectorQuantiser(num_codes=24, size=3, decay=0.9, restart_after=2)
    group = Group(rank=rank, world_size=world_size, device=torch.device("cpu"), parallel="ddp" if world_size > 1 else "none")
    first, last = group.rows(BATCH)
    for index in range(STEPS):
        z = (0.5 * index + torch.randn(BATCH, 3, 2, 3, generator=seeded(index)))[first:last]
        rng = seeded(1000 + index)
        with group.noise(rng, BATCH):
            vq.observe(z, vq.quantise(z).codes, rng)
        vq.after_step()
    return vq.state_dict()


if __name__ == "__main__":
    folder, rank, world_size = Path(sys.argv[1]), int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world_size)
    save_file(learn(rank=rank, world_size=world_size), folder / f"{rank}.safetensors")
    dist.destroy_process_group()
