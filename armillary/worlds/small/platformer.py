"""Platformer: run and jump over pits to the flag, collecting coins. One metre is one tile; the picture shows 8 x 8 tiles and scrolls."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import gymnasium
import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor

from armillary.core import Action, Promptable, Rewards, WorldError
from armillary.worlds.small.drawing import Canvas
from armillary.worlds.small.events import EVENTS, NIGHT, RAIN, WALL, darken, fade, rain, wall_column, with_wall
from armillary.worlds.small.exact import ExactState, SmallWorld
from armillary.worlds.small.factors import RANDOM, Factor
from armillary.worlds.small.level import BRICK, COIN, EARTH, EMPTY, FLAG, GRASS, ROWS, build_level
from armillary.worlds.small.sprites import tile_sprites

VIEW = 8  # tiles across and up
HALF_WIDTH_M, HEIGHT_M = 0.3, 0.8
START_X_M = 1.5
TOP_FALL_M_S = 15.0
SUBSTEPS = 4  # at most 15 m/s / 60 = 0.25 tiles: no tile can be jumped
MOVES = (0, -1, 1, 0, -1, 1)  # run direction of each action
JUMPS = (False, False, False, True, True, True)
COIN_REWARD, FLAG_REWARD, PIT_REWARD = 0.1, 1.0, -1.0
EDGE = 1e-3


@dataclass(frozen=True)
class PlatformerState(ExactState):
    """Level and player (x of its middle, y of its feet; metres, metres per second). `going` is 0 in a pit and at the flag.

    `event` is the number of the one that goes on (events.py; 0: none), `strength` how far each has faded in, `clock` counts steps.
    """

    level: Float[Tensor, " b"]
    gravity_m_s2: Float[Tensor, " b"]
    jump_m_s: Float[Tensor, " b"]
    run_m_s: Float[Tensor, " b"]
    slipperiness_s: Float[Tensor, " b"]
    tiles: Int[Tensor, "b r c"]
    coins: Bool[Tensor, "b r c"]
    position: Float[Tensor, "b 2"]
    velocity: Float[Tensor, "b 2"]
    grounded: Bool[Tensor, " b"]
    facing: Float[Tensor, " b"]
    last_reward: Float[Tensor, " b"]
    going: Float[Tensor, " b"]
    clock: Int[Tensor, " b"]
    event: Int[Tensor, " b"]
    strength: Float[Tensor, "b k"]
    wall_column: Int[Tensor, " b"]

    def standing(self) -> Int[Tensor, "b r c"]:
        """The level's tiles, and the blocks of a wall that has risen."""
        return with_wall(self.tiles, self.wall_column, self.strength[:, EVENTS.index(WALL)])

    def solid(self) -> Bool[Tensor, "b r c"]:
        """Which tiles stop the player."""
        tiles = self.standing()
        return (tiles == GRASS) | (tiles == EARTH) | (tiles == BRICK)


