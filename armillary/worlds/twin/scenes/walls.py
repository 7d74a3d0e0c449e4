"""Walls with openings for doors, skirting boards, and windows that one cannot see through."""

from dataclasses import dataclass

from armillary.worlds.twin.asset import Asset, Shape
from armillary.worlds.twin.objects.materials import Colour, material
from armillary.worlds.twin.objects.parts import Point, box
from armillary.worlds.twin.scenes.stage import welded

THICK_M = 0.12
HEIGHT_M = 2.5
DOOR_HEIGHT_M = 2.0
FRAME_M = 0.05  # what a door's frame takes beside its opening


@dataclass(frozen=True, kw_only=True)
class Wall:
    """From `start` to `end` (x, y in m), which share x or y. `openings`: (middle along it from its start, width) of doors; `windows`:
    middles of windows, 1.2 m wide."""

    name: str
    start: tuple[float, float]
    end: tuple[float, float]
    openings: tuple[tuple[float, float], ...] = ()
    windows: tuple[float, ...] = ()

    @property
    def length(self) -> float:
        """In m."""
        return abs(self.end[0] - self.start[0]) + abs(self.end[1] - self.start[1])

    def at(self, along: float, z: float = 0.0) -> Point:
        """A point of its middle plane, `along` m from its start."""
        share = along / self.length
        return (*(a + share * (b - a) for a, b in zip(self.start, self.end, strict=True)), z)

    def size(self, along: float, thick: float, tall: float) -> Point:
        """Of a box that lies along it."""
        return (along, thick, tall) if self.start[1] == self.end[1] else (thick, along, tall)


def walls_of(walls: tuple[Wall, ...], colour: Colour) -> Asset:
    """All walls of a home as one asset that stays where it is."""
    shapes = tuple(shape for wall in walls for shape in _wall(wall))
    materials = (
        material("wall", "plaster", colour),
        material("skirting", "wood", (0.96, 0.96, 0.95)),
        material("pane", "glass", (0.70, 0.85, 0.95)),
    )
    return welded("walls", shapes, materials, "wall")


def _wall(wall: Wall):
    begin = -THICK_M / 2  # corners are filled
    for number, (middle, width) in enumerate((*wall.openings, (wall.length + THICK_M / 2 + 1.0, 2.0))):
        gap = width / 2 + FRAME_M if number < len(wall.openings) else 1.0
        end = middle - gap
        centre, length = (begin + end) / 2, end - begin
        yield _box(f"{wall.name} wall {number}", wall, centre, length, THICK_M, 0.0, HEIGHT_M, "wall")
        yield _box(f"{wall.name} skirting {number}", wall, centre, length, THICK_M + 0.024, 0.0, 0.08, "skirting", role="visual")
        if number < len(wall.openings):
            yield _box(f"{wall.name} lintel {number}", wall, middle, 2 * gap, THICK_M, DOOR_HEIGHT_M + FRAME_M, HEIGHT_M, "wall")
        begin = middle + gap
    for number, middle in enumerate(wall.windows):
        yield _box(f"{wall.name} window {number}", wall, middle, 1.2, THICK_M + 0.04, 0.9, 2.1, "skirting", role="visual")
        for part, offset in (("left", -0.28), ("right", 0.28)):
            yield _box(f"{wall.name} pane {number} {part}", wall, middle + offset, 0.5, THICK_M + 0.05, 0.97, 2.03, "pane", role="visual")


def _box(
    name: str, wall: Wall, along: float, length: float, thick: float, low: float, high: float, of: str, *, role: str = "both"
) -> Shape:
    return box(name, wall.size(length, thick, high - low), wall.at(along, (low + high) / 2), of, role=role)
