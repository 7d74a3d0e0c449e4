"""What is printed where: results on stdout, progress only on a terminal."""

import io
import json

from armillary.cli.console import Console


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_silent_when_piped(capsys):
    console = Console()
    console.progress("step 1")
    console.count("files")(1, 2)
    assert capsys.readouterr() == ("", "")


def test_progress_is_written_over_and_cleared_on_a_terminal(monkeypatch, capsys):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    console = Console()
    console.progress("step 1 of 9")
    console.result({"done": 1}, "done")
    assert "step 1 of 9" in terminal.getvalue() and terminal.getvalue().endswith("\x1b[K")
    assert capsys.readouterr().out == "done\n"


def test_json_is_one_value(capsys):
    Console(json_only=True).result({"a": [1.5]}, "words")
    assert json.loads(capsys.readouterr().out) == {"a": [1.5]}


def test_only_the_first_process_speaks(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "1")
    Console().result({}, "words")
    Console().note("words")
    assert capsys.readouterr() == ("", "")