class Platformer(SmallWorld[PlatformerState], Rewards, Promptable):
    """Actions: 0 stand, 1 left, 2 right, 3 jump, 4 left and jump, 5 right and jump.

    Reward: 0.1 a coin, 1 at the flag, -1 in a pit; the last two end the episode, and a step beyond begins the level again.
    `columns` is the level's length; 8 fills exactly one picture, which then never scrolls. With `pages` no picture does: the view jumps
    from each 8 columns to the next. The layout's `level` is a number,
    the same number always the same level. Told so, it rains, night falls, or a wall rises (events.py).
    """

    factors: ClassVar = {
        "level": Factor(0.0, 65535.0, RANDOM),
        "gravity_m_s2": Factor(15.0, 45.0, 30.0),
        "jump_m_s": Factor(8.0, 14.0, 12.5),
        "run_m_s": Factor(2.0, 8.0, 5.0),
        "slipperiness_s": Factor(0.02, 0.4, 0.06),
    }
    default_theme = "meadow"

    def __init__(self, *, size: int = 64, columns: int = 32, pages: bool = False):
        if size % VIEW:
            raise ValueError(f"size must be a multiple of {VIEW}, one tile being size / {VIEW} pixels, received {size}")
        if columns < VIEW:
            raise ValueError(f"columns must be at least {VIEW}, received {columns}")
        super().__init__(size=size, action_space=gymnasium.spaces.Discrete(len(MOVES)), seconds_per_step=1.0 / 15.0)
        self.columns, self.pages = columns, pages

    def _place(self, theme: Tensor, chosen: dict[str, Tensor], rng: Generator) -> PlatformerState:
        chosen["level"] = chosen["level"].floor()
        levels = [torch.tensor(build_level(int(number), self.columns), dtype=torch.long) for number in chosen["level"]]
        tiles = torch.stack(levels).to(theme.device)
        zero = torch.zeros(len(theme), device=theme.device)
        empty = PlatformerState(
            theme=theme,
            **chosen,
            tiles=tiles,
            coins=tiles == COIN,
            position=torch.zeros(len(theme), 2, device=theme.device),
            velocity=torch.zeros(len(theme), 2, device=theme.device),
            grounded=zero > 1,
            facing=zero + 1.0,
            last_reward=zero,
            going=zero,
            clock=zero.long(),
            event=zero.long(),
            strength=torch.zeros(len(theme), len(EVENTS), device=theme.device),
            wall_column=zero.long(),
        )
        return replace(_begin_again(empty), going=zero + 1.0)

    def step(self, state: PlatformerState, action: Action, rng: Generator) -> PlatformerState:
        """1/15 s in four substeps."""
        if tuple(action.shape) != (state.batch_size,) or action.is_floating_point():
            raise WorldError(f"actions must be {state.batch_size} integers, received {action.dtype} of shape {tuple(action.shape)}")
        if not bool(((action >= 0) & (action < len(MOVES))).all()):
            raise WorldError(f"actions must lie in 0 to {len(MOVES) - 1}, received {action.min()} to {action.max()}")
        state = _begin_again(state)
        state = replace(state, clock=state.clock + 1, strength=fade(state.strength, state.event))
        run = torch.tensor(MOVES, device=action.device, dtype=torch.float32)[action]
        jump = torch.tensor(JUMPS, device=action.device)[action]
        solid, reward = state.solid(), torch.zeros_like(state.last_reward)
        for _ in range(SUBSTEPS):
            state = _substep(state, solid, run, jump, self.spec.seconds_per_step / SUBSTEPS)
            taken = state.coins & _touching(state)
            reward = reward + COIN_REWARD * taken.flatten(1).sum(dim=1)
            state = replace(state, coins=state.coins & ~taken)
        fallen = state.position[:, 1] < -HEIGHT_M
        at_flag = (_touching(state) & (state.tiles == FLAG)).flatten(1).any(dim=1)
        reward = reward + FLAG_REWARD * at_flag + PIT_REWARD * fallen
        facing = torch.where(run == 0, state.facing, run)
        return replace(state, last_reward=reward, going=(~(fallen | at_flag)).float(), facing=facing)

    @property
    def events(self) -> tuple[str, ...]:
        return EVENTS

    def prompt(self, state: PlatformerState, text: Sequence[str]) -> PlatformerState:
        """What the texts say begins with the next step. WorldError for a text that is none of `events` and not empty."""
        if len(text) != state.batch_size or any(one and one not in EVENTS for one in text):
            raise WorldError(f"needs {state.batch_size} texts of {', '.join(EVENTS)} or empty, received {list(text)}")
        event = torch.tensor([EVENTS.index(one) + 1 if one else 0 for one in text], device=state.event.device)
        rises = (event == EVENTS.index(WALL) + 1) & (state.strength[:, EVENTS.index(WALL)] == 0)
        ahead = wall_column(state.position[:, 0], state.facing, self.columns, VIEW if self.pages else None)
        return replace(state, event=event, wall_column=torch.where(rises, ahead, state.wall_column))

    def reward(self, state: PlatformerState) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        """What this step earned, and 0 as continuation in a pit and at the flag."""
        return state.last_reward, state.going

    def embed(self, state: PlatformerState) -> Float[Tensor, "b 6"]:
        """Player x y in metres, velocity, whether it stands, and how many coins are left."""
        rest = torch.stack([state.grounded.float(), state.coins.flatten(1).sum(dim=1).float()], dim=-1)
        return torch.cat([state.position, state.velocity, rest], dim=-1)

    def _paint(self, state: PlatformerState) -> Float[Tensor, "b 3 h w"]:
        x = state.position[:, 0]
        wanted = (x / VIEW).floor() * VIEW if self.pages else x - VIEW * 0.45
        camera = wanted.clamp(0.0, self.columns - VIEW)
        canvas = Canvas(self._sky(state, camera), metres_per_pixel=VIEW / self.size, left=camera)
        tiles = self._tiles(state, camera)
        canvas.picture.mul_(1.0 - tiles[:, 3:]).add_(tiles[:, :3])
        self._player(canvas, state)
        for paint, kind in ((darken, NIGHT), (partial(rain, clock=state.clock, metres_per_pixel=VIEW / self.size), RAIN)):
            strength = state.strength[:, EVENTS.index(kind)]
            if bool((strength > 0).any()):
                paint(canvas.picture, strength)
        return canvas.picture.clamp_(0.0, 1.0)

    def _sky(self, state: PlatformerState, camera: Float[Tensor, " b"]) -> Float[Tensor, "b 3 h w"]:
        """A sky that pales towards the horizon, and hills that move at a third of the camera's speed."""
        fall = torch.linspace(0.0, 1.0, self.size, device=camera.device)[:, None]
        high, low = self._colour(state, "sky_high"), self._colour(state, "sky_low")
        picture = torch.lerp(high[:, :, None, None], low[:, :, None, None], fall).repeat(1, 1, 1, self.size)
        x = torch.arange(self.size, device=camera.device) * (VIEW / self.size) + camera[:, None] / 3.0
        ridge = 2.6 + 0.9 * torch.sin(0.9 * x) + 0.5 * torch.sin(2.1 * x + 1.0)
        height = (self.size - 0.5 - torch.arange(self.size, device=camera.device)) * (VIEW / self.size)
        cover = ((ridge[:, None, :] - height[:, None]) * (self.size / VIEW) + 0.5).clamp_(0.0, 1.0)
        picture.lerp_(self._colour(state, "hills")[:, :, None, None], cover[:, None])
        return picture

    def _tiles(self, state: PlatformerState, camera: Float[Tensor, " b"]) -> Float[Tensor, "b 4 h w"]:
        """The tiles in view, shifted by the camera to a fraction of a pixel."""
        pixels = self.size // VIEW
        tiles = state.standing()
        shown = tiles.masked_fill((tiles == COIN) & ~state.coins, EMPTY).flip(1)
        padded = torch.nn.functional.pad(shown, (0, 2))
        first = camera.floor().long()
        columns = first[:, None] + torch.arange(VIEW + 2, device=camera.device)
        kinds = padded.gather(2, columns[:, None, :].expand(-1, ROWS, -1))
        sprites = tile_sprites(pixels).to(camera.device)[state.theme[:, None, None], kinds]
        wide = sprites.permute(0, 3, 1, 4, 2, 5).reshape(len(camera), 4, self.size, (VIEW + 2) * pixels)
        shift = (camera - first) * pixels
        whole = shift.floor().long()
        index = (whole[:, None] + torch.arange(self.size + 1, device=camera.device))[:, None, None, :]
        strip = wide.gather(3, index.expand(-1, 4, self.size, -1))
        return torch.lerp(strip[..., :-1], strip[..., 1:], (shift - whole)[:, None, None, None])

    def _player(self, canvas: Canvas, state: PlatformerState) -> None:
        """A round-cornered figure that looks where it runs; its feet stride with x and hang in the air."""
        ink, suit = self._colour(state, "ink"), self._colour(state, "agent")
        zero = torch.zeros_like(state.facing)

        def at(x: Tensor | float, y: float) -> Tensor:
            return state.position + torch.stack([state.facing * x, zero + y], dim=-1)

        def half(x: float, y: float) -> Tensor:
            return torch.tensor([x, y], device=ink.device).expand(len(ink), 2)

        stride = 0.14 * torch.where(state.grounded, torch.sin(state.position[:, 0] * 7.0), zero + 0.6)
        for side in (-1.0, 1.0):
            canvas.rectangle(at(side * (0.1 + stride), 0.08), half(0.11, 0.08), ink)
        canvas.box(at(0.0, 0.48), half(0.32, 0.34), zero, suit, rounding_m=0.16)
        canvas.disc(at(0.12, 0.56), 0.15, torch.ones_like(ink))
        canvas.disc(at(0.17, 0.55), 0.075, torch.zeros_like(ink))


