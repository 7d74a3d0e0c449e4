"""Every message of a page is read whole or refused with a reason; a frame's message comes apart as it was put together."""

import io
import json
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from armillary.core import ConfigError, WorldError
from armillary.serve.controls import Controls
from armillary.serve.messages import Order, encode_picture, pack_frame, read_order, unpack_frame
from tests.serve.stub import CHOICES, sliders


def test_orders():
    controls = Controls(choices=CHOICES)
    assert read_order('{"do": "act", "value": 2, "sequence": 7}', controls) == Order(do="act", value=2, sequence=7)
    assert read_order('{"do": "reset", "seed": null}', controls) == Order(do="reset")
    assert read_order('{"do": "reset", "seed": 5}', controls) == Order(do="reset", number=5)
    assert read_order('{"do": "scrub", "step": 3}', controls) == Order(do="scrub", number=3)
    assert read_order('{"do": "record", "on": true}', controls) == Order(do="record", on=True)
    assert read_order('{"do": "tell", "text": " it rains "}', controls) == Order(do="tell", text="it rains")
    assert read_order('{"do": "tell", "text": ""}', controls) == Order(do="tell")
    assert read_order('{"do": "act", "value": [0.5, 1], "sequence": 1}', sliders()).value == (0.5, 1.0)


REFUSED = (
    *("", "{", "[]", "null", "1", '"act"', "{}", '{"do": null}', '{"do": []}', '{"do": "nothing"}', '{"do": "__class__"}'),
    *(
        '{"do": "act"}',
        '{"do": "act", "value": 2}',
        '{"do": "act", "value": true, "sequence": 1}',
        '{"do": "act", "value": 6, "sequence": 1}',
    ),
    *('{"do": "act", "value": NaN, "sequence": 1}', '{"do": "act", "value": -Infinity, "sequence": 1}'),
    *(
        '{"do": "act", "value": 1e999, "sequence": 1}',
        '{"do": "act", "value": 2, "sequence": -1}',
        '{"do": "act", "value": 2, "sequence": 1.0}',
    ),
    *('{"do": "reset", "seed": -1}', '{"do": "reset", "seed": 2147483648}', '{"do": "reset", "seed": "0"}', '{"do": "reset", "seed": 0.5}'),
    *('{"do": "scrub"}', '{"do": "scrub", "step": 1e3}', '{"do": "step", "count": 65}', '{"do": "step", "count": 0}'),
    *('{"do": "tell"}', '{"do": "tell", "text": 1}', '{"do": "tell", "text": "a\\nb"}', '{"do": "tell", "text": "' + "a" * 201 + '"}'),
    *('{"do": "branch", "bookmark": 0}', '{"do": "seen", "frame": 9007199254740992}', '{"do": "record", "on": 1}'),
    *("[" * 4000, '{"a":' * 700 + "1" + "}" * 700, " " * 4097, '{"do": "seen", "frame": ' + "9" * 4050 + "}"),
)


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text):
    with pytest.raises(WorldError):
        read_order(text, Controls(choices=CHOICES))


@given(
    text=st.text(max_size=200)
    | st.dictionaries(st.sampled_from(["do", "step", "seed", "value"]), st.integers() | st.text()).map(json.dumps)
)
def test_nothing_else_is_raised(text):
    with suppress(WorldError):
        assert isinstance(read_order(text, sliders()), Order)


@pytest.mark.parametrize("form", ["jpeg", "webp"])
def test_a_frame_comes_apart_as_it_was_put_together(form):
    frames = {name: np.random.default_rng(i).integers(0, 256, (24, 40, 3), np.uint8) for i, name in enumerate(("world", "truth"))}
    about, pictures = unpack_frame(pack_frame({"step": 3, "error_db": None}, frames, form))
    assert about["step"] == 3 and about["error_db"] is None and about["type"] == f"image/{form}"
    assert {name: Image.open(io.BytesIO(file)).size for name, file in pictures.items()} == {"world": (40, 24), "truth": (40, 24)}


def test_pictures_keep_their_colours():
    flat = np.full((16, 16, 3), (200, 40, 90), np.uint8)
    flat[:, 8:] = (10, 220, 30)  # a sharp edge of colour: with halved colour resolution it would bleed
    for form in ("jpeg", "webp"):
        back = np.asarray(Image.open(io.BytesIO(encode_picture(flat, form))).convert("RGB")).astype(int)
        assert np.abs(back - flat).mean() < (3 if form == "jpeg" else 12)
    with pytest.raises(ConfigError, match="png"):
        encode_picture(flat, "png")
