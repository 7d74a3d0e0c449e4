"""What the table of g1_diffusion says of its measures."""

from recipes import g1_diffusion


def test_rows_are_means_over_seeds_and_episodes_with_units():
    one = {"gain of a single sample|hue|1.0": [1.0, 3.0], "sharpness|8 steps|1.0": [0.9, 1.1], "seconds of training": [60.0]}
    two = {"gain of a single sample|hue|1.0": [2.0, 4.0], "sharpness|8 steps|1.0": [0.8, 1.0], "seconds of training": [80.0]}
    found = {row["metric"]: (row["value"], row["unit"], row["n"]) for row in g1_diffusion.rows([one, two])}
    assert found["gain of a single sample, hue, +1.0 s"] == (2.5, "dB", 2)
    assert found["sharpness, 8 steps, +1.0 s"] == (0.95, "", 2)
    assert found["seconds of training"] == (70.0, "s", 1)
