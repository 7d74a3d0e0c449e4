"""armillary train FAMILY --data PATH --out RUN: a world model, a policy or a tokenizer, from recordings."""

from argparse import Namespace

from armillary.cli import options as shared
from armillary.cli.console import Console, clock

_EPILOG = f"""{shared.FAMILIES}
Every setting of the family can be given as --group.name VALUE: --train.steps 500 --model.latent-size 64
--data.camera observation.images.wrist. `armillary train vmc --data PATH --out RUN --dry-run` lists them all.
Several cameras, side by side: --data.cameras NAME,NAME
From the weights of another run, for another robot:
armillary train diffusion --data PATH --out RUN --init OTHER_RUN --lora 8
A policy on a world's latents names that world's run: armillary train inverse-dynamics --data PATH --out RUN --model.world WORLD_RUN
Several processes: torchrun --nproc-per-node 2 -m armillary train vmc --data PATH --out RUN"""


def add(verbs) -> None:
    """Declare the verb."""
    description = "train a world model, a policy or a tokenizer on a dataset"
    parser = shared.new_verb(verbs, "train", run, description, takes_settings=True, epilog=_EPILOG)
    parser.add_argument("family", metavar="FAMILY", help="what to train: a world, a policy or a tokenizer, see below")
    parser.add_argument("--data", required=True, metavar="PATH", help="a LeRobot dataset (v2.0, v2.1 or v3)")
    parser.add_argument("--out", required=True, metavar="RUN", help="the run folder to make")
    parser.add_argument(
        "--init",
        metavar="RUN",
        help="begin with the weights of this run of the same family, on the data of whatever robot (vjepa2: or with released weights)",
    )
    parser.add_argument("--lora", metavar="RANK", type=int, default=0, help="with --init: learn low-rank updates of its weights only")
    shared.add_shorthand(parser)


def run(options: Namespace, console: Console) -> int:
    """Train, and say where the weights are."""
    from armillary.studies.fit import check_updates, is_run, train_family

    check_updates(options.family, options.init, options.lora)
    config = shared.family_config(options.family, options, init=options.init)
    if options.dry_run:
        return _dry_run(options, config, console)
    result = train_family(
        options.family,
        data=options.data,
        out=options.out,
        config=config,
        replay=options.replay,
        watch=watch(console),
        init=options.init if options.init and is_run(options.init) else None,  # released weights are a setting of the family
        lora_rank=options.lora,
    )
    tell_result(result, options.out, console)
    return 0


def watch(console: Console):
    """Progress of the cache and of training as one line."""
    from armillary.studies.fit import Watch

    counted = console.count("decoding recordings")
    return Watch(
        on_cache=lambda progress: counted(progress.done, progress.total),
        on_train=lambda progress: console.progress(progress.line()),
        on_start=lambda start: console.note(start.told()),
    )


def tell_result(result, out: str, console: Console) -> None:
    """The end of a training run."""
    best = None if result.best_validation_loss is None else round(result.best_validation_loss, 6)
    value = {
        "run": str(out),
        "steps": result.steps,
        "seconds": round(result.seconds, 2),
        "best_step": result.best_step,
        "best_validation_loss": best,
        "best_weights": str(result.best_weights),
        "latest_weights": str(result.latest_weights),
        "diagnosis": result.diagnosis,
    }
    validated = "" if best is None else f"; best validation loss {best:.4f} at step {result.best_step}"
    judge = f"\njudge it with: armillary evaluate {out}" if result.renders else ""
    wrong = f"\nwarning: {result.diagnosis}" if result.diagnosis else ""
    text = f"{out}: {result.steps} steps in {clock(result.seconds)}{validated}{wrong}{judge}"
    console.result(value, text)


def _dry_run(options: Namespace, config, console: Console) -> int:
    from armillary.core.settings import names, to_plain
    from armillary.studies.fit import complete_settings
    from armillary.studies.plans import plan_training

    config = complete_settings(options.family, config)
    plan = plan_training(options.data, options.out, config)
    plain = to_plain(config)
    lines = [f"would train {options.family} on {plan.train} episodes of {options.data} into {options.out}; nothing was written"]
    lines.append(f"{plan.validation} episodes choose the best weights, {plan.test} are held out, {plan.quarantined} are quarantined")
    lines.append(f"camera {plan.camera}, a step of the model is {plan.seconds_per_step:.3f} s")
    for name in names(config):
        leaf = plain
        for part in name.split("."):
            leaf = leaf[part]
        lines.append(f"  --{name.replace('_', '-')} {leaf}")
    console.result({"family": options.family, "out": options.out, "config": plain, "plan": vars(plan)}, "\n".join(lines))
    return 0
