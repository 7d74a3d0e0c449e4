"""Options that verbs share, and the dotted settings that a family's config understands."""

import argparse
import difflib
from collections.abc import Callable, Sequence

# Raw text of an epilog: in an option's help argparse would break the names at their hyphens. Names cost no import here.
FAMILIES = """FAMILY is a world (vmc, diffusion, video-diffusion, autoregressive, genie, jepa, vjepa2, vjepa2-ac),
a policy (goal-cloning, inverse-dynamics), tokenizer, or code-decoder (draws the codes of a tokenizer or an autoregressive world anew)."""
SHORTHAND = {"seed": "train.seed", "steps": "train.steps", "checkpoint_every": "train.checkpoint_every"}


def new_verb(
    verbs,
    name: str,
    run: Callable,
    description: str,
    *,
    writes: bool = True,
    takes_settings: bool = False,
    epilog: str | None = None,
) -> argparse.ArgumentParser:
    """Declare a verb with the options that all have: `--json`, `--debug`, and `--dry-run` on what writes."""
    parser = verbs.add_parser(
        name,
        help=description,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(run=run, takes_settings=takes_settings, parser=parser, dry_run=False)
    parser.add_argument("--json", action="store_true", help="print one JSON value on stdout and nothing else there")
    parser.add_argument("--debug", action="store_true", help="show where an error came from")
    if writes:
        parser.add_argument("--dry-run", action="store_true", help="say what would be done and write nothing")
    return parser


def add_shorthand(parser: argparse.ArgumentParser, *, preset: str | None = "default") -> None:
    """`--seed`, `--steps` and `--checkpoint-every` for the settings of `train` that everyone needs."""
    parser.add_argument("--seed", metavar="N", help="short for --train.seed")
    parser.add_argument("--steps", metavar="N", help="short for --train.steps")
    parser.add_argument("--checkpoint-every", metavar="N", help="short for --train.checkpoint-every")
    parser.add_argument(
        "--preset", default=preset, metavar="NAME", help=f"the settings to begin with (default: {preset or 'what suits the data'})"
    )


def settings(options: argparse.Namespace) -> dict[str, str]:
    """Dotted names and words from the shorthand and from `--group.name VALUE`; the latter win."""
    short = {dotted: getattr(options, name) for name, dotted in SHORTHAND.items() if getattr(options, name, None) is not None}
    return short | options.settings


def split_settings(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Take `--group.name VALUE` out of a command: (the other words, the settings). A setting without a value gets an empty one.

    >>> split_settings(["train", "vmc", "--train.steps", "5", "--out", "a.b", "--model.latent-size=8"])
    (['train', 'vmc', '--out', 'a.b'], {'train.steps': '5', 'model.latent-size': '8'})
    """
    others, found, rest = [], {}, list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word[2:].partition("=")
        if not word.startswith("--") or "." not in name or "/" in name:
            others.append(word)
            continue
        if not equals and rest and not rest[0].startswith("--"):
            value = rest.pop(0)
        found[name] = value
    return others, found


def unknown_words(options: argparse.Namespace, rest: Sequence[str]) -> str:
    """What to say of words that a verb does not know, with the nearest that it does."""
    known = [name for action in options.parser._actions for name in action.option_strings if name.startswith("--")]
    if options.takes_settings:
        known += [f"--train.{name}" for name in ("steps", "seed", "workers", "optimizer", "precision", "device")]
    word = rest[0].partition("=")[0]
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{options.parser.prog} does not know {word}{hint} (see {options.parser.prog} --help)"


def recipe_config(recipe: str, options: argparse.Namespace) -> tuple[str, object]:
    """(family, settings): the recipe's own, with the person's on top. ConfigError names what was not understood."""
    from armillary.studies.plans import recipe_settings

    family, config = recipe_settings(recipe, options.preset)
    return family, with_settings(config, options)


def family_config(family: str, options: argparse.Namespace, *, init: str | None = None):
    """A family's preset with the person's settings on top; the model is that of the run `init` where one is given."""
    from armillary.studies.fit import family_module, settings_from
    from armillary.studies.plans import preset_of

    family_module(family)
    config = preset_of(family, options.preset)
    return with_settings(config if init is None else settings_from(family, config, init), options)


def with_settings(config, options: argparse.Namespace):
    """Settings with the person's on top. ConfigError names what was not understood."""
    from armillary.core import ConfigError
    from armillary.core.settings import override

    try:
        return override(config, settings(options))
    except ValueError as error:
        raise ConfigError(str(error)) from error
