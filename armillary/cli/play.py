"""armillary play: a world that a person can walk into, in the browser."""

import os
import sys
from argparse import Namespace

from armillary.cli import options as shared
from armillary.cli.console import Console

_EPILOG = """WHAT is the folder of a run (vmc, diffusion, video-diffusion, autoregressive, genie), a small world (platformer, pusher,
two-rooms, bouncing-balls), a scene of a twin (tabletop, kitchen, rooms, road, dominoes ...), or a published run's folder or hub:OWNER/NAME.
Without it platformer-dream: a learned world that comes with the package, and beside it the simulator that it learned from.
The page answers to this machine and this browser only. Recordings go to --out as LeRobot episodes; nothing is written before the first."""


def add(verbs) -> None:
    """Declare the verb."""
    parser = shared.new_verb(verbs, "play", run, "walk into a world in the browser, with keys, sliders, gamepad or touch", epilog=_EPILOG)
    parser.add_argument(
        "world", nargs="?", metavar="WHAT", help="a run's folder, hub:OWNER/NAME or a world's name (default: platformer-dream)"
    )
    parser.add_argument("--port", type=int, metavar="N", help="where the page is (default: 8642; if it is taken, the next that is free)")
    parser.add_argument("--no-browser", action="store_true", help="do not open the page")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="where it begins (default: 0)")
    parser.add_argument(
        "--size", type=int, default=0, metavar="PX", help="pixels of a simulator's picture (default: small worlds 128, twins 192)"
    )
    parser.add_argument(
        "--data", default="", metavar="DATASET", help="a run's recordings, if they are no longer where it learned from them"
    )
    parser.add_argument(
        "--backend",
        choices=("eager", "onnx", "cuda"),
        default="eager",
        help="what computes a learned world: torch, ONNX Runtime (vmc only), or torch on a GPU (default: eager)",
    )
    parser.add_argument("--out", metavar="DATASET", help="where recordings go (default: runs/play/ and the time)")
    parser.add_argument("--sessions", type=int, default=16, metavar="N", help="how many may play at once (default: 16)")
    parser.add_argument("--picture", choices=("jpeg", "webp"), default="jpeg", help="how pictures are sent (default: jpeg)")
    parser.add_argument(
        "--check", action="store_true", help="start, play one step through the server's own WebSocket, say how long, and end"
    )


def run(options: Namespace, console: Console) -> int:
    """Open the world, serve it, and end with Ctrl-C."""
    from pathlib import Path

    from armillary.core import ConfigError
    from armillary.serve.launch import PORT, Running, Service, check_installed

    check_installed()
    from armillary.serve.messages import MAX_SEED
    from armillary.serve.open_world import DEFAULT, open_world

    if not 0 <= options.seed <= MAX_SEED:
        raise ConfigError(f"--seed must lie in 0 to {MAX_SEED}, received {options.seed}")
    if options.port is not None and not 1 <= options.port <= 65535:
        raise ConfigError(f"--port must lie in 1 to 65535, received {options.port}")
    if options.sessions < 1:
        raise ConfigError(f"--sessions must be at least 1, received {options.sessions}")
    wanted = options.port or PORT
    name = options.world or DEFAULT
    playable = open_world(name, size=options.size, seed=options.seed, data=options.data, backend=options.backend)
    settings = {"seed": options.seed, "max_sessions": options.sessions, "form": options.picture}
    settings |= {"folder": Path(options.out)} if options.out else {}
    if options.out and Path(options.out).exists():
        raise ConfigError(f"--out {options.out} exists already; choose another folder")
    if options.dry_run:
        console.result({"world": name, "port": wanted}, f"would serve {name} on 127.0.0.1:{wanted}; nothing was started")
        return 0
    if options.check:
        return _check(Service(playable=playable, port=0, **settings), console)
    service = Service(playable=playable, port=wanted, **settings)

    def came_in(address: str) -> None:
        console.note(f"a browser came in; for another one: {address}")

    with Running(service, on_key=came_in) as running, running.stopped_by_ctrl_c():
        if running.port != wanted:
            console.note(f"port {wanted} is taken; using {running.port}")
        console.result({"address": running.address, "world": name}, f"{name} is at {running.address}\nCtrl-C ends it")
        if not options.no_browser and _has_display():
            import webbrowser

            webbrowser.open(running.address)
        running.run()
    console.note("ended")
    return 0


def _check(service, console: Console) -> int:
    from armillary.serve.self_check import check

    found = check(service)
    text = f"{service.playable.name} plays: {found['step_ms']:.1f} ms a step, {found['round_trip_ms']:.1f} ms from an action to its picture"
    console.result(found, text)
    return 0


def _has_display() -> bool:
    if not sys.stdout.isatty():
        return False
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
