"""What a run was made with: versions, machine and the state of the source tree."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

import armillary

_PACKAGES = ("torch", "numpy", "safetensors", "av", "pyarrow", "gymnasium")


def describe_environment() -> dict[str, object]:
    """Facts that another person needs to repeat a run, as plain JSON values."""
    source = Path(armillary.__file__).parent
    return {
        "armillary": armillary.__version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "packages": {name: _version(name) for name in _PACKAGES},
        "git_commit": _git(source, "rev-parse", "HEAD"),
        "git_dirty": bool(_git(source, "status", "--porcelain", "--", str(source))),
    }


def hardware() -> str:
    """The machine in words: cores it may use, processor, accelerator."""
    model, cpu_info = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    lines = cpu_info.read_text().splitlines() if cpu_info.exists() else []
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{cores} x {model}{gpu}"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git(folder: Path, *arguments: str) -> str | None:
    """What git says, or None where there is no git or no repository."""
    try:
        answer = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
