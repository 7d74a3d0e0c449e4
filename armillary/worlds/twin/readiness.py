"""How far an asset is from ready for simulation: everything that is missing or cannot be, and a score."""

from collections import Counter

from armillary.worlds.twin.asset import Asset
from armillary.worlds.twin.quantity import SOURCES, Quantity
from armillary.worlds.twin.readiness_finding import ERROR, WHOLE, Finding, at_body, at_joint, at_material
from armillary.worlds.twin.readiness_joints import check_joints
from armillary.worlds.twin.readiness_matter import check_inertias, check_masses, check_materials
from armillary.worlds.twin.readiness_shapes import check_overlaps, check_shapes
from armillary.worlds.twin.readiness_whole import check_names, check_whole

_CHECKS = (check_whole, check_shapes, check_materials, check_masses, check_inertias, check_joints, check_overlaps, check_names)
WITH_WARNING, WITH_ERROR = 0.75, 0.0  # what a part with findings counts
WHOLE_WITH_ERROR = 0.5  # what is left of the score where something is wrong with the asset as a whole


def check_asset(asset: Asset) -> tuple[Finding, ...]:
    """Every finding, errors first, otherwise in the order of the checks."""
    found = [finding for check in _CHECKS for finding in check(asset)]
    return tuple(sorted(found, key=lambda finding: finding.severity != ERROR))


def score(findings: tuple[Finding, ...], asset: Asset) -> float:
    """The SimReady score, 0 to 100: 100 * whole * mean(part).

    Each body, joint and material is a part and counts 1 without findings, 0.75 with warnings only, 0 with an error. `whole` is 1
    without findings about the asset as a whole, 0.75 with warnings only, 0.5 with an error. 100 means that nothing is missing or
    implausible, not that it is right: `known` says how many of the numbers are measured.
    """
    parts = [
        *(at_body(body) for body in asset.bodies),
        *(at_joint(joint) for joint in asset.joints),
        *(at_material(material) for material in asset.materials),
    ]
    counts = []
    for part in parts:
        severities = {finding.severity for finding in findings if finding.where == part or finding.where.startswith(f"{part}, ")}
        counts.append(1.0 if not severities else WITH_ERROR if ERROR in severities else WITH_WARNING)
    severities = {finding.severity for finding in findings if finding.where == WHOLE}
    whole = 1.0 if not severities else WHOLE_WITH_ERROR if ERROR in severities else WITH_WARNING
    return 100.0 * whole * (sum(counts) / len(counts) if counts else 0.0)


def known(asset: Asset) -> dict[str, int]:
    """How many of the asset's physical numbers come from each source, the most trusted first."""
    found: list[Quantity | None] = []
    for material in asset.materials:
        found += [material.density, material.friction, material.restitution]
    for body in asset.bodies:
        found += [body.mass, *(body.inertia.moments if body.inertia else ())]
    for joint in asset.joints:
        found += [*(joint.limits or ()), joint.damping, joint.friction, joint.armature]
        found += [joint.drive.stiffness, joint.drive.damping, joint.drive.max_force] if joint.drive else []
    counts = Counter(quantity.source for quantity in found if quantity is not None)
    return {source: counts[source] for source in SOURCES}
