"""Texts are read row by row; released encoders give transformers' numbers and stay out of our checkpoints."""

import os
from dataclasses import replace

import pytest
import torch

from armillary.core import CheckpointError, ConfigError, Prompt, WorldError, seeded, to_bytes, to_texts
from armillary.worlds.video_diffusion.text import ByteText
from tests.worlds.video_diffusion.small_video import SHAPE, small_batch, small_world

os.environ.setdefault("HF_HUB_OFFLINE", "1")
WORDS = {"<pad>": 0, "</s>": 1, "<unk>": 2, "pick": 3, "up": 4, "the": 5, "cup": 6}


@torch.no_grad()
def test_a_row_is_read_alone():
    reader = ByteText(8, 10)
    both = reader(to_bytes(["go", "pick it up"], 10)).tokens
    assert torch.allclose(both[:1], reader(to_bytes(["go"], 10)).tokens, atol=1e-6)
    assert not torch.allclose(both[0], both[1], atol=1e-2)


@torch.no_grad()
def test_what_is_drawn_follows_the_text_and_each_row_its_own():
    world = small_world()
    frames = small_batch(world, 2).frames[:, :2]

    def drawn(texts, which=(0, 1)):
        asked = world.chunks.ask(frames[list(which)], 5, world._text(texts, len(which)))
        return world.chunks.draw(asked, world.chunks.noise(len(which), 6, seeded(0)))[0]

    first, other = drawn(["left", "up"]), drawn(["right", "up"])
    assert not torch.allclose(first[0], other[0], atol=1e-3)
    assert torch.allclose(first[1], other[1], atol=1e-5)


@torch.no_grad()
def test_guidance_leads_away_from_what_would_be_drawn_without():
    """What is said is the unguided answer plus (guidance - 1) times its difference from the answer without the condition."""
    text = {"guidance": 3.0}
    acts = {"action_guidance": 2.5}
    for changes, scale in ((text, 3.0), (acts, 2.5)):
        world = small_world(**changes)
        chunks, batch = world.chunks, small_batch(world, 2)
        asked = chunks.ask(batch.frames[:, :2], 5, world._text(["left", "up"], 2))
        asked = replace(asked, actions=batch.actions[:, :5], acted=torch.full((2, 5), 2))
        noise = chunks.noise(2, 6, seeded(0))
        blind = replace(asked, text=torch.zeros_like(asked.text)) if changes is text else replace(asked, acted=torch.zeros(2, 5).long())
        windows = [window_of(world, one) for one in (asked, blind)]
        x, told = torch.randn(2, noise.cells[0].numel() + 15, generator=seeded(1)), torch.tensor([0.3, 0.9])
        read = [world.reader(one.text) for one in windows]
        said, without = (world.denoiser.network(one, noise, by)(x, told) for one, by in zip(windows, read, strict=True))
        led = world.denoiser.guided(windows[0], noise, read[0], world.reader(torch.zeros_like(asked.text)))(x, told)
        assert torch.allclose(led, said + (scale - 1.0) * (said - without), atol=1e-4)
        assert not torch.allclose(led, said, atol=1e-2)


def window_of(world, asked):
    """The window that a chunk with two frames given makes."""
    from armillary.worlds.video_diffusion.window import Window

    cells = torch.zeros(2, 3, 6, *world.picture[1:])
    cells[:, :, :2] = world.space.to_cells(asked.frames)
    given = (torch.arange(6) < 2).expand(2, -1)
    return Window(cells, given, asked.augment, asked.actions, asked.acted, asked.text)


def test_a_world_without_text_reads_none():
    world = small_world(shape=replace(SHAPE, has_text=False))
    assert world.reader is None and "text_to_world" not in world.modes
    with pytest.raises(WorldError, match=r"not trained for text_to_world; train one with --model\.modes.text_to_world above 0"):
        world.imagine(Prompt(batch_size=1, text=["a"]), seeded(0))
    with pytest.raises(WorldError, match="a text for each of 2 worlds, received 'left'"):
        world = small_world()
        world.start(Prompt(batch_size=2, frames=small_batch(world, 2).frames[:, :2], text="left"), seeded(0))


@pytest.fixture(scope="module")
def transformers():
    return pytest.importorskip("transformers", reason="released text encoders need transformers")


def released(transformers, folder, kind: str):
    """A folder of tiny random weights and a tokenizer of seven words; the encoder itself."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = Tokenizer(models.WordLevel(WORDS, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=8
    )
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    if kind == "t5":
        sizes = {"vocab_size": 7, "d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 2, "num_heads": 2}
        encoder = transformers.T5EncoderModel(transformers.T5Config(**sizes))
    else:
        sizes = {"vocab_size": 7, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
        ends = {"max_position_embeddings": 8, "bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0}
        encoder = transformers.CLIPTextModel(transformers.CLIPTextConfig(**sizes, **ends))
    encoder.save_pretrained(folder)
    return encoder.eval()


@pytest.mark.parametrize("kind", ["t5", "clip"])
def test_a_released_encoder_gives_its_own_numbers(transformers, tmp_path, kind):
    theirs = released(transformers, tmp_path, kind)
    world = small_world(text=kind, text_folder=str(tmp_path))
    texts = to_bytes(["pick up the cup", "cup"])
    read = world.reader(texts)
    ids = torch.tensor([[3, 4, 5, 6, 1], [6, 1, 0, 0, 0]])
    mask = ids != 0
    with torch.no_grad():
        expected = theirs(input_ids=ids, attention_mask=mask.long()).last_hidden_state
    assert read.tokens.shape == (2, 5, 16) and torch.equal(read.readable, mask)
    assert torch.allclose(read.tokens[mask], expected[mask], atol=1e-5)
    assert not any("reader" in name for name in world.state_dict())
    world.begin_phase("diffusion")
    loss = world.loss(small_batch(world), seeded(0)).total
    loss.backward()
    assert bool(torch.isfinite(loss)) and not any(parameter.requires_grad for parameter in world.reader._encoder[0].parameters())


def test_only_safetensors_are_read(transformers, tmp_path):
    released(transformers, tmp_path / "t5", "t5")
    (tmp_path / "t5" / "model.safetensors").unlink()
    (tmp_path / "t5" / "pytorch_model.bin").write_bytes(b"never opened")
    with pytest.raises(CheckpointError, match=r"holds no model\.safetensors"):
        small_world(text="t5", text_folder=str(tmp_path / "t5"))
    (tmp_path / "t5" / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(CheckpointError, match="cannot be read as a T5EncoderModel"):
        small_world(text="t5", text_folder=str(tmp_path / "t5"))
    with pytest.raises(ConfigError, match=r"model\.text = t5 needs model\.text_folder"):
        small_world(text="t5")


def test_texts_come_back():
    assert to_texts(to_bytes(["pick", "Tür", ""])) == ["pick", "Tür", ""]
    assert to_texts(to_bytes(["Tür"], 2)) == ["T"]
