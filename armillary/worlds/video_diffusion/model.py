"""The transformer: cells of video and actions, each at its own noise level, look at one another and at a text.

`cells` are pixels or latents, `b c f h w`; their channels hold whatever the caller puts there (noisy cells, which frames are given, rays).
With the settings of a released network it computes what diffusers' `CosmosTransformer3DModel` does (cosmos_weights.py).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from armillary.worlds.video_diffusion.blocks import Block, LevelEmbedding, Modulation, Places, spread
from armillary.worlds.video_diffusion.rotary import video_turn

INITIAL_STD = 0.02
ACTION_TOKEN_STD = 0.5


@dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """Sizes of the network. `text_width` 0: it reads no text; `action_size` 0: it knows no actions; `limits` empty: no learned places.

    `actions_per_frame` is above 1 where a tokenizer joins frames: so many actions lead to a frame of cells.
    """

    channels: int
    out: int
    width: int
    depth: int
    heads: int
    patch: int = 2
    rank: int = 256
    mlp_ratio: float = 4.0
    text_width: int = 0
    action_size: int = 0
    actions_per_frame: int = 1
    views: int = 1
    causal: bool = False
    stretch: tuple[float, ...] = (1.0, 1.0, 1.0)
    limits: tuple[int, ...] = ()


@dataclass(frozen=True)
class Layout:
    """Where frames of cells and actions lie, the same for all rows. A step is a frame of cells and the actions that lead to it.

    Times are in ticks of 1 / 24 s. `views` says which camera saw each frame.
    """

    times: Float[Tensor, " f"]
    steps: Int[Tensor, " f"]
    action_times: Float[Tensor, " s"]
    action_steps: Int[Tensor, " s"]
    views: Int[Tensor, " f"] | None = None


@dataclass(frozen=True)
class Acts:
    """Actions in units of the data, each at a noise level (as the noising tells it); `given` ones are clean and steer their frame."""

    values: Float[Tensor, "b s a"]
    level: Float[Tensor, "b s"]
    given: Bool[Tensor, "b s"]


@dataclass(frozen=True)
class Text:
    """An encoded text. Where `readable` is false there is none."""

    tokens: Float[Tensor, "b m v"]
    readable: Bool[Tensor, "b m"] | None = None


class VideoTransformer(nn.Module):
    """Noisy cells and actions to what they are (or whatever the noising has it say)."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.config, width = config, config.width
        if width % config.heads:
            raise ValueError(f"the width must be a multiple of the number of heads, received {width} and {config.heads}")
        self.enter = nn.Linear(config.channels * config.patch**2, width, bias=False)
        self.places = Places(width, config.limits) if config.limits else None
        self.level = LevelEmbedding(width)
        self.view = nn.Embedding(config.views, width) if config.views > 1 else None
        if config.action_size:
            self.enter_action = nn.Sequential(nn.Linear(config.action_size, width), nn.SiLU(), nn.Linear(width, width))
            steers = config.actions_per_frame * (config.action_size + 1)
            self.steer = nn.Sequential(nn.Linear(steers, width), nn.SiLU(), nn.Linear(width, 4 * width))
            self.leave_action = nn.Linear(width, config.action_size)
        sizes = {"width": width, "heads": config.heads, "rank": config.rank, "text_width": config.text_width}
        self.blocks = nn.ModuleList(Block(**sizes, mlp_ratio=config.mlp_ratio) for _ in range(config.depth))
        self.final_norm = Modulation(width, config.rank, 2)
        self.leave = nn.Linear(width, config.out * config.patch**2, bias=False)
        self._initialise()

    def forward(
        self,
        cells: Float[Tensor, "b c f h w"],
        level: Float[Tensor, "b f"],
        layout: Layout,
        acts: Acts | None = None,
        text: Text | None = None,
    ) -> tuple[Float[Tensor, "b o f h w"], Float[Tensor, "b s a"] | None]:
        """What the cells are, and the actions. ValueError for sides that the patch does not divide, or text where it is not due."""
        config, patch = self.config, self.config.patch
        batch, frames, height, width = cells.shape[0], *cells.shape[2:]
        if height % patch or width % patch:
            raise ValueError(f"sides must be multiples of the patch, received {height} x {width} and {patch}")
        if (text is not None) != bool(config.text_width):
            raise ValueError(f"this network {'needs a' if config.text_width else 'reads no'} text")
        rows, columns = height // patch, width // patch
        video = frames * rows * columns
        patches = cells.unflatten(4, (columns, patch)).unflatten(3, (rows, patch)).permute(0, 2, 3, 5, 1, 4, 6)  # b f r c, channel, y, x
        tokens = self.enter(patches.flatten(4).flatten(1, 3))
        if self.view is not None and layout.views is not None:
            tokens = tokens + self.view(layout.views).repeat_interleave(rows * columns, dim=0)
        embedded, shared = self.level(level)
        added = None if self.places is None else self.places(layout.steps, rows, columns, config.views)
        if acts is not None and acts.values.shape[1]:
            embedded, shared, action_tokens = self._act(embedded, shared, layout, acts)
            tokens = torch.cat([tokens, action_tokens], dim=1)
        runs = (rows * columns,) * frames + (1,) * (embedded.shape[1] - frames)
        head = config.width // config.heads
        moments = layout.action_times[: len(runs) - frames]
        turn = video_turn(layout.times, moments, rows=rows, columns=columns, head_size=head, stretch=config.stretch)
        allowed = self._allowed(layout, runs) if config.causal else None
        read, readable = (None, None) if text is None else (text.tokens, text.readable)
        for block in self.blocks:
            tokens = tokens if added is None else torch.cat([tokens[:, :video] + added, tokens[:, video:]], dim=1)
            tokens = block(tokens, (embedded, shared, runs), turn, allowed, read, None if readable is None else readable[:, None, None])
        (tokens,) = self.final_norm(tokens, embedded, shared, runs)
        patches = self.leave(tokens[:, :video]).unflatten(1, (frames, rows, columns))
        drawn = (
            patches.unflatten(-1, (patch, patch, config.out)).permute(0, 6, 1, 2, 4, 3, 5).reshape(batch, config.out, frames, height, width)
        )
        acted = self.leave_action(tokens[:, video:]) if acts is not None else None
        return drawn, acted

    def _act(self, embedded: Tensor, shared: Tensor, layout: Layout, acts: Acts) -> tuple[Tensor, Tensor, Tensor]:
        """What rules each frame, with the actions given for it, and each action; and the actions' tokens."""
        known = acts.given[..., None].to(acts.values.dtype)
        groups = torch.cat([acts.values * known, known], dim=-1).unflatten(1, (-1, self.config.actions_per_frame))
        steered = self.steer(groups.flatten(2)) * groups[..., -1:].amax(dim=2)  # b steps 4w; nothing where no action is given
        steered = torch.cat([torch.zeros_like(steered[:, :1]), steered], dim=1)[:, layout.steps]
        action_embedded, action_shared = self.level(acts.level)
        embedded = torch.cat([embedded + steered[..., : self.config.width], action_embedded], dim=1)
        shared = torch.cat([shared + steered[..., self.config.width :], action_shared], dim=1)
        return embedded, shared, self.enter_action(acts.values)

    def _allowed(self, layout: Layout, runs: tuple[int, ...]) -> Bool[Tensor, "1 1 n n"]:
        """Tokens look at those of their own step and of earlier ones."""
        steps = torch.cat([layout.steps, layout.action_steps])[: len(runs), None]
        step = spread(steps[None].float(), runs)[0, :, 0]
        return (step[:, None] >= step)[None, None]

    @torch.no_grad()
    def _initialise(self) -> None:
        """Blocks begin as nothing (adaLN-Zero), and so does what is said. An action's token is at first the same whatever its noise."""
        for part in self.modules():
            if isinstance(part, Modulation):
                nn.init.zeros_(part.up.weight)
        nn.init.zeros_(self.level.tell.weight)
        nn.init.zeros_(self.leave.weight)
        if self.config.action_size:
            nn.init.normal_(self.enter_action[-1].weight, std=INITIAL_STD)
            nn.init.normal_(self.enter_action[-1].bias, std=ACTION_TOKEN_STD)
            nn.init.zeros_(self.leave_action.weight)
            nn.init.zeros_(self.leave_action.bias)
        learned = [self.view] if self.view is not None else []
        for table in (*learned, *([] if self.places is None else [self.places])):
            for vectors in table.parameters():
                nn.init.normal_(vectors, std=INITIAL_STD)