def _begin_again(state: PlatformerState) -> PlatformerState:
    """Where an episode has ended, the player back at the level's start and the coins back in their places."""
    over = state.going < 0.5
    ground = state.solid()[:, :, int(START_X_M)].sum(dim=1).float()
    start = torch.stack([torch.full_like(ground, START_X_M), ground], dim=-1)
    return replace(
        state,
        position=torch.where(over[:, None], start, state.position),
        velocity=state.velocity.masked_fill(over[:, None], 0.0),
        grounded=state.grounded | over,
        coins=torch.where(over[:, None, None], state.tiles == COIN, state.coins),
        facing=state.facing.masked_fill(over, 1.0),
    )


def _touching(state: PlatformerState) -> Bool[Tensor, "b r c"]:
    """The tiles whose middle is within reach of the player's middle (0.65 m across, 0.75 m up and down)."""
    rows, columns = state.tiles.shape[1:]
    across = torch.arange(columns, device=state.tiles.device) + 0.5 - state.position[:, :1]
    up = torch.arange(rows, device=state.tiles.device) + 0.5 - (state.position[:, 1:] + HEIGHT_M / 2)
    return (across.abs() < 0.65)[:, None, :] & (up.abs() < 0.75)[:, :, None]


def _blocked(solid: Bool[Tensor, "b r c"], x: Float[Tensor, " b"], y: Float[Tensor, " b"]) -> Bool[Tensor, " b"]:
    """Whether a point is inside a solid tile; beyond the level's left and right ends all is solid, above and below nothing."""
    rows, columns = solid.shape[1:]
    column, row = x.floor().long(), y.floor().long()
    inside = solid[torch.arange(len(x), device=x.device), row.clamp(0, rows - 1), column.clamp(0, columns - 1)]
    return ((column < 0) | (column >= columns)) | (inside & (row >= 0) & (row < rows))


