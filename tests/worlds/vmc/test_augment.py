"""Another look changes how a window appears, not what happens in it."""

import torch

from armillary.core import seeded
from armillary.worlds.vmc.augment import other_look


def test_probability_zero_changes_nothing_and_one_changes_every_window():
    frames = torch.rand(4, 3, 3, 64, 64)
    assert torch.equal(other_look(frames, 0.0, seeded(0)), frames)
    changed = other_look(frames, 1.0, seeded(0))
    assert ((changed - frames).abs().mean((1, 2, 3, 4)) > 1e-3).all()  # of four windows each is moved, textured or both
    assert changed.min() >= 0.0 and changed.max() <= 1.0


def test_a_window_is_changed_as_a_whole():
    still = torch.rand(4, 1, 3, 64, 64).expand(4, 5, 3, 64, 64)
    changed = other_look(still, 1.0, seeded(1))
    assert torch.allclose(changed, changed[:, :1].expand_as(changed), atol=1e-6)
