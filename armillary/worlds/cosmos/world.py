"""The Cosmos world: chunks of video from text and the last frames, drawn by a released model, looked at one frame a step."""

from dataclasses import dataclass, replace

import gymnasium
import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Generator, Tensor, nn

from armillary.core import Prompt, Renders, State, World, WorldError, WorldSpec, require
from armillary.worlds.cosmos.config import CosmosConfig
from armillary.worlds.cosmos.released import Release


@dataclass(frozen=True)
class CosmosState(State):
    """A chunk and where in it the world is. Of `frames` the last `known` are real or drawn, those before them repeat the first one."""

    frames: UInt8[Tensor, "b n 3 h w"]
    position: Int[Tensor, " b"]
    known: Int[Tensor, " b"]
    told: Float[Tensor, "b l d"]  # the text, encoded


class CosmosWorld(nn.Module, World[CosmosState], Renders):
    """p(next frames | last frames, text), `num_frames` at once. There are no actions: its action space is a Box of size 0.

    Every row of a batch has a seed of its own, drawn from `rng` by the step that begins a chunk, so that rows never influence one another.
    """

    def __init__(self, pipeline, release: Release, config: CosmosConfig, guardrail=None):
        super().__init__()
        self.pipeline, self.kind, self.guardrail = pipeline, release.kind, guardrail
        self.config = release.complete(config)
        self.transformer, self.vae, self.text_encoder = pipeline.transformer, pipeline.vae, pipeline.text_encoder
        self.eval()
        self.register_buffer("avoided", self._avoided() if self.config.guidance > 1.0 else None, persistent=False)
        words = () if self.config.text else ("text",)
        self.spec = WorldSpec(
            observation_space=gymnasium.spaces.Box(0, 255, (self.config.height, self.config.width, 3), np.uint8),
            action_space=gymnasium.spaces.Box(-1.0, 1.0, (0,), np.float32),
            seconds_per_step=1.0 / self.config.fps,
            prompt=(("frames",) if self.kind.needs_frames else ()) + words,
            context_steps=self.config.condition_frames if self.kind.goes_on else 1,
        )

    def start(self, prompt: Prompt, rng: Generator) -> CosmosState:
        """From text and the last frames; a model that can begin without frames draws its first chunk at once."""
        require(prompt, *self.spec.prompt)
        frames = prompt.frames if self.kind.goes_on else None
        count = len(prompt.text) if prompt.text is not None else prompt.batch_size if frames is None else len(frames)
        texts = [self.config.text] * count if prompt.text is None else list(prompt.text)
        seeds = self._seeds(count, rng)
        if frames is not None:
            frames = self._accepted(frames, count).to(rng.device)
        told = self._encode(texts).to(rng.device)
        if frames is None:
            drawn = torch.stack([self._draw(None, told[row], int(seeds[row])) for row in range(count)]).to(rng.device)
            return self._at(drawn, torch.zeros_like(seeds), told)
        size, given = self.config.num_frames, frames[:, -self.config.num_frames :]
        buffer = torch.cat([given[:, :1].expand(-1, size - given.shape[1], -1, -1, -1), given], dim=1)
        state = self._at(buffer, torch.full_like(seeds, size - 1), told)
        return replace(state, known=torch.full_like(seeds, given.shape[1]))

    def step(self, state: CosmosState, action: Float[Tensor, "b a"], rng: Generator) -> CosmosState:
        """The next frame; where the chunk has none left, the next chunk is drawn from its last frames."""
        self._check_actions(state, action)
        seeds = self._seeds(state.batch_size, rng)
        position = state.position + 1
        ended = (position >= self.config.num_frames).nonzero()[:, 0]
        if not len(ended):
            return replace(state, position=position)
        if not self.kind.goes_on:
            raise WorldError(
                f"this model makes {self.config.num_frames} frames from text and cannot go on from them; "
                "give a Video2World model the last of them as its prompt"
            )
        frames, position, known = state.frames.clone(), position.clone(), state.known.clone()
        for row in ended.tolist():
            given = state.frames[row, -self._num_given(int(known[row])) :]
            frames[row] = self._draw(given, state.told[row], int(seeds[row])).to(frames.device)
            position[row], known[row] = len(given), self.config.num_frames
        return replace(state, frames=frames, position=position, known=known)

    def observe(
        self, state: CosmosState, action: Float[Tensor, "b a"], observation: Float[Tensor, "b 3 h w"], rng: Generator
    ) -> CosmosState:
        """The frames so far, then what was seen; the next step draws a chunk that goes on from there."""
        self._check_actions(state, action)
        seen = self._accepted(observation[:, None], state.batch_size).to(state.frames.device)
        size = self.config.num_frames
        back = torch.arange(size - 1, device=state.position.device)[None] - (size - 2) + state.position[:, None]
        kept = state.frames[torch.arange(state.batch_size)[:, None], back.clamp(min=0)]
        known = (state.known - (size - 1) + state.position + 1).clamp(max=size)
        return replace(state, frames=torch.cat([kept, seen], dim=1), position=torch.full_like(state.position, size - 1), known=known)

    def render(self, state: CosmosState) -> dict[str, Float[Tensor, "b 3 h w"]]:
        """The picture at the state's position."""
        return {"rgb": state.frames[torch.arange(state.batch_size), state.position].float() / 255.0}

    def _at(self, frames: Tensor, position: Tensor, told: Tensor) -> CosmosState:
        return CosmosState(frames=frames, position=position, known=torch.full_like(position, self.config.num_frames), told=told)

    def _num_given(self, known: int) -> int:
        """How many frames a chunk goes on from: as many as were set, or one, as the models were trained."""
        return self.config.condition_frames if known >= self.config.condition_frames else 1

    def _seeds(self, count: int, rng: Generator) -> Int[Tensor, " b"]:
        return torch.randint(2**62, (count,), generator=rng, device=rng.device)

    def _accepted(self, frames: Tensor, count: int) -> UInt8[Tensor, "b t 3 h w"]:
        """Whole numbers of pictures that suit the model. WorldError for others."""
        picture = (3, self.config.height, self.config.width)
        if tuple(frames.shape[2:]) != picture or frames.shape[1] < 1 or len(frames) != count:
            raise WorldError(
                f"frames must be {count} videos of at least one picture of {picture}, received {tuple(frames.shape)}; "
                "resize them, or open the model with their height and width"
            )
        if not bool(torch.isfinite(frames).all()):
            raise WorldError("the frames hold numbers that are not finite; give pictures in [0, 1]")
        return (frames.clamp(0.0, 1.0) * 255.0).round().to(torch.uint8)

    def _check_actions(self, state: CosmosState, action: Tensor) -> None:
        if tuple(action.shape) != (state.batch_size, 0):
            raise WorldError(f"this model takes no actions: they must be {(state.batch_size, 0)}, received {tuple(action.shape)}")

    @torch.no_grad()
    def _encode(self, texts: list[str]) -> Float[Tensor, "b l d"]:
        """The texts as the model reads them. WorldError for one that the guardrail refuses."""
        for text in texts:
            if self.guardrail is not None and not self._asked("check_text_safety", text):
                raise WorldError(f"NVIDIA's guardrail refuses the text {text!r}; say it otherwise")
        return torch.cat([self.pipeline.encode_prompt(prompt=[text], do_classifier_free_guidance=False)[0] for text in texts])

    @torch.no_grad()
    def _avoided(self) -> Float[Tensor, "1 l d"]:
        """What guidance leads away from, encoded: the released words for a bad video."""
        return self.pipeline.encode_prompt(prompt=[""], do_classifier_free_guidance=True)[1]

    @torch.no_grad()
    def _draw(self, given: UInt8[Tensor, "k 3 h w"] | None, told: Float[Tensor, "l d"], seed: int) -> UInt8[Tensor, "n 3 h w"]:
        """One chunk of one world; where it goes on from frames it begins with them."""
        config, device = self.config, self.pipeline._execution_device
        settings = {"fps": config.fps} if self.kind.takes_fps else {}
        if given is not None:
            settings["video"] = [given.float() / 255.0]
            settings |= {} if self.kind.takes_fps else {"num_latent_conditional_frames": 1 if len(given) == 1 else 2}
        video = self.pipeline(
            prompt_embeds=told[None].to(device),
            negative_prompt_embeds=None if self.avoided is None else self.avoided.to(device),
            height=config.height,
            width=config.width,
            num_frames=config.num_frames,
            num_inference_steps=config.sampling_steps,
            guidance_scale=config.guidance,
            generator=torch.Generator().manual_seed(seed),
            output_type="pt",
            return_dict=False,
            **settings,
        )[0]
        frames = self._checked((video[0].float() * 255.0).round().clamp(0, 255).to(torch.uint8).cpu())
        return frames if given is None else torch.cat([given.cpu(), frames[len(given) :]])

    def _checked(self, frames: UInt8[Tensor, "n 3 h w"]) -> UInt8[Tensor, "n 3 h w"]:
        """The frames, faces blurred. WorldError for a video that the guardrail refuses."""
        if self.guardrail is None:
            return frames
        passed = self._asked("check_video_safety", frames.movedim(1, -1).numpy())
        if passed is None:
            raise WorldError("NVIDIA's guardrail refuses the video that was drawn; start from another text or another seed")
        return torch.as_tensor(np.ascontiguousarray(passed)).movedim(-1, 1)

    def _asked(self, question: str, about: object) -> object:
        """The guardrail's answer; it is on the device for no longer than that, as in diffusers."""
        self.guardrail.to(self.pipeline._execution_device)
        answer = getattr(self.guardrail, question)(about)
        self.guardrail.to("cpu")
        return answer
