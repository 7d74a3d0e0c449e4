"""The page in Debian's Chromium: keys, branches, recordings, languages, touch, a lost connection, and what axe-core says of it."""

import os
import re
import shutil
from pathlib import Path

import pytest

from armillary.data.dataset import open_dataset
from armillary.serve.open_world import of_small
from tests.serve.stub import served

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
# Quiet: a browser that looks for updates and the like only fails where there is no network.
FLAGS = [
    "--no-first-run",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WAIT_MS = 30_000
STAND, RIGHT, LEFT_AND_JUMP = 0, 2, 4


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason='the browser tests need: pip install -e ".[browser]"')
    if not CHROMIUM:
        pytest.skip("the browser tests need Debian's Chromium: apt-get install chromium")
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *sandbox])
        yield found
        found.close()


@pytest.fixture
def running(tmp_path):
    with served(tmp_path, of_small("platformer", 64)) as found:
        yield found


@pytest.fixture
def visit(browser, running):
    """Open the page in a fresh browser window; afterwards nothing may have been complained of in its console."""
    complaints, contexts, expected = [], [], []

    def opened(address: str = "", *, expect: str = "", **settings):
        expected.append(expect)
        contexts.append(browser.new_context(**{"viewport": {"width": 1280, "height": 860}, "locale": "en-US", **settings}))
        page = contexts[-1].new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address or running.address)
        if not address:
            page.wait_for_selector("#connection[data-state=connected]")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not [one for one in complaints if not any(known and known in one for known in expected)]


def session(running):
    (found,) = running.engine._sessions.values()
    return found


def x(running) -> float:
    return float(session(running).at.place.state.position[0, 0])


