"""From a window in which something is unknown to one in which it is drawn: the transformer, told what is given, inside a noising."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from armillary.nn.action_scale import ActionScale
from armillary.nn.noising import NOISINGS, Network, RectifiedFlow, spread_out
from armillary.nn.pluecker import pinhole, pluecker_rays, pose_of, poses_along
from armillary.nn.samplers import sample
from armillary.worlds.video_diffusion.config import ModelConfig
from armillary.worlds.video_diffusion.model import Acts, Text, TransformerConfig, VideoTransformer
from armillary.worlds.video_diffusion.space import Space
from armillary.worlds.video_diffusion.window import DRAWN, GIVEN, HIDDEN, Noise, Window, views_apart, views_beside, window_layout

LEVEL_SCALE = 1000.0  # levels of about one become numbers that the sinusoids of the transformer tell apart
RAYS = 6
MOTION_SIZE = 6


class Denoiser(nn.Module):
    """What is drawn is one vector a row: all cells, then all actions, at one level. What is given never passes through it."""

    def __init__(
        self,
        config: ModelConfig,
        space: Space,
        standardise: ActionScale,
        *,
        text_width: int,
        grid: tuple[int, int],
        seconds_per_step: float,
        fields_of_view_deg: tuple[float, ...] = (0.0,),
    ):
        super().__init__()
        self.config, self.rate, self.side, self.seconds_per_step = config, space.rate, space.side, seconds_per_step
        self.fields_of_view_deg = fields_of_view_deg  # of each camera; they count where actions are the motions of the first
        self.views = len(fields_of_view_deg)
        kind = NOISINGS[config.noising]
        self.noising = kind(shift=config.shift) if kind is RectifiedFlow else kind()
        self.standardise = standardise
        self.carries = config.carry and isinstance(self.noising, RectifiedFlow)
        channels = space.channels * (2 if config.carry else 1) + 1 + (RAYS if config.camera_condition else 0)
        self.transformer = VideoTransformer(
            TransformerConfig(
                channels=channels,
                out=space.channels,
                width=config.width,
                depth=config.depth,
                heads=config.heads,
                patch=config.patch,
                rank=config.rank,
                mlp_ratio=config.mlp_ratio,
                text_width=text_width,
                action_size=len(standardise.mean),
                actions_per_frame=space.rate,
                views=self.views,
                causal=config.causal,
                limits=(config.context_cells + config.chunk_steps // space.rate, *grid) if config.places else (),
            )
        )

    def loss(self, window: Window, noise: Noise, level: Float[Tensor, " b"], text: Text | None) -> dict[str, Float[Tensor, ""]]:
        """The weighted squared error of drawn frames and of drawn actions; `window` holds the truth of both. Zero where none is drawn."""
        clean, noisy = _flat(window.cells, window.actions), _flat(noise.cells, noise.actions)
        estimate = self.noising.estimate(self.network(window, noise, text), self.noising.mix(clean, noisy, level), level)
        cells, actions = self._apart((estimate - clean).square() * spread_out(self.noising.weight(level), clean), window)
        frames = views_apart(cells, self.views).transpose(1, 2).flatten(2).mean(-1)
        return {
            "video": _mean(frames, ~window.given),
            "actions": _mean(actions.mean(-1) if actions.shape[-1] else actions.sum(-1), window.acted == DRAWN),
        }

    @torch.no_grad()
    def draw(self, window: Window, noise: Noise, text: Text | None, without_text: Text | None = None) -> tuple[Tensor, Tensor]:
        """Cells and actions; what is given comes back as it is. `without_text` is what guidance leads away from."""
        network = self.guided(window, noise, text, without_text)
        levels = self.noising.levels(self.config.sampling_steps)
        found = sample(
            self.config.sampler, lambda x, level: self.noising.slope(network, x, level), _flat(noise.cells, noise.actions), levels
        )
        cells, actions = self._apart(found, window)
        pair = (views_apart(one, self.views) for one in (window.cells, cells))
        cells = views_beside(torch.where(window.given[:, None, :, None, None], *pair), self.views)
        return cells, torch.where((window.acted == GIVEN)[..., None], window.actions, actions)

    def guided(self, window: Window, noise: Noise, text: Text | None, without_text: Text | None) -> Network:
        """Classifier-free guidance (arXiv:2207.12598): away from what the network says without the text, and without the actions."""
        network, config = self.network(window, noise, text), self.config
        others: list[tuple[float, Network]] = []
        if config.guidance != 1.0 and without_text is not None:
            others.append((config.guidance - 1.0, self.network(window, noise, without_text)))
        if config.action_guidance != 1.0 and bool((window.acted == GIVEN).any()):
            hidden = torch.where(window.acted == GIVEN, HIDDEN, window.acted)
            blind = Window(window.cells, window.given, window.augment, window.actions, hidden, window.text)
            others.append((config.action_guidance - 1.0, self.network(blind, noise, text)))

        def led(x: Tensor, told: Tensor) -> Tensor:
            said = network(x, told)
            return said + sum((more * (said - other(x, told)) for more, other in others), torch.zeros_like(said))

        return led if others else network

    def network(self, window: Window, noise: Noise, text: Text | None) -> Network:
        """The transformer as a function of what is drawn. Frames given stand in it at their own level, hidden actions as pure noise."""
        layout = window_layout(window.cells.shape[2], self.rate, self.seconds_per_step, window.cells.device, self.views)
        known = self.noising.mix(views_apart(window.cells, self.views), views_apart(noise.cells, self.views), window.augment)
        known, known_told = self.noising.tell(known, window.augment)
        most = self.noising.levels(1)[:1].to(window.augment).expand_as(window.augment)
        unknown, unknown_told = self.noising.tell(self.noising.mix(torch.zeros_like(noise.actions), noise.actions, most), most)
        _, clean_told = self.noising.tell(window.actions, torch.zeros_like(most))
        is_given = window.given[:, None, :, None, None]
        held = self._held(known, window.given)
        hints = [is_given.expand_as(known[:, :1]).to(known.dtype)]
        hints += [held] if self.config.carry else []
        if self.config.camera_condition:
            with torch.autocast(known.device.type, enabled=False):  # half precision would turn cameras by what they move
                hints.append(self._rays(window))

        def network(x: Tensor, told: Tensor) -> Tensor:
            cells, actions = self._apart(x, window)
            cells = torch.where(is_given, known, views_apart(cells, self.views))
            level = torch.where(window.given, known_told[:, None], told[:, None])
            values = _by_kind(window.acted[..., None], unknown, actions, window.actions)
            says = _by_kind(window.acted, unknown_told[:, None], told[:, None], clean_told[:, None])
            acts = Acts(values, LEVEL_SCALE * says, window.acted == GIVEN) if self.transformer.config.action_size else None
            drawn, done = self.transformer(torch.cat([cells, *hints], dim=1), LEVEL_SCALE * level, layout, acts, text)
            drawn = views_beside(drawn + held if self.carries else drawn, self.views)
            return _flat(drawn, actions if done is None else done)

        return network

    def _held(self, cells: Float[Tensor, "b c vf y x"], given: Bool[Tensor, "b vf"]) -> Float[Tensor, "b c vf y x"]:
        """At every frame the last one given of its camera until then; zero before any."""
        index = torch.arange(given.shape[1], device=given.device).unflatten(0, (self.views, -1))
        last = torch.where(given.unflatten(1, (self.views, -1)), index, -1).cummax(dim=2).values.flatten(1)
        chosen = cells.gather(2, last.clamp(min=0)[:, None, :, None, None].expand_as(cells))
        return torch.where((last >= 0)[:, None, :, None, None], chosen, 0.0)

    def _rays(self, window: Window) -> Float[Tensor, "b 6 vf y x"]:
        """The rays of all frames in the frame of the first camera when the last frame was given; zero where that is not known."""
        actions = window.actions * self.standardise.std + self.standardise.mean
        size = MOTION_SIZE * self.views
        joined = actions.shape[-1] // size
        motions, step = actions.unflatten(-1, (joined, size)).flatten(1, 2).split(MOTION_SIZE, dim=-1), joined * self.rate
        poses = poses_along(motions[0])[:, ::step]
        origin = (window.given.unflatten(1, (self.views, -1)).sum(2).amax(1) - 1).clamp(min=0)
        row = torch.arange(len(poses), device=poses.device)
        relative = torch.linalg.solve(poses[row, origin][:, None], poses)
        given = window.acted == GIVEN
        unknown = torch.nn.functional.pad((~given).long().cumsum(1), (1, 0))[:, :: self.rate]
        sure = unknown == unknown.gather(1, origin[:, None])
        told = [self._cast(relative, sure, self.fields_of_view_deg[0], window)]
        for rig, field_deg in zip(motions[1:], self.fields_of_view_deg[1:], strict=True):  # where a further camera is in the first's frame
            beside = torch.cat([relative[:, :1], relative[:, 1:] @ pose_of(rig[:, step - 1 :: step])], dim=1)
            known = torch.nn.functional.pad(given[:, self.rate - 1 :: self.rate], (1, 0))  # nobody says it of the first frame
            told.append(self._cast(beside, sure & known, field_deg, window))
        return torch.cat(told, dim=2)

    def _cast(
        self, poses: Float[Tensor, "b f 4 4"], sure: Bool[Tensor, "b f"], field_of_view_deg: float, window: Window
    ) -> Float[Tensor, "b 6 f y x"]:
        """The rays of one camera; zero where its pose is not sure."""
        rows, columns = window.cells.shape[3], window.cells.shape[4] // self.views
        height, width = rows * self.side, columns * self.side
        camera = pinhole(height, width, field_of_view_deg)
        rays = pluecker_rays(camera, poses, height=height, width=width, rows=rows, columns=columns)
        return torch.where(sure[:, :, None, None, None], rays, 0.0).transpose(1, 2)

    def _apart(self, flat: Float[Tensor, "b m"], window: Window) -> tuple[Tensor, Tensor]:
        """Cells and actions again."""
        size = window.cells[0].numel()
        return flat[:, :size].reshape(window.cells.shape), flat[:, size:].reshape(window.actions.shape)


def _by_kind(acted: Tensor, hidden: Tensor, drawn: Tensor, given: Tensor) -> Tensor:
    """Of each action what is due to one that is hidden, drawn or given."""
    return torch.where(acted == GIVEN, given, torch.where(acted == HIDDEN, hidden, drawn))


def _flat(cells: Tensor, actions: Tensor) -> Float[Tensor, "b m"]:
    return torch.cat([cells.flatten(1), actions.flatten(1)], dim=1)


def _mean(values: Float[Tensor, "b n"], counts: Bool[Tensor, "b n"]) -> Float[Tensor, ""]:
    """Over what counts."""
    return (values * counts).sum() / counts.sum().clamp(min=1)
