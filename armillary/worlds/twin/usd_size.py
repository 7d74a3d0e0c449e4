"""How many prims a USD file will become, counted before OpenUSD builds them: few lines of references can stand for billions."""

from pathlib import Path

from pxr import Sdf

from armillary.core import DataError
from armillary.worlds.twin.usd_names import MAX_DEPTH, MAX_PRIMS


def check_size(path: Path, layers: dict[str, Sdf.Layer]) -> None:
    """DataError if the layers would make more than MAX_PRIMS prims, or nest deeper than MAX_DEPTH.

    `layers` are by what they are referred to as, the root first.
    What is counted is never less than what OpenUSD builds: every variant, and everything that is referred to, inherited or specialised.
    """
    count = _Count(path, layers)
    root = next(iter(layers.values()))
    tops = {spec.path for layer in count.stack[root.identifier] for spec in layer.rootPrims}
    prims = sum(count.below(root, top, 0) for top in tops)
    if prims > MAX_PRIMS:
        raise DataError(f"{path} would make about {prims:,} prims; at most {MAX_PRIMS:,} are read. Split it into smaller files")


class _Count:
    def __init__(self, path: Path, layers: dict[str, Sdf.Layer]):
        self.path, self.layers = path, layers
        self.stack = {layer.identifier: [layer] for layer in layers.values()}  # what is laid over one another
        self.known: dict[tuple[int, str], int] = {}
        for layer in layers.values():
            for name in layer.subLayerPaths:
                below = self.layers[Sdf.ComputeAssetPathRelativeToLayer(layer, name)]
                together = self.stack[layer.identifier]
                if self.stack[below.identifier] is not together:
                    together += self.stack[below.identifier]
                    for member in together:
                        self.stack[member.identifier] = together

    def below(self, layer: Sdf.Layer, path: Sdf.Path, depth: int) -> int:
        """Prims at and below a path in the stack of a layer. A ring of references counts once: OpenUSD refuses to follow it."""
        if depth > MAX_DEPTH:
            raise DataError(f"{self.path}: {path} lies more than {MAX_DEPTH} prims and references deep")
        stack = self.stack[layer.identifier]
        key = (id(stack), str(path))
        if key not in self.known:
            self.known[key] = 0
            specs = [spec for spec in (member.GetPrimAtPath(path) for member in stack) if spec is not None]
            inside = {child.path for spec in specs for child in (*spec.nameChildren, *_variants(spec))}
            total = bool(specs) + sum(self.below(layer, child, depth + 1) for child in inside)
            self.known[key] = total + sum(self._led_to(spec, depth) for spec in specs)
        return self.known[key]

    def _led_to(self, spec: Sdf.PrimSpec, depth: int) -> int:
        """What a prim's references, payloads, inherits and specialisations bring below it."""
        total = 0
        for arcs in (spec.referenceList, spec.payloadList):
            for arc in arcs.GetAddedOrExplicitItems():
                target = self.layers[Sdf.ComputeAssetPathRelativeToLayer(spec.layer, arc.assetPath)] if arc.assetPath else spec.layer
                start = arc.primPath or Sdf.Path.absoluteRootPath.AppendPath(target.defaultPrim or "none")
                total += self.below(target, start, depth + 1)
        for arcs in (spec.inheritPathList, spec.specializesList):
            total += sum(self.below(spec.layer, target, depth + 1) for target in arcs.GetAddedOrExplicitItems())
        return total


def _variants(spec: Sdf.PrimSpec) -> list[Sdf.PrimSpec]:
    return [variant.primSpec for variants in spec.variantSets for variant in variants.variants]
