"""Through the server's own WebSocket: a person plays, is lost and comes back, records, and takes the film home."""

import asyncio
import io
import urllib.request

import numpy as np
import pytest
from PIL import Image
from websockets.exceptions import ConnectionClosed

from armillary.data.dataset import open_dataset
from armillary.data.video import decode_video
from armillary.serve.client import knock, playing
from armillary.serve.launch import Running
from tests.serve.stub import CHOICES, SIZE, served, stub, until


def fetch(running: Running, cookie: str, path: str) -> tuple[bytes, dict[str, str]]:
    request = urllib.request.Request(f"http://127.0.0.1:{running.port}{path}", headers={"Cookie": cookie})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read(), dict(answer.headers)


def dot(picture: bytes) -> tuple[int, int]:
    grey = np.asarray(Image.open(io.BytesIO(picture)).convert("L"))
    return tuple(int(one) for one in np.unravel_index(grey.argmax(), grey.shape))


def test_a_key_moves_the_world(tmp_path):
    async def play() -> None:
        with served(tmp_path) as running:
            async with playing(running.port, knock(running)) as player:
                welcome = player.words["welcome"]
                assert (welcome["world"], welcome["height"], welcome["truth"]) == ("stub", SIZE, False)
                assert [one["name"] for one in welcome["controls"]["choices"]] == [one.name for one in CHOICES]
                first = await player.frame()
                sequence = await player.act(1)
                await player.say("step", count=3)
                shown = first
                while shown.about["step"] < 3:
                    shown = await player.frame()
                assert shown.about["sequence"] == sequence and shown.about["fps"] == 0.0
                assert dot(shown.pictures["world"]) == (dot(first.pictures["world"])[0], dot(first.pictures["world"])[1] - 3)

    asyncio.run(play())


def test_branch_and_scrub(tmp_path):
    async def play() -> None:
        with served(tmp_path) as running:
            async with playing(running.port, knock(running)) as player:

                async def shows(step: int) -> tuple[int, int]:
                    while (shown := await player.frame()).about["step"] != step:
                        continue
                    return dot(shown.pictures["world"])

                start = await shows(0)
                await player.act(3)
                await player.say("step", count=2)
                top = await shows(2)
                await player.say("bookmark")
                await player.act(1)
                await player.say("step", count=2)
                assert await shows(4) == (top[0], top[1] - 2)
                await player.say("branch", bookmark=1)
                assert await shows(2) == top
                await player.act(2)
                await player.say("step", count=1)
                assert await shows(3) == (top[0], top[1] + 1)
                await player.say("scrub", step=0)
                assert await shows(0) == start
                assert player.words["status"]["bookmarks"] == [{"number": 1, "step": 2}]

    asyncio.run(play())


def test_one_who_sees_nothing_gets_no_more_than_two_frames_and_then_the_latest(tmp_path):
    async def play() -> None:
        with served(tmp_path) as running:
            async with playing(running.port, knock(running)) as player:
                await player.say("play")
                (session,) = running.engine._sessions.values()
                await until(lambda: session.timeline[-1].step > 30)
                frames = []
                while len(frames) < 2:
                    if not isinstance(found := await player.next(seen=False), dict):
                        frames.append(found)
                assert session.mailbox.dropped > 10
                late = session.timeline[-1].step
                await player.say("seen", frame=frames[-1].about["frame"])
                assert (await player.frame()).about["step"] >= late > frames[-1].about["step"] + 5

    asyncio.run(play())


def test_a_lost_page_comes_back_to_where_it_was(tmp_path):
    async def play() -> None:
        with served(tmp_path) as running:
            cookie = knock(running)
            async with playing(running.port, cookie) as player:
                name = player.words["welcome"]["session"]
                await player.say("step", count=2)
                while (await player.frame()).about["step"] < 2:
                    continue
            await until(lambda: running.engine._sessions[name].left_at is not None)
            async with playing(running.port, cookie, session=name) as player:
                assert player.words["welcome"]["resumed"]
                assert (await player.frame()).about["step"] == 2

    asyncio.run(play())


def test_no_place_left_is_said(tmp_path):
    async def play() -> None:
        with served(tmp_path, max_sessions=1) as running:
            cookie = knock(running)
            async with playing(running.port, cookie):
                with pytest.raises(ConnectionClosed) as closed:
                    async with playing(running.port, cookie):
                        pass
                assert closed.value.rcvd.code == 1013 and "places are taken" in closed.value.rcvd.reason

    asyncio.run(play())


@pytest.mark.parametrize("with_truth", [False, True])
def test_a_recording_opens_in_our_reader_and_the_film_shows_the_timeline(tmp_path, with_truth):
    async def play() -> dict:
        with served(tmp_path, stub(seconds_per_step=0.02, with_truth=with_truth)) as running:
            cookie = knock(running)
            async with playing(running.port, cookie) as player:
                await player.say("record", on=True)
                await player.act(1)
                await player.say("step", count=4)
                while (await player.frame()).about["step"] < 4:
                    continue
                await player.say("record", on=False)
                saved = await player.told("saved")
                film, headers = await asyncio.to_thread(fetch, running, cookie, f"/film/{player.words['welcome']['session']}.mp4")
        path = tmp_path / "film.mp4"
        path.write_bytes(film)
        frames = decode_video(path)
        assert headers["content-disposition"] == 'attachment; filename="stub-0.mp4"'
        assert frames.shape == (5, 384, 768 if with_truth else 384, 3)
        return saved

    saved = asyncio.run(play())
    dataset = open_dataset(saved["folder"])
    assert not dataset.quarantined and len(dataset) == 1 and dataset.info.fps == 50
    episode = dataset.load(0)
    assert episode.actions.tolist() == [[0, 1, 0, 0, 0, 0]] * 4
    column = episode.state[:, 1]
    assert column.tolist() == [column[0] - i for i in range(4)]
    assert episode.rewards.tolist() == [column[0] - i - 1 for i in range(4)] and not episode.terminated.any()
    assert episode.frames["observation.images.view"].shape == (4, SIZE, SIZE, 3)


def test_nothing_is_written_before_the_first_recording(tmp_path):
    async def play() -> None:
        with served(tmp_path) as running:
            async with playing(running.port, knock(running)) as player:
                await player.say("step", count=1)
                await player.frame()

    asyncio.run(play())
    assert not list(tmp_path.iterdir())


def test_the_key_works_once_and_the_next_is_told(tmp_path):
    told = []
    with served(tmp_path, on_key=told.append) as running:
        first = running.address
        knock(running)
        assert told == [running.address] and running.address != first