def _substep(state: PlatformerState, solid: Tensor, run: Tensor, jump: Tensor, dt: float) -> PlatformerState:
    """Run, then fall; on each axis stop at the first solid tile."""
    x, y = state.position.unbind(-1)
    vx, vy = state.velocity.unbind(-1)
    vx = vx + (run * state.run_m_s - vx) * (1.0 - torch.exp(-dt / state.slipperiness_s))
    vy = torch.where(jump & state.grounded, state.jump_m_s, vy)
    x = x + vx * dt
    edge = x + vx.sign() * HALF_WIDTH_M
    hit = _blocked(solid, edge, y + EDGE) | _blocked(solid, edge, y + HEIGHT_M - EDGE)
    stop = torch.where(vx > 0, edge.floor() - HALF_WIDTH_M - EDGE, edge.floor() + 1.0 + HALF_WIDTH_M + EDGE)
    x, vx = torch.where(hit, stop, x), vx.masked_fill(hit, 0.0)
    # Exact free fall, up to the greatest falling speed.
    rise = (vy * dt - state.gravity_m_s2 * dt**2 / 2).clamp_min(-TOP_FALL_M_S * dt)
    y = y + rise
    vy = (vy - state.gravity_m_s2 * dt).clamp_min(-TOP_FALL_M_S)
    left, right = x - HALF_WIDTH_M + EDGE, x + HALF_WIDTH_M - EDGE
    feet = (rise <= 0) & (_blocked(solid, left, y) | _blocked(solid, right, y))
    head = (rise > 0) & (_blocked(solid, left, y + HEIGHT_M) | _blocked(solid, right, y + HEIGHT_M))
    y = torch.where(feet, y.floor() + 1.0, torch.where(head, (y + HEIGHT_M).floor() - HEIGHT_M - EDGE, y))
    return replace(
        state,
        position=torch.stack([x, y], dim=-1),
        velocity=torch.stack([vx, vy.masked_fill(feet | head, 0.0)], dim=-1),
        grounded=feet,
    )
