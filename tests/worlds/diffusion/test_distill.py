"""The student begins as its teacher, learns to land where the teacher ends, and only what draws learns."""

from dataclasses import replace

import pytest
import torch

from armillary.core import Batch, CheckpointError, ConfigError, Prompt, seeded
from armillary.core.settings import to_plain
from armillary.nn.noising import RectifiedFlow
from armillary.train import RunFolder
from armillary.train.checkpoint import TrainingState, load_weights, save_checkpoint
from armillary.train.tensors import whole_weights
from armillary.worlds.diffusion.distill import PARTS, distillation_loss, open_teacher
from armillary.worlds.diffusion.train import build, complete
from tests.worlds.diffusion.small_diffusion import SHAPE, small_batch, small_config, small_world

# Pictures of one patch are enough.
TINY = replace(SHAPE, height=16, width=16)


def save_teacher(folder, world, family="diffusion", **changes):
    """A finished run of a small world."""
    config = small_config(**changes)
    about = {"config": to_plain(config), "shape": to_plain(SHAPE), "data_path": None}
    with RunFolder.create(folder, family=family, config=about, replay=["test"], seed=0) as run:
        state = TrainingState(step=1, phase="diffusion", seed=0, steps=1, best_step=None, best_loss=None)
        save_checkpoint(run.checkpoints, state, whole_weights(world), {}, 1)
    return folder


def student_of(folder, shape=SHAPE, **changes):
    """A world that has the teacher at `folder`, with its weights."""
    config = small_config(teacher=str(folder), sampler="euler", **({"sampling_steps": 2, "teacher_steps": 8} | changes))
    student = build(config, shape)
    load_weights(student, RunFolder.open(folder).weights())
    student.begin_phase(student.phases()[0].name)
    return student


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_what_is_asked_for_lands_where_the_teachers_way_ends(steps):
    """For normal data the way is known: in rectified flow a picture stays as many deviations from the mean as it was."""
    spread, noising = 0.6, RectifiedFlow()

    def deviation(level):
        return torch.sqrt((1.0 - level) ** 2 * spread**2 + level**2)

    def teacher(noisy, level):
        level = level[:, None]
        return (1.0 - level) * spread**2 / deviation(level) ** 2 * noisy

    clean, noise = (torch.randn(3, 2, generator=seeded(seed)) for seed in (0, 1))
    levels = noising.levels(steps)
    for step in range(steps):
        now, then = levels[step], levels[step + 1]
        noisy = noising.mix(clean, noise, now.expand(3))
        landed = noisy * deviation(then) / deviation(now)
        wanted = noisy - (landed - noisy) * now / (then - now)
        given = {"sampler": "heun", "steps": (steps, 400), "step": step, "clean": clean, "noise": noise}
        assert distillation_loss(noising, lambda noisy, level, wanted=wanted: wanted, teacher, **given) < 1e-5
        nothing = distillation_loss(noising, lambda noisy, level: torch.zeros_like(noisy), teacher, **given)
        assert torch.allclose(nothing, wanted.square().mean(), rtol=0.01)


def test_the_student_begins_as_its_teacher(tmp_path):
    teacher = small_world()
    student = student_of(save_teacher(tmp_path / "teacher", teacher))
    assert all(torch.equal(tensor, teacher.state_dict()[name]) for name, tensor in student.state_dict().items())
    assert student.state_dict().keys() == teacher.state_dict().keys()  # the teacher is no part of the weights
    taught = student._teacher[0]
    assert all(torch.equal(tensor, teacher.state_dict()[name]) for name, tensor in taught.state_dict().items())
    assert taught.sampler == "adams" and not any(parameter.requires_grad for parameter in taught.parameters())


def test_as_many_steps_as_the_teacher_leave_nothing_to_learn(tmp_path):
    student = student_of(save_teacher(tmp_path / "teacher", small_world(), sampler="euler"), sampling_steps=4, teacher_steps=4)
    assert student.loss(small_batch(student), seeded(3)).total < 1e-10


def test_only_what_draws_learns(tmp_path):
    student = student_of(save_teacher(tmp_path / "teacher", small_world()))
    learns = {name.split(".")[0] for name, parameter in student.named_parameters() if parameter.requires_grad}
    assert learns == set(PARTS)
    student.loss(small_batch(student), seeded(2)).total.backward()
    assert {name.split(".")[0] for name, parameter in student.named_parameters() if parameter.grad is not None} <= learns


def tiny_batch(seed: int):
    rng = seeded(seed)
    return Batch(frames=torch.rand(8, 6, 3, 16, 16, generator=rng), actions=torch.randn(8, 6, 3, generator=rng), seconds_per_step=0.1)


@torch.no_grad()
def ends(world, sampler: str, steps: int) -> torch.Tensor:
    """The first future picture of each row, drawn from the same noise."""
    batch, rng = tiny_batch(100), seeded(11)
    usual, world.config = world.config, replace(world.config, sampler=sampler, sampling_steps=steps)
    prompt = Prompt(batch_size=8, frames=batch.frames[:, :2], actions=batch.actions[:, :1])
    picture = world.render(world.step(world.start(prompt, rng), batch.actions[:, 1], rng))["rgb"]
    world.config = usual
    return picture


@pytest.mark.parametrize(("noising", "steps"), [("rectified-flow", 1), ("edm", 2)])
def test_training_brings_few_steps_nearer_to_many_of_the_teacher(tmp_path, noising, steps):
    torch.manual_seed(0)
    teacher = build(small_config(noising=noising), TINY)
    with torch.no_grad():
        teacher.finish.leave.weight.normal_(std=0.1)
    sizes = {"noising": noising, "sampling_steps": steps, "teacher_steps": 12, "frames_per_window": 1}
    student = student_of(save_teacher(tmp_path / "teacher", teacher), TINY, **sizes)
    wanted = ends(teacher.eval(), "adams", 35)
    before = (ends(student, "euler", steps) - wanted).square().mean()
    optimizer = torch.optim.AdamW([one for one in student.parameters() if one.requires_grad], lr=3e-3)
    for number in range(40):
        student.loss(tiny_batch(number), seeded(number)).total.backward()
        optimizer.step()
        optimizer.zero_grad()
    after = (ends(student, "euler", steps) - wanted).square().mean()
    assert after < 0.5 * before


def test_what_cannot_teach_is_said(tmp_path):
    save_teacher(tmp_path / "vmc", small_world(), family="vmc")
    save_teacher(tmp_path / "wide", small_world(width=36))
    with pytest.raises(ConfigError, match="a run of vmc, which is not drawn in sampling steps"):
        open_teacher(tmp_path / "vmc")
    with pytest.raises(CheckpointError, match="not a run folder"):
        complete(small_config(teacher=str(tmp_path / "nothing"), sampler="euler"))
    with pytest.raises(CheckpointError, match="weights of another model"):
        build(small_config(teacher=str(tmp_path / "wide"), sampler="euler"), SHAPE).begin_phase("distillation")
    with pytest.raises(ConfigError, match=r"model\.sampler must be euler"):
        small_config(teacher="somewhere", sampler="adams")
    with pytest.raises(ConfigError, match=r"model.teacher_steps must be at least model.sampling_steps; received 2 and 4"):
        small_config(teacher="somewhere", sampler="euler", teacher_steps=2, sampling_steps=4)
