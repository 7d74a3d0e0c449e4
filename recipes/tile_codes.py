"""What the Genie recipes on the platformer share: small pictures of which a code stands for one tile of the level.

What happens to a tile then happens to its code, wherever it is. The last weights are judged, so no episodes are for validation.
Blocks are compiled, which needs a C++ compiler, in 16 bits: steps take two fifths of the time.
"""

SIZE = 32  # pixels of a side, 8 tiles
TILE_CODES = {
    "data.height": str(SIZE),
    "data.width": str(SIZE),
    "data.stride": "1",
    "data.validation-fraction": "0",
    "data.test-fraction": "0",
    "model.patch": "4",
    "model.levels": "8,8,8,8,8,8",
    "train.ema-decay": "0.99",
    "train.workers": "0",
    "train.precision": "bf16",
    "train.compile": "true",
}
QUICK = {"train.steps": "8", "train.compile": "false"}