def wait_until(page, expression: str) -> None:
    """Until an expression holds in the page. Asked from outside: the page's policy lets nothing evaluate text inside it."""
    for _ in range(WAIT_MS // 20):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"it never held: {expression}")


def wait_for_step(page, least: int) -> None:
    wait_until(page, f"Number(document.getElementById('timeline').value) >= {least}")


def wait_until_value(page, running, value: int) -> None:
    """Until this is what is held."""
    for _ in range(WAIT_MS // 20):
        if session(running).value == value:
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"{value} was never held, but {session(running).value}")


def test_keys_move_the_world(visit, running):
    page = visit()
    assert page.inner_text("#overlay") == "Press a key, or play"
    before, start = page.evaluate("document.getElementById('canvas-world').toDataURL()"), x(running)
    page.keyboard.down("d")
    wait_for_step(page, 6)
    page.keyboard.up("d")
    page.keyboard.press("Space")
    page.wait_for_selector("#play[data-label=play]")
    assert x(running) > start + 0.5
    assert page.evaluate("document.getElementById('canvas-world').toDataURL()") != before
    assert not page.is_visible("#overlay") and page.inner_text("#meter-latency").endswith(" ms")
    step = session(running).at.step
    page.keyboard.press(".")
    wait_for_step(page, step + 1)
    page.keyboard.press(",")
    wait_until(page, f"Number(document.getElementById('timeline').value) === {step}")


def test_a_gamepad_moves_the_world(visit, running):
    """No gamepad is plugged in here: the browser is made to tell of one, as it would of a real one."""
    page = visit("about:blank")
    page.add_init_script(
        "window.pad = {axes: [0, 0], buttons: Array.from({length: 17}, () => ({pressed: false}))};"
        "navigator.getGamepads = () => [null, window.pad];"
    )
    page.goto(running.address)
    page.wait_for_selector("#connection[data-state=connected]")
    start = x(running)
    page.evaluate("window.pad.axes = [0.9, 0.1]; window.dispatchEvent(new Event('gamepadconnected'))")
    wait_for_step(page, 8)
    right = [moment.value for moment in session(running).timeline][2:]
    assert set(right) == {RIGHT} and x(running) > start + 0.5
    page.evaluate("window.pad.axes = [0.1, -0.1]")  # a stick that is let go never rests at zero
    wait_until_value(page, running, STAND)
    page.evaluate("window.pad.buttons[14].pressed = true; window.pad.buttons[0].pressed = true")
    wait_until_value(page, running, LEFT_AND_JUMP)


def test_a_key_counts_before_the_page_was_told_that_the_world_stands_still(visit, running):
    page = visit("about:blank")
    late = []

    def join(route) -> None:
        server = route.connect_to_server()
        server.on_message(lambda words: late.append(words) if '"status"' in str(words) else route.send(words))

    page.route_web_socket("**/play", join)
    page.goto(running.address)
    page.wait_for_selector("#connection[data-state=connected]")
    page.keyboard.down("d")
    wait_for_step(page, 3)
    assert late and not session(running).paused


def test_bookmark_and_branch(visit, running):
    page = visit()
    page.keyboard.down("ArrowRight")
    wait_for_step(page, 5)
    page.keyboard.press("b")
    page.wait_for_selector("#bookmarks li")
    wait_for_step(page, 15)
    page.keyboard.up("ArrowRight")
    page.keyboard.press("Space")
    page.wait_for_selector("#play[data-label=play]")
    marked = next(iter(session(running).bookmarks.values())).past[-1]
    assert session(running).at.step >= 15 > marked.step
    page.keyboard.press("1")
    wait_until(page, f"Number(document.getElementById('timeline').value) === {marked.step}")
    assert session(running).at is marked
    page.keyboard.press("Space")
    wait_for_step(page, marked.step + 3)
    page.click("#bookmarks .quiet")
    page.wait_for_selector("#no-bookmarks")


def test_a_recording_opens_in_our_reader_and_the_film_comes_home(visit, running, tmp_path):
    page = visit()
    page.click("#record")
    page.wait_for_selector("#record[aria-pressed=true]")
    page.keyboard.down("d")
    wait_for_step(page, 10)
    page.keyboard.press("t")
    page.keyboard.up("d")
    wait_until(page, "document.getElementById('notice').textContent.includes('Episode saved')")
    with page.expect_download() as download:
        page.click("#film")
    download.value.save_as(tmp_path / "film.mp4")
    assert download.value.suggested_filename == "platformer-0.mp4" and (tmp_path / "film.mp4").stat().st_size > 1000
    dataset = open_dataset(tmp_path / "played")
    assert not dataset.quarantined and dataset.info.robot_type == "armillary-platformer"
    assert dataset.load(0).actions[:, 2].sum() >= 5, "most of what was held is 'right'"


def test_seeds_and_the_timeline_by_hand(visit, running):
    page = visit()
    page.fill("#seed", "41")
    page.press("#seed", "Enter")
    wait_until(page, "document.activeElement.id === 'stage'")
    page.keyboard.press("n")
    wait_until(page, "document.getElementById('seed').value === '42'")
    assert session(running).at.seed == 42
    page.click("#play")
    wait_for_step(page, 8)
    page.evaluate("const line = document.getElementById('timeline'); line.value = '3'; line.dispatchEvent(new Event('input'))")
    page.wait_for_selector("#play[data-label=play]")
    assert session(running).at.step == 3 and session(running).timeline[-1].step >= 8


def test_told_in_words_it_rains(visit, running):
    page = visit()
    assert page.locator("#known-events button").all_inner_texts() == ["Nothing", *running.engine.playable.events]
    page.locator("#known-events button", has_text="rain").click()
    page.wait_for_selector("#known-events [aria-pressed=true]:has-text('rain')")
    page.keyboard.press("Space")
    wait_for_step(page, 3)
    assert session(running).timeline[0].text == "" and session(running).at.text == "rain"
    page.fill("#event", "night")
    page.press("#event", "Enter")
    page.wait_for_selector("#known-events [aria-pressed=true]:has-text('night')")
    assert page.evaluate("document.activeElement.id") == "stage"
    page.keyboard.press("r")
    page.wait_for_selector("#known-events [aria-pressed=true]:has-text('Nothing')")


def test_only_the_keyboard(visit):
    page = visit()
    reached, outlined = [], []
    for _ in range(24):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
        outlined.append(reached[-1] == "" or page.evaluate("getComputedStyle(document.activeElement).outlineStyle !== 'none'"))
    wanted = {"skip", "language", "theme", "again", "back", "play", "forward", "timeline", "bookmark", "record", "film", "seed", "next"}
    assert wanted | {"up", "left", "right"} <= set(reached)
    assert all(outlined), dict(zip(reached, outlined, strict=True))
    page.focus("#pad .right")
    page.keyboard.down("Space")
    wait_for_step(page, 3)
    page.keyboard.up("Space")
    assert page.get_attribute("#play", "data-label") == "pause", "the space bar on a button is the button's"


def test_touch(visit, running):
    page = visit(viewport={"width": 400, "height": 860}, has_touch=True, is_mobile=True)
    start, button = x(running), page.locator("#pad .right")
    button.dispatch_event("pointerdown", {"pointerId": 1, "isPrimary": True})
    wait_for_step(page, 6)
    button.dispatch_event("pointerup", {"pointerId": 1})
    assert x(running) > start
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page is wider than the screen"


def test_the_connection_is_lost_and_comes_back(visit, running):
    page = visit()
    page.keyboard.down("d")
    wait_for_step(page, 4)
    page.keyboard.up("d")
    step = session(running).at.step
    for connection in list(running._web.server_state.connections):
        connection.loop.call_soon_threadsafe(connection.transport.close)
    page.wait_for_selector("#banner:not([hidden])")
    page.wait_for_selector("#connection[data-state=connected]")
    assert not page.is_visible("#banner")
    assert session(running).at.step >= step and session(running).paused


def test_without_a_key_it_says_what_to_do(visit, running):
    page = visit(running.address.partition("#")[0] + "#key=wrong", expect="status of 40")
    page.wait_for_selector("#connection[data-state=refused]")
    assert "terminal" in page.inner_text("#banner") and page.url.endswith("/")


def test_a_window_that_nobody_sees_lets_the_server_sleep(visit, running):
    page = visit()
    page.keyboard.press("Space")
    wait_for_step(page, 2)
    hide = (
        "Object.defineProperty(document, 'hidden', {value: %s, configurable: true}); document.dispatchEvent(new Event('visibilitychange'))"
    )
    page.evaluate(hide % "true")
    page.wait_for_selector("#play[data-label=play]")
    assert session(running).paused
    page.evaluate(hide % "false")
    page.wait_for_selector("#play[data-label=pause]")


LOOKS = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "chinese": {"locale": "zh-TW"},
    "phone": {"viewport": {"width": 390, "height": 800}},
}


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing_serious(visit, look):
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: cd web && npm ci")
    page = visit(**LOOKS[look])
    page.keyboard.press("b")
    page.wait_for_selector("#bookmarks li")
    page.evaluate(AXE.read_text())
    found = page.evaluate("async () => (await axe.run()).violations.map(one => [one.impact, one.id, one.nodes.map(node => node.html)])")
    assert not [one for one in found if one[0] in ("serious", "critical")], found
    language = page.evaluate("document.documentElement.lang")
    assert language == ("zh-Hant" if look == "chinese" else "en")
    assert bool(re.search("[\u4e00-\u9fff]", page.inner_text("h2"))) == (look == "chinese")
