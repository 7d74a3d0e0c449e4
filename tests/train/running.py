"""How the tests of the loop start a toy run, in this process or in another one."""

import os
import subprocess
import sys
from pathlib import Path

from armillary.train import FitResult, RunFolder, TrainConfig, fit
from tests.train.toy import ToyWorld, toy_episodes

ROOT = Path(__file__).parents[2]
EPISODES = toy_episodes()


def toy_config(**changes) -> TrainConfig:
    """Twenty steps, ten a phase, with everything switched on that a short run can have."""
    usual = {"steps": 20, "warmup_steps": 3, "checkpoint_every": 4, "validate_every": 5, "validation_batches": 2, "tensorboard": False}
    return TrainConfig(**(usual | changes))


def create(path: Path) -> RunFolder:
    """A new run folder for the toy."""
    return RunFolder.create(path, family="toy", config={"data_path": None, "config": {}}, replay=["armillary", "train", "a b"], seed=0)


def train(run: RunFolder, world: ToyWorld | None = None, on_progress=None, episodes=EPISODES, **changes) -> FitResult:
    """Fit the toy on three episodes, with one held out."""
    return fit(
        world or ToyWorld(),
        run=run,
        train_episodes=episodes[:-1],
        validation_episodes=episodes[-1:],
        camera="view",
        config=toy_config(**changes),
        on_progress=on_progress,
    )


def losses(run: RunFolder) -> list[float]:
    """The loss of every step."""
    return [row["loss"] for row in run.metrics()]


def weights(run: RunFolder) -> dict[str, bytes]:
    """Every tensor file of the checkpoints, to the byte."""
    return {str(path.relative_to(run.path)): path.read_bytes() for path in sorted(run.checkpoints.rglob("*.safetensors"))}


def start_process(script: str, *arguments: str, torchrun: int = 0) -> subprocess.Popen:
    """A script of this folder in a process of its own, or in several that torchrun starts."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(torchrun)] if torchrun else []
    command = [sys.executable, *launcher, str(Path(__file__).parent / script), *arguments]
    return subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
