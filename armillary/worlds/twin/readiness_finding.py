"""What a check of an asset says: one finding for each thing that is missing or cannot be."""

from dataclasses import dataclass

from armillary.worlds.twin.asset import Body, Joint, Material, Shape

ERROR, WARNING = "error", "warning"
WHOLE = "asset"  # where a finding is that is about no part of it


@dataclass(frozen=True, kw_only=True)
class Finding:
    """`severity` "error": a simulation of it would be wrong or cannot start; "warning": a simulator would put a guess of its own in,
    or a person should look. `fixable`: `twin check --fix` does what `fix` says."""

    code: str
    severity: str
    where: str
    problem: str
    fix: str
    fixable: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


def at_body(body: Body) -> str:
    """Where a body's findings are."""
    return f"body {body.name!r}"


def at_shape(body: Body, shape: Shape) -> str:
    """Where the findings of one of its shapes are."""
    if shape.name:
        return f"body {body.name!r}, shape {shape.name!r}"
    return f"body {body.name!r}, shape {next(number for number, one in enumerate(body.shapes) if one is shape)}"


def at_joint(joint: Joint) -> str:
    """Where a joint's findings are."""
    return f"joint {joint.name!r}"


def at_material(material: Material) -> str:
    """Where a material's findings are."""
    return f"material {material.name!r}"
