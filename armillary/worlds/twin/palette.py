"""Materials as a reader meets them: the same one once, and each under a name of its own."""

from dataclasses import replace

from armillary.worlds.twin.asset import Material


class Palette:
    """Collects the materials of one asset.

    >>> palette = Palette()
    >>> [palette.name(Material(name="tin")), palette.name(Material(name="tin", metallic=1.0)), palette.name(Material(name="tin"))]
    ['tin', 'tin_2', 'tin']
    """

    def __init__(self):
        self._names: dict[Material, str] = {}

    def name(self, wanted: Material) -> str:
        """The name to use for this material: its own, with a number where another material has that name."""
        if wanted not in self._names:
            self._names[wanted] = free_name(wanted.name, set(self._names.values()))
        return self._names[wanted]

    def materials(self) -> tuple[Material, ...]:
        """All of them under the names that were given."""
        return tuple(replace(material, name=name) for material, name in self._names.items())


def free_name(wanted: str, taken: set[str]) -> str:
    """`wanted`, or `wanted_2` and so on where that is taken."""
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name
