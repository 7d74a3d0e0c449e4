"""Released text encoders (T5, CLIP) from a folder: config.json, model.safetensors and the tokenizer's files. They are never trained.

Their weights stay in that folder: no checkpoint of ours holds them.
"""

from collections.abc import Mapping
from pathlib import Path

import safetensors
import torch
from jaxtyping import UInt8
from torch import Tensor

from armillary.core import CheckpointError, ConfigError, to_texts
from armillary.worlds.video_diffusion.model import Text
from armillary.worlds.video_diffusion.text import TextReader

MOST_TOKENS = 512


class ReleasedReader(TextReader):
    """An encoder of transformers and its tokenizer, read from a folder without asking the network. Texts end after 512 tokens.

    CheckpointError for a folder that cannot be read or holds no safetensors, ConfigError where transformers is not installed.
    """

    kind: str  # its class in transformers

    def __init__(self, folder: Path | str):
        super().__init__()
        folder = Path(folder)
        try:
            import transformers
        except ImportError as error:
            raise ConfigError("released text encoders need transformers: pip install transformers, or set --model.text bytes") from error
        if not list(folder.glob("model*.safetensors")):
            raise CheckpointError(f"{folder} holds no model.safetensors; give the folder of a released text encoder in that format")
        local = {"local_files_only": True, "trust_remote_code": False}
        try:
            self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **local)
            encoder = getattr(transformers, self.kind).from_pretrained(folder, use_safetensors=True, **local)
        except (OSError, ValueError, KeyError, RuntimeError, safetensors.SafetensorError) as error:
            raise CheckpointError(f"{folder} cannot be read as a {self.kind} with its tokenizer: {error}") from error
        self._encoder = (encoder.eval().requires_grad_(False),)  # a tuple keeps it out of the modules that are saved and trained
        self.width = encoder.config.hidden_size

    @torch.no_grad()
    def forward(self, text: UInt8[Tensor, "b n"]) -> Text:
        encoder = self._encoder[0].to(text.device)
        most = min(self.tokenizer.model_max_length, MOST_TOKENS)
        given = self.tokenizer(to_texts(text), padding=True, truncation=True, max_length=most, return_tensors="pt").to(text.device)
        tokens = encoder(input_ids=given["input_ids"], attention_mask=given["attention_mask"]).last_hidden_state
        return Text(tokens.float(), given["attention_mask"].bool())


class T5Reader(ReleasedReader):
    """T5's encoder, as Cosmos reads its prompts."""

    kind = "T5EncoderModel"


class ClipReader(ReleasedReader):
    """CLIP's text model, token by token; texts end after the places it knows (77 where released)."""

    kind = "CLIPTextModel"


READERS: Mapping[str, type[ReleasedReader]] = {"t5": T5Reader, "clip": ClipReader}
