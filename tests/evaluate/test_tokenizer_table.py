"""The table of tokenizers on tokenizers whose quality is known by hand."""

from math import log2

import pytest
import torch

from armillary.core import DataError, WorldError, seeded
from armillary.evaluate.tokenizer_table import (
    COPY_FIRST,
    DCT_FITTED,
    DCT_ZONAL,
    H264,
    JPEG,
    PCA,
    Tokenizer,
    judge_copy_first,
    judge_tokenizer,
    linear_codes,
    tokenizer_table,
)


class Averages(Tokenizer):
    """Continuous: one mean of each colour for every square, one frame at a time."""

    codebook_size = None

    def __init__(self, square: int = 4):
        self.square = square

    def encode(self, clip):
        return torch.nn.functional.avg_pool2d(clip, self.square)

    def decode(self, code):
        return code.repeat_interleave(self.square, dim=-1).repeat_interleave(self.square, dim=-2)


class Greys(Tokenizer):
    """Discrete: every number rounded to one of `codebook_size` values."""

    codebook_size = 5

    def encode(self, clip):
        return (clip * 4).round().long()

    def decode(self, code):
        return code / 4


def clips_of(count: int, frames: int = 5, side: int = 16, seed: int = 0) -> list[torch.Tensor]:
    coarse = torch.rand(count, frames, 3, side // 4, side // 4, generator=seeded(seed))
    return list(torch.nn.functional.interpolate(coarse.flatten(0, 1), size=side, mode="bilinear").unflatten(0, (count, frames)))


def test_linear_codes_keep_the_numbers_of_the_tokenizer_and_stand_beside_it():
    seen = clips_of(6, seed=1)
    codes = linear_codes(seen, frames=4, size=8, channels=12, large=(4, 16))
    assert {code.numbers_of((5, 3, 16, 16)) for code in codes.values()} == {2 * 2 * 2 * 12}

    class AsMany(Averages):
        def encode(self, clip):
            return super().encode(clip)[[0, 4]]

        def decode(self, code):
            return super().decode(torch.cat([code[:1], code[1:].expand(4, -1, -1, -1)]))

    table = tokenizer_table("averages", AsMany(), seen, codes)
    assert [one.name for one in table] == ["averages", *codes, COPY_FIRST]
    by_name = {one.name: one for one in table}
    assert {one.numbers for one in table[:-1]} == {96} and by_name[COPY_FIRST].numbers is None
    assert by_name[PCA].gain_db(by_name[DCT_FITTED]).low > 0, "on what it was fitted on nothing linear is better"
    assert by_name[DCT_FITTED].gain_db(by_name[DCT_ZONAL]).low > 0
    assert by_name[PCA].estimate_psnr().n == 6 and table[0].bits is None


def test_gains_are_taken_clip_by_clip():
    clips = clips_of(3)
    fine, coarse = judge_tokenizer("fine", Averages(2), clips), judge_tokenizer("coarse", Averages(8), clips)
    gain = fine.gain_db(coarse)
    expected = [one - other for one, other in zip(fine.psnr_db, coarse.psnr_db, strict=True)]
    assert gain.value == pytest.approx(sum(expected) / 3) and min(expected) <= gain.low <= gain.high <= max(expected)


def test_a_discrete_tokenizer_is_compared_at_its_bits():
    clips = clips_of(2, side=32)
    table = tokenizer_table("greys", Greys(), clips, {})
    assert [one.name for one in table] == ["greys", JPEG, H264, COPY_FIRST]
    assert table[0].bits == pytest.approx(5 * 3 * 32 * 32 * log2(5)) and table[0].numbers == 5 * 3 * 32 * 32
    assert all(one.bits <= table[0].bits and one.over_budget == 0 for one in table[1:3])
    worst = 20 * torch.log10(torch.tensor(8.0)).item()
    assert all(value > worst for value in table[0].psnr_db), "rounding to quarters errs by an eighth at most"


def test_code_usage_is_over_all_clips_together():
    greys = [torch.full((1, 3, 16, 16), value) for value in (0.0, 0.26, 0.24, 1.0)]
    usage = judge_tokenizer("greys", Greys(), greys).code_usage
    assert (usage.num_used, usage.num_codes, usage.num_positions) == (3, 5, 4 * 3 * 16 * 16)


def test_the_trivial_floor_is_the_first_frame():
    clip = torch.stack([torch.zeros(3, 16, 16), torch.full((3, 16, 16), 0.1)])
    assert judge_copy_first([clip]).psnr_db == pytest.approx((20.0,)), "the first frame itself is not judged"


def test_values_outside_the_range_are_clipped_before_they_are_judged():
    class Bright(Averages):
        def decode(self, code):
            return super().decode(code) + 7.0

    assert judge_tokenizer("bright", Bright(), [torch.ones(1, 3, 16, 16)]).psnr_db == (100.0,)


def test_refusals():
    class Cut(Averages):
        def decode(self, code):
            return super().decode(code)[1:]

    class Broken(Averages):
        def decode(self, code):
            return super().decode(code) * torch.nan

    class Beyond(Greys):
        def encode(self, clip):
            return super().encode(clip) + 5

    clips = clips_of(2)
    for tokenizer in (Cut(), Broken()):
        with pytest.raises(WorldError, match="the clip's shape and finite"):
            judge_tokenizer("it", tokenizer, clips)
    with pytest.raises(DataError, match="between 0 and 4, received 5 to 9"):
        judge_tokenizer("it", Beyond(), clips)
    with pytest.raises(DataError, match="no clips"):
        tokenizer_table("it", Greys(), [], {})
    with pytest.raises(DataError, match="clips of one shape"):
        tokenizer_table("it", Greys(), [*clips, *clips_of(1, frames=9)], {})
    with pytest.raises(DataError, match=r"keeps 24 numbers .* it 240; fit it with as many"):
        tokenizer_table("it", Averages(), clips, linear_codes(clips, frames=4, size=8, channels=3, large=(4, 16)))
