"""What common materials weigh and how they rub and bounce, for what an asset does not say and to doubt what it does.

The ranges are what handbooks of engineering materials and tables of dry friction span; each number is therefore "estimated", and
its range is wide enough to be randomised over. Friction is a property of two surfaces and a bounce one of shape and speed too:
both are for a hard, dry, flat partner at walking speed.
"""

from dataclasses import dataclass

from armillary.worlds.twin.name_words import words_in
from armillary.worlds.twin.quantity import Quantity

DENSITY_NOTE = "material table: handbook density of {}"
FRICTION_NOTE = "material table: dry sliding friction of {} on hard surfaces"
BOUNCE_NOTE = "material table: rough, from drops of {} on hard surfaces"
UNKNOWN = "unknown solid"


@dataclass(frozen=True, kw_only=True)
class TableMaterial:
    """A row: the words that name it, density in kg/m3, coefficient of sliding friction, restitution from 0 to 1."""

    name: str
    words: frozenset[str]
    density: Quantity
    friction: Quantity
    restitution: Quantity


def _row(name: str, words: str, density: tuple, friction: tuple, restitution: tuple) -> TableMaterial:
    """Each triple is (low, typical, high)."""

    def estimated(triple: tuple, note: str) -> Quantity:
        low, typical, high = map(float, triple)
        return Quantity(typical, "estimated", low, high, note.format(name))

    return TableMaterial(
        name=name,
        words=frozenset(words.split()),
        density=estimated(density, DENSITY_NOTE),
        friction=estimated(friction, FRICTION_NOTE),
        restitution=estimated(restitution, BOUNCE_NOTE),
    )


# Special before general: the first of two rows with a word in common decides.
TABLE = (
    _row("oak", "oak", (600, 720, 900), (0.25, 0.45, 0.6), (0.3, 0.45, 0.6)),
    _row("pine", "pine spruce fir", (350, 500, 600), (0.25, 0.4, 0.6), (0.3, 0.45, 0.6)),
    _row("fibreboard", "plywood mdf chipboard fibreboard fiberboard particleboard", (500, 680, 850), (0.25, 0.4, 0.6), (0.2, 0.4, 0.55)),
    _row("wood", "wood wooden timber beech birch maple walnut ash teak", (350, 650, 950), (0.25, 0.4, 0.6), (0.3, 0.45, 0.6)),
    _row("cork", "cork", (120, 190, 250), (0.4, 0.6, 0.8), (0.4, 0.6, 0.7)),
    _row("cardboard", "cardboard carton corrugated", (100, 400, 800), (0.25, 0.4, 0.6), (0.1, 0.25, 0.4)),
    _row("paper", "paper", (600, 800, 1200), (0.25, 0.4, 0.6), (0.05, 0.2, 0.4)),
    _row("steel", "steel inox", (7700, 7850, 8050), (0.2, 0.45, 0.8), (0.4, 0.6, 0.85)),
    _row("iron", "iron", (6900, 7250, 7900), (0.2, 0.45, 0.8), (0.4, 0.55, 0.8)),
    _row("aluminium", "aluminium aluminum alu", (2600, 2700, 2850), (0.25, 0.45, 0.8), (0.3, 0.5, 0.75)),
    _row("brass", "brass bronze", (8300, 8550, 8900), (0.2, 0.4, 0.6), (0.35, 0.5, 0.7)),
    _row("copper", "copper", (8800, 8930, 8970), (0.25, 0.45, 0.8), (0.2, 0.4, 0.6)),
    _row("titanium", "titanium", (4400, 4500, 4650), (0.25, 0.4, 0.6), (0.4, 0.6, 0.8)),
    _row("glass", "glass", (2200, 2500, 2800), (0.2, 0.4, 0.8), (0.4, 0.65, 0.9)),
    _row("ceramic", "ceramic porcelain stoneware earthenware terracotta clay", (1900, 2350, 2700), (0.25, 0.45, 0.7), (0.3, 0.5, 0.75)),
    _row("concrete", "concrete cement", (2000, 2350, 2500), (0.4, 0.6, 0.9), (0.2, 0.4, 0.6)),
    _row("brick", "brick bricks", (1500, 1900, 2200), (0.4, 0.6, 0.8), (0.2, 0.4, 0.6)),
    _row("stone", "stone granite marble slate rock", (2300, 2650, 2900), (0.3, 0.55, 0.8), (0.3, 0.5, 0.8)),
    _row("abs", "abs", (1020, 1050, 1080), (0.2, 0.35, 0.5), (0.4, 0.6, 0.75)),
    _row("polypropylene", "polypropylene polyethylene pp hdpe ldpe", (880, 930, 970), (0.15, 0.3, 0.4), (0.4, 0.55, 0.7)),
    _row("nylon", "nylon polyamide", (1080, 1140, 1180), (0.15, 0.3, 0.4), (0.4, 0.6, 0.75)),
    _row("acrylic", "acrylic pmma plexiglas plexiglass", (1150, 1185, 1200), (0.25, 0.4, 0.6), (0.4, 0.6, 0.75)),
    _row("polylactide", "pla petg", (1200, 1250, 1300), (0.2, 0.35, 0.5), (0.3, 0.5, 0.65)),
    _row("ptfe", "ptfe teflon", (2130, 2170, 2230), (0.04, 0.08, 0.2), (0.3, 0.45, 0.6)),
    _row("carbon fibre", "carbon cfrp", (1450, 1600, 1850), (0.15, 0.3, 0.5), (0.4, 0.6, 0.8)),
    _row("foam", "foam sponge styrofoam", (10, 40, 200), (0.3, 0.6, 0.9), (0.1, 0.3, 0.5)),
    _row("rubber", "rubber silicone tyre tire", (900, 1150, 1500), (0.6, 0.9, 1.2), (0.5, 0.7, 0.9)),
    _row("leather", "leather", (800, 900, 1050), (0.3, 0.5, 0.7), (0.1, 0.3, 0.5)),
    _row("fabric", "fabric cloth textile cotton wool felt", (100, 400, 1500), (0.3, 0.5, 0.8), (0.0, 0.1, 0.3)),
    _row("ice", "ice", (900, 917, 925), (0.02, 0.05, 0.15), (0.3, 0.5, 0.8)),
    _row("plastic", "plastic polymer pvc", (880, 1100, 1450), (0.15, 0.35, 0.5), (0.3, 0.5, 0.75)),
    _row("metal", "metal metallic", (2600, 7800, 9000), (0.2, 0.45, 0.8), (0.3, 0.55, 0.85)),
)
# Most things that people handle, taken whole: from foam-filled to stone.
ANY_SOLID = _row(UNKNOWN, "", (300, 1000, 2700), (0.2, 0.5, 0.9), (0.0, 0.3, 0.7))


def find_materials(text: str) -> tuple[TableMaterial, ...]:
    """The rows that words of a name or label speak of, in the table's order; none where it names no material.

    >>> [one.name for one in find_materials("StainlessSteel_02")]
    ['steel']
    >>> find_materials("pineapple")
    ()
    """
    words = set(words_in(text))
    return tuple(row for row in TABLE if row.words & words)


def guess_material(*texts: str) -> TableMaterial:
    """The row that the first speaking of these names and labels names; ANY_SOLID where none does.

    >>> guess_material("mat_0", "oak table").name
    'oak'
    >>> guess_material("mat_0").density.high
    2700.0
    """
    for text in texts:
        found = find_materials(text)
        if found:
            return found[0]
    return ANY_SOLID
