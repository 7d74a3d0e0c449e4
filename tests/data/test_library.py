"""The library: copied whole, hashed, and every later change of a byte is found. And the card that says what is missing."""

from pathlib import Path

import pytest

from armillary.core.errors import ConfigError, DataError, StorageError
from armillary.data.card import card_text, missing_fields, write_card
from armillary.data.convert import convert
from armillary.data.dataset import open_dataset
from armillary.data.library import add, verify
from armillary.data.metadata import read_metadata
from tests.data.recordings import VIEW, episode, read_info, tree, write_info
from tests.data.version2 import write_version2


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write_version2(tmp_path / "old", [episode(n, 8) for n in range(3)])


def test_an_added_dataset_is_a_copy_that_can_be_verified(dataset: Path, tmp_path: Path):
    added = add(dataset, tmp_path / "library", name="toy")
    copy = tree(added.path)
    assert {name: copy[name] for name in tree(dataset)} == tree(dataset) and added.episodes == 3
    assert set(copy) - set(tree(dataset)) == {"manifest.json", "README.md"}
    assert verify(added.path).ok and len(open_dataset(added.path)) == 3
    again = add(dataset, tmp_path / "library", name="toy")
    assert again.already_there and again.content_hash == added.content_hash
    assert add(convert(dataset, tmp_path / "new").path, tmp_path / "library", name="toy3").content_hash == added.content_hash


def test_somebody_elses_manifest_is_not_read_as_ours(dataset: Path):
    (dataset / "manifest.json").write_text('{"episodes": 3}')
    assert len(open_dataset(dataset)) == 3


def test_every_change_is_found(dataset: Path, tmp_path: Path):
    path = add(dataset, tmp_path / "library").path
    video = path / f"videos/chunk-000/{VIEW}/episode_000001.mp4"
    whole = bytearray(video.read_bytes())
    whole[-20] ^= 1  # in the last picture: it still decodes
    video.write_bytes(whole)
    (bad,) = open_dataset(path).quarantined
    assert bad.index == 1 and "content changed" in bad.reason
    (path / "data/chunk-000/episode_000002.parquet").unlink()
    (path / "data/extra.txt").write_text("new")
    found = verify(path)
    assert found.changed == (f"videos/chunk-000/{VIEW}/episode_000001.mp4",)
    assert found.missing == ("data/chunk-000/episode_000002.parquet",) and found.added == ("data/extra.txt",) and not found.ok
    assert "changed: videos" in str(found)


def test_refusals(dataset: Path, tmp_path: Path):
    add(dataset, tmp_path / "library", name="toy")
    other = write_version2(tmp_path / "other", [episode(9)])
    with pytest.raises(StorageError, match="another dataset named 'toy'"):
        add(other, tmp_path / "library", name="toy")
    for name in ("../toy", "a/b", ".hidden", "%2e%2e", "null\0"):
        with pytest.raises(ConfigError, match="refused"):
            add(other, tmp_path / "library", name=name)
    write_info(other, read_info(other) | {"total_frames": 5})
    with pytest.raises(DataError, match="total_frames"):
        add(other, tmp_path / "library", name="lying")
    assert sorted(entry.name for entry in (tmp_path / "library").iterdir()) == ["toy"]


def test_a_link_that_leads_outside_is_refused(dataset: Path, tmp_path: Path):
    secret = tmp_path / "secret.mp4"
    video = dataset / f"videos/chunk-000/{VIEW}/episode_000000.mp4"
    video.rename(secret)
    video.symlink_to(secret)
    (bad,) = open_dataset(dataset).quarantined
    assert bad.index == 0 and "leads outside" in bad.reason
    with pytest.raises(DataError, match="leads outside"):
        add(dataset, tmp_path / "library")


def test_the_card_flags_what_nobody_said(dataset: Path):
    assert write_card(dataset) is not None and write_card(dataset) is None
    text = (dataset / "README.md").read_text()
    assert "license, recorded by, consent, how, known gaps" in text and text.count("**MISSING**") == 5
    assert "| frames | 24 at 10 a second" in text and "| action | float32 | 3 |" in text
    known = {"license": "cc-by-4.0", "recorded by": "me | <script>"}
    assert missing_fields(known) == ("consent", "how", "known gaps")
    text = card_text(read_metadata(dataset), known)
    assert "license: cc-by-4.0" in text and "<script>" not in text and "me \\| \\<script\\>" in text
