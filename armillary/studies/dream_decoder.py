"""A code decoder that draws another world's dreams anew: found, checked against that world, and told of."""

from pathlib import Path

from armillary.core import ConfigError, ForetellsCodes
from armillary.data.content import file_sha256
from armillary.studies.runs import LoadedRun, load_run
from armillary.train.run import RunFolder

FAMILY = "code-decoder"


def open_decoder(path: Path | str, loaded: LoadedRun) -> LoadedRun:
    """The decoder's run. ConfigError for a run of another family, a world without codes, or one whose codes it does not know."""
    if not isinstance(loaded.world, ForetellsCodes):
        raise ConfigError(
            f"--decoder draws codes, and {loaded.path} ({loaded.family}) foretells none; leave it out, or give the run of an "
            "autoregressive world"
        )
    decoder = load_run(path)
    if decoder.family != FAMILY:
        raise ConfigError(f"--decoder {path} is a run of {decoder.family}; give one of `armillary train {FAMILY}`")
    if decoder.world.spec.sees != loaded.world.spec.sees or not decoder.world.reads(loaded.world.tokenizer):
        raise ConfigError(
            f"--decoder {path} learned other codes than those of {loaded.path}; train one: "
            f"armillary train {FAMILY} --data {loaded.data_path} --model.codes {loaded.path} --out DECODER"
        )
    return decoder


def decoder_facts(decoder: LoadedRun) -> dict:
    """What the provenance says of it."""
    weights = RunFolder.open(decoder.path).weights("best")
    return {"weights": str(weights.resolve()), "weights_sha256": file_sha256(weights), "config": decoder.recorded["config"]}
