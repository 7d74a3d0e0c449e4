"""The codes of the next frame: one by one, or guessed all at once and corrected until nothing changes.

A guess is checked by giving it to the transformer as if it were true: the code that then would be drawn at each place (with the same noise)
takes its place. Codes whose predecessors are right are right, so as many passes as there are codes always end in what one by one gives;
as most of a frame is as it was before, a few do (Jacobi decoding, arXiv:2305.10427).
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor

from armillary.nn.causal_transformer import Recall
from armillary.nn.quantise import Quantiser
from armillary.nn.token_sampling import choose, gumbel_noise
from armillary.worlds.autoregressive.config import ModelConfig
from armillary.worlds.autoregressive.model import CodePredictor, Known


def draw_frame(
    predictor: CodePredictor,
    quantiser: Quantiser,
    config: ModelConfig,
    memory: Float[Tensor, "b l 2 m w"],
    count: Int[Tensor, " b"],
    known: Known,
    rng: Generator,
) -> tuple[Int[Tensor, "b r c"], Float[Tensor, "b l 2 n w"]]:
    """(codes of the frame of which this is known, what a memory needs of it), after a memory of which the last `count` frames are there."""
    frame = _Frame(predictor, quantiser, config, memory, count, known)
    codes = frame.in_passes(config.passes, known.before[:, 0].flatten(1), rng) if config.passes else frame.one_by_one(rng)
    return codes.unflatten(1, predictor.grid), frame.recall.new()


class _Frame:
    """One frame while it is drawn."""

    def __init__(self, predictor, quantiser, config: ModelConfig, memory: Tensor, count: Tensor, known: Known):
        self.predictor, self.config, self.num_codes = predictor, config, quantiser.num_codes
        self.table = predictor.codes(quantiser)
        self.hint_BNW = predictor.hint(self.table, known)[:, 0]
        self.recall: Recall = predictor.recall(memory, predictor.count)
        self.rotary = predictor.positions(predictor.past_frames, 1, memory.device)
        there = predictor.there(count)
        self.there: Bool[Tensor, "b m"] | None = None if bool(there.all()) else there

    def one_by_one(self, rng: Generator) -> Int[Tensor, "b n"]:
        predictor, codes = self.predictor, []
        before = predictor.begins
        for place in range(predictor.count):
            token = (self.hint_BNW[:, place] + before)[:, None]
            index = torch.full((1, 1), place, device=token.device)
            seen = predictor.transformer(token, self.rotary.take(index), self._allowed(1, place + 1), self.recall)
            codes.append(self._choose(seen[:, 0], self._noise(rng)))
            before = predictor.carried(self.table, codes[-1])
        return torch.stack(codes, dim=1)

    def in_passes(self, passes: int, guess: Int[Tensor, "b n"], rng: Generator) -> Int[Tensor, "b n"]:
        noise = [self._noise(rng) for _ in range(self.predictor.count)]
        for _ in range(passes):
            seen, before = self._follow(guess), guess
            guess = torch.stack([self._choose(seen[:, place], noise[place]) for place in range(self.predictor.count)], dim=1)
            if torch.equal(before, guess):
                return guess
        self._follow(guess)  # what is remembered belongs to the last guess
        return guess

    def _follow(self, codes: Int[Tensor, "b n"]) -> Float[Tensor, "b n w"]:
        self.recall.forget()
        tokens = self.predictor.tokens(self.table, self.hint_BNW[:, None], codes[:, None])
        return self.predictor.transformer(tokens, self.rotary, self._allowed(self.predictor.count, self.predictor.count), self.recall)

    def _allowed(self, queries: int, count: int) -> Bool[Tensor, "#b 1 n m"] | None:
        """What the last `queries` of the first `count` tokens may look at: frames that are there, and their own frame up to each."""
        if self.there is None and queries == 1:
            return None
        rows = 1 if self.there is None else len(self.there)
        device = self.hint_BNW.device
        past = torch.ones(1, self.recall.past, dtype=torch.bool, device=device) if self.there is None else self.there
        own = torch.ones(queries, count, dtype=torch.bool, device=device).tril(count - queries).expand(rows, -1, -1)
        return torch.cat([past[:, None].expand(-1, queries, -1), own], dim=2)[:, None]

    def _noise(self, rng: Generator) -> Float[Tensor, "b k"] | None:
        return gumbel_noise((len(self.hint_BNW), self.num_codes), rng) if self.config.temperature > 0 else None

    def _choose(self, seen: Float[Tensor, "b w"], noise: Float[Tensor, "b k"] | None) -> Int[Tensor, " b"]:
        logits = self.predictor.logits(self.table, seen)
        return choose(logits, noise, temperature=self.config.temperature, top_p=self.config.top_p)
