"""Run as `python -P usd_probe.py FILE SECONDS MEMORY_BYTES`: reads all of a stranger's binary file first, where a crash hurts nobody.

It ends with 0 if OpenUSD could read everything, and with its complaint on the error stream otherwise. Nothing of armillary is
imported, so that it starts fast.
"""

import resource
import sys
import zipfile


def main(path: str, seconds: int, memory_bytes: int) -> None:
    """Read every field of every layer in the file, within the limits."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    from pxr import Sdf, Tf, Work

    Work.SetConcurrencyLimit(1)
    try:
        for name in (path, *_inside(path)):
            layer = Sdf.Layer.FindOrOpen(name)
            if layer is not None:
                layer.Traverse(Sdf.Path.absoluteRootPath, lambda place, layer=layer: _read(layer.GetObjectAtPath(place)))
    except Tf.ErrorException as error:
        sys.exit(str(error).strip())
    except MemoryError:
        sys.exit(f"it needs more than {memory_bytes:,} bytes of memory")


def _inside(path: str) -> list[str]:
    if not path.endswith(".usdz"):
        return []
    with zipfile.ZipFile(path) as package:
        return [f"{path}[{name}]" for name in package.namelist() if name.rsplit(".", 1)[-1] in ("usd", "usda", "usdc")]


def _read(spec) -> None:
    if spec is not None:
        for field in spec.ListInfoKeys():
            spec.GetInfo(field)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
