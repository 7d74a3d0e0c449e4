"""The page in the package is built of the sources in web/, and asks for nothing from elsewhere."""

import hashlib
import json
import re
from pathlib import Path

from armillary.serve.app import PAGE

WEB = Path(__file__).resolve().parents[2] / "web"
FIXED = ("index.html", "package-lock.json", "tsconfig.json", "vite.config.js")


def digests(root: Path, names: list[str]) -> dict[str, str]:
    return {name: hashlib.sha256((root / name).read_bytes()).hexdigest() for name in sorted(names)}


def listed(root: Path, *folders: str) -> list[str]:
    return [path.relative_to(root).as_posix() for folder in folders for path in (root / folder).rglob("*") if path.is_file()]


def test_the_page_is_built_of_these_sources():
    recorded = json.loads((PAGE / "sources.json").read_text())
    assert recorded["sources"] == digests(WEB, [*FIXED, *listed(WEB, "src", "public")]), "build the page again: make page"
    built = [name for name in listed(PAGE, ".") if name != "sources.json"]
    assert recorded["built"] == digests(PAGE, built), "the built page was changed by hand; build it again: make page"


def test_the_page_asks_for_nothing_from_elsewhere():
    text = "".join((PAGE / name).read_text() for name in listed(PAGE, ".") if not name.endswith((".svg", ".json")))
    addresses = set(re.findall(r"(?:https?:|wss?:)//[^\"'`\s)]*", text)) - {"http://www.w3.org/2000/svg"}
    assert addresses == {"ws://${location.host}/play"}


def test_nothing_that_the_policy_forbids():
    page = (PAGE / "index.html").read_text()
    scripts = "".join(path.read_text() for path in (WEB / "src").glob("*.ts"))
    assert not re.search(r"<script(?![^>]*\bsrc=)|\bstyle=|\bon\w+=", page)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", scripts)


def test_both_languages_say_everything():
    text = (WEB / "src" / "words.ts").read_text()
    english, chinese = re.findall(r"(?:ENGLISH|CHINESE)[^=]*= \{(.*?)\n\};", text, re.DOTALL)
    words = [set(re.findall(r"^  (\w+):", block, re.MULTILINE)) for block in (english, chinese)]
    assert words[0] == words[1] and len(words[0]) > 40
    used = set(re.findall(r'data-(?:word|label)="(\w+)"', (WEB / "index.html").read_text()))
    assert used <= words[0]
