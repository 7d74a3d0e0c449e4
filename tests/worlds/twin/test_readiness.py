"""`twin check` on assets whose faults are known, on borders where sensible things live, and what `--fix` makes of them."""

from dataclasses import replace
from math import pi

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armillary.core import DataError
from armillary.worlds.twin.asset import Asset, Body, Drive, Inertia, Joint, Material, Shape
from armillary.worlds.twin.extent import shape_bounds
from armillary.worlds.twin.fit import fit_solid
from armillary.worlds.twin.geometry import Box, Capsule, Cylinder, Mesh, Plane, Sphere
from armillary.worlds.twin.mass import mass_matrix
from armillary.worlds.twin.material_table import ANY_SOLID, TABLE, find_materials, guess_material
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.quantity import Quantity
from armillary.worlds.twin.readiness import check_asset, known, score
from armillary.worlds.twin.readiness_fix import fix_asset
from armillary.worlds.twin.readiness_matter import DENSITY
from recipes.faults.clean_assets import CLEAN, arm, cart, door, material, mug, turned
from recipes.faults.kinds import KINDS, with_body, with_joint, with_material
from recipes.planted_faults import planted, tells

length = st.floats(0.01, 2.0)


def codes(asset: Asset) -> list[tuple[str, str]]:
    return [(finding.code, finding.where) for finding in check_asset(asset)]


def block(*, mass: Quantity | None = None, inertia: Inertia | None = None, half=(0.1, 0.2, 0.3), **changes) -> Asset:
    shape = Shape(name="block", geometry=Box(half), material="oak")
    body = Body(name="block", shapes=(shape,), mass=mass, inertia=inertia, label="block")
    return replace(Asset(name="block", bodies=(body,), materials=(material("oak"),)), **changes)


@pytest.mark.parametrize("make", CLEAN)
def test_nothing_is_wrong_with_sensible_assets(make):
    assert codes(make()) == [] and score((), make()) == 100.0
    assert fix_asset(make()) == (make(), ())


@pytest.mark.parametrize("name", KINDS)
def test_a_planted_fault_is_found_where_it_is_and_mended_where_that_is_said(name):
    for _, asset, where in planted(0, 1, {name: KINDS[name]}):
        told = [one for one in check_asset(asset) if tells(one, KINDS[name], where)]
        assert told, check_asset(asset)
        fixed, done = fix_asset(asset)
        assert not [one for one in check_asset(fixed) if one.fixable]
        assert bool(done) == any(one.fixable for one in check_asset(asset))
        assert score(check_asset(fixed), fixed) >= score(check_asset(asset), asset) < 100.0


@pytest.mark.parametrize("name", ["no mass", "mass not positive", "mesh with holes", "no collider", "inertia of no body", "no label"])
def test_mending_leaves_what_is_measured_alone(name):
    (_, asset, _), *_ = planted(1, 1, {name: KINDS[name]})
    fixed, _ = fix_asset(asset)
    assert [(body.name, body.pose) for body in fixed.bodies] == [(body.name, body.pose) for body in asset.bodies]
    for body in asset.bodies:
        if body.mass is not None and body.mass.value > 0:
            assert fixed.body(body.name).mass == body.mass
    assert known(fixed)["measured"] == known(asset)["measured"]


@settings(max_examples=25)
@given(length, length, length, st.floats(0.001, 1000.0), st.floats(0.0, 3.0))
def test_a_box_with_its_own_mass_and_inertia_is_never_doubted(x, y, z, density, angle):
    asset = block(half=(x, y, z), bodies=())
    shape = Shape(name="box", geometry=Box((x, y, z)), pose=Pose.about((1.0, 2.0, 3.0), angle), material="mat")
    body = Body(name="box", shapes=(shape,), label="box")
    stuff = Material(name="mat", density=Quantity(1.0 + density), friction=Quantity(0.5), restitution=Quantity(0.1))
    asset = Asset(name="box", bodies=(body,), materials=(stuff,), label="box")
    mass, centre, matrix = mass_matrix(asset, body)
    moments, axes = np.linalg.eigh(matrix)
    axes[:, 2] *= np.sign(np.linalg.det(axes))
    frame = np.eye(4)
    frame[:3, :3], frame[:3, 3] = axes, centre
    whole = Inertia(tuple(Quantity(float(moment)) for moment in moments), Pose.of_matrix(frame))
    assert codes(with_body(asset, "box", mass=Quantity(mass), inertia=whole)) == []


@pytest.mark.parametrize(
    ("moments", "code"),
    [
        ((0.05, 0.05, 0.1), None),  # a plate: the third is the sum of the others, which is the border
        ((0.05, 0.05, 0.102), "inertia-impossible"),
        ((0.05, 0.05, 0.0), "inertia-impossible"),
        ((5.0, 5.0, 5.0), "inertia-against-size"),
        ((1e-5, 1e-5, 1e-5), "inertia-against-size"),
    ],
)
def test_moments_of_inertia(moments, code):
    asset = block(mass=Quantity(2.0), inertia=Inertia(tuple(map(Quantity, moments))))
    found = [one for one in codes(asset) if one[0].startswith("inertia")]
    assert found == ([(code, "body 'block'")] if code else [])


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("friction", (-0.01, 0.0), (2.0, 2.01)), ("restitution", (-0.01, 0.0), (1.0, 1.01)), ("density", (0.9, 1.0), (25e3, 26e3))],
)
def test_bounds_of_materials(name, low, high):
    def told(value):
        stuff = Material(name="stuff", density=Quantity(500.0), friction=Quantity(0.5), restitution=Quantity(0.1))
        changed = replace(stuff, **{name: Quantity(value, low=min(value, 0.0), high=max(value, 1.0))})
        asset = with_body(block(materials=(changed,), bodies=()), "")
        body = Body(name="block", shapes=(Shape(name="block", geometry=Box((0.1, 0.2, 0.3)), material="stuff"),), label="block")
        return f"{name}-implausible" in [code for code, _ in codes(replace(asset, bodies=(body,)))]

    assert [told(value) for value in (*low, *high)] == [True, False, False, True]


def test_a_range_that_randomisation_must_not_draw_from():
    bouncy = with_material(block(), "oak", restitution=Quantity(0.9, "estimated"))
    assert codes(bouncy) == [("range-impossible", "material 'oak'")]
    fixed, done = fix_asset(bouncy)
    assert fixed.material("oak").restitution == Quantity(0.9, "estimated", 0.72, 1.0) and len(done) == 1
    light = block(mass=Quantity(20.0, "estimated", -1.0, 30.0))
    assert codes(light) == [("range-impossible", "body 'block'")]
    assert fix_asset(light)[0].body("block").mass.low == 10.0


def test_mass_is_judged_by_the_material_and_may_be_hollow():
    solid = 8 * 0.1 * 0.2 * 0.3 * 720.0
    for share, wrong in ((0.001, True), (0.05, False), (1.0, False), (1.5, False), (5.0, True)):
        assert (("mass-against-volume", "body 'block'") in codes(block(mass=Quantity(solid * share)))) == wrong, share


@pytest.mark.parametrize(
    ("name", "density", "wrong"), [("Oak_02", 720.0, False), ("Oak_02", 7850.0, True), ("steel", 1000.0, True), ("mat", 1000.0, False)]
)
def test_density_is_judged_by_the_materials_name(name, density, wrong):
    shape = Shape(name="block", geometry=Box((0.1, 0.1, 0.1)), material=name)
    stuff = Material(name=name, density=Quantity(density), friction=Quantity(0.5), restitution=Quantity(0.1))
    asset = Asset(name="block", bodies=(Body(name="block", shapes=(shape,), label="block"),), materials=(stuff,))
    assert codes(asset) == ([("density-against-name", f"material {name!r}")] if wrong else [])


def test_what_stands_still_needs_no_mass():
    ground = Body(name="ground", shapes=(Shape(name="ground", geometry=Plane(), material="stuff"),), label="ground")
    wall = Body(name="wall", shapes=(Shape(name="wall", geometry=Box((1.0, 0.1, 1.0)), material="stuff"),), label="wall")
    stuff = Material(name="stuff", friction=Quantity(0.5), restitution=Quantity(0.1))
    fixed = Joint(name="fixed", kind="fixed", child="wall")
    asset = Asset(name="room", bodies=(ground, wall), joints=(fixed,), materials=(stuff,), label="room")
    assert codes(asset) == []
    free = replace(asset, joints=())
    assert set(codes(free)) == {("mass-missing", "body 'wall'"), ("density-missing", "material 'stuff'")}


def test_missing_mass_is_volume_times_the_density_of_what_it_is_named_after():
    bare = Asset(
        name="thing",
        bodies=(Body(name="oak_block", shapes=(Shape(name="", geometry=Box((0.1, 0.2, 0.3))),)),),
        metres_per_unit=None,
        up_axis=None,
    )
    wanted = {"units-missing", "up-axis-missing", "mass-missing", "collider-without-material", "name-missing", "label-missing"}
    assert {code for code, _ in codes(bare)} == wanted
    fixed, done = fix_asset(bare)
    assert codes(fixed) == [] and (fixed.metres_per_unit, fixed.up_axis, fixed.bodies[0].label) == (1.0, "Z", "oak block")
    assert mass_matrix(fixed, fixed.bodies[0])[0] == pytest.approx(8 * 0.1 * 0.2 * 0.3 * 720.0)
    stuff = fixed.materials[0]
    assert stuff.density.source == "estimated" and (stuff.density.low, stuff.density.high) == (600, 900) and "oak" in stuff.density.note
    assert any("asset: its unit of length is said to be the metre" in line for line in done)


def test_a_mass_of_less_than_nothing_becomes_volume_times_density():
    fixed, done = fix_asset(block(mass=Quantity(-1.0)))
    mass = fixed.body("block").mass
    assert mass.value == pytest.approx(0.048 * 720) and mass.low == pytest.approx(0.048 * 600) and mass.source == "estimated"
    assert done == ("body 'block': mass 34.6 kg (28.8 to 43.2)",)


def test_an_impossible_inertia_becomes_that_of_the_shapes():
    fixed, _ = fix_asset(block(mass=Quantity(3.0), inertia=Inertia((Quantity(1.0), Quantity(1.0), Quantity(9.0)), Pose((9.0, 0.0, 0.0)))))
    moments = [moment.value for moment in fixed.body("block").inertia.moments]
    assert moments == pytest.approx([3 / 3 * (0.01 + 0.04), 3 / 3 * (0.01 + 0.09), 3 / 3 * (0.04 + 0.09)])
    assert fixed.body("block").inertia.frame.position == (0.0, 0.0, 0.0)


def doubled(mesh: Mesh) -> Mesh:
    """Every face with vertices of its own, as STL files have them."""
    return Mesh(vertices=mesh.vertices[mesh.faces].reshape(-1, 3), faces=np.arange(3 * len(mesh.faces)).reshape(-1, 3))


def test_a_mesh_whose_faces_share_nothing_is_merged():
    profile = [(0, 0), (0.1, 0), (0.1, 0.3), (0, 0.3)]
    wanted = turned(profile).solid().volume
    assert wanted == pytest.approx(pi * 0.01 * 0.3, rel=0.02)
    shape = Shape(name="can", geometry=doubled(turned(profile)), material="steel")
    asset = Asset(name="can", bodies=(Body(name="can", shapes=(shape,), label="can"),), materials=(material("steel"),))
    assert codes(asset) == [("mass-missing", "body 'can'"), ("mesh-unwelded", "body 'can', shape 'can'")]
    fixed, _ = fix_asset(asset)
    assert codes(fixed) == [] and fixed.body("can").shapes[0].geometry.solid().volume == pytest.approx(wanted)


def test_a_mesh_with_a_hole_is_drawn_and_a_solid_around_it_collides():
    tube = turned([(0, 0), (0.1, 0), (0.1, 0.3), (0, 0.3)])
    open_tube = Mesh(vertices=tube.vertices, faces=tube.faces[:-24])
    shape = Shape(name="can", geometry=open_tube, pose=Pose((0.0, 0.0, 0.2)), material="steel")
    asset = Asset(name="can", bodies=(Body(name="can", shapes=(shape,), label="can"),), materials=(material("steel"),))
    fixed, done = fix_asset(asset)
    drawn, collider = fixed.body("can").shapes
    assert (drawn.role, drawn.geometry, collider.role) == ("visual", open_tube, "collider")
    assert collider.geometry.radius == pytest.approx(0.1) and collider.geometry.half_length == pytest.approx(0.15)
    assert collider.pose.position == pytest.approx((0.0, 0.0, 0.35)) and "a cylinder around it collides" in done[0]


def test_colliders_are_made_of_what_is_drawn():
    for make in CLEAN:
        asset = make()
        drawn = replace(
            asset,
            bodies=tuple(
                replace(body, shapes=tuple(replace(one, role="visual") for one in body.shapes if one.role != "collider"))
                for body in asset.bodies
            ),
        )
        assert {code for code, _ in codes(drawn)} >= {"collider-missing"}
        assert codes(fix_asset(drawn)[0]) == []


def test_limits_that_nobody_said_are_wide_and_say_so():
    fixed, done = fix_asset(with_joint(door(), "swing", limits=None))
    low, high = fixed.joint("swing").limits
    assert (low.value, high.value, low.source) == (-2 * pi, 2 * pi, "estimated") and "nobody said" in low.note and len(done) == 1
    fixed, _ = fix_asset(with_joint(door(), "swing", limits=(Quantity(1.9), Quantity(0.0))))
    assert [limit.value for limit in fixed.joint("swing").limits] == [0.0, 1.9]


def test_wheels_and_springs_are_no_faults():
    assert not [code for code in codes(cart()) if code[0] == "limits-missing"]
    spring = Drive(stiffness=Quantity(5.0), damping=Quantity(0.0))
    assert codes(with_joint(door(), "swing", drive=spring)) == []
    servo = replace(spring, damping=Quantity(1.0))
    assert codes(with_joint(door(), "swing", drive=servo)) == [("drive-unbounded", "joint 'swing'")]


def test_several_joints_of_one_body_are_steps_and_not_empty_bodies():
    at = door().body("panel").pose
    step = Body(name="step", pose=at)
    swing = door().joint("swing")
    joints = tuple(replace(one, parent="step") if one.name == "swing" else one for one in door().joints)
    two = replace(door(), bodies=(*door().bodies, step), joints=(*joints, replace(swing, name="lift", child="step")))
    assert codes(two) == []
    heavy = with_body(two, "step", mass=Quantity(1.0))
    assert ("body-without-shapes", "body 'step'") in codes(heavy)


def test_crossed_rods_do_not_overlap_though_their_upright_boxes_do():
    def rods(height: float) -> Asset:
        bodies = []
        for name, angle, z in (("one", pi / 4, 0.0), ("other", -pi / 4, height)):
            shape = Shape(name=name, geometry=Capsule(0.02, 0.5), material="steel")
            turn = Pose.about((0.0, 0.0, 1.0), angle).then(Pose.about((0.0, 1.0, 0.0), pi / 2)).turn
            bodies.append(Body(name=name, shapes=(shape,), pose=Pose((0.0, 0.0, z), turn), label="rod"))
        return Asset(name="rods", bodies=tuple(bodies), materials=(material("steel"),), label="rods")

    assert codes(rods(0.05)) == []
    assert codes(rods(0.0)) == [("colliders-overlap", "body 'other'")]


@settings(max_examples=40)
@given(st.floats(-3.0, 3.0), st.floats(0.05, 0.5), st.floats(0.05, 0.5))
def test_boxes_around_turned_shapes_are_those_of_their_points(angle, radius, half_length):
    pose = Pose.about((1.0, 0.5, -0.2), angle, (0.1, -0.2, 0.3))
    turn, along = np.meshgrid(np.linspace(0, 2 * pi, 400), [-half_length, half_length])
    rims = np.stack([radius * np.cos(turn), radius * np.sin(turn), along], axis=-1).reshape(-1, 3)
    ends = np.array([[0.0, 0.0, -half_length], [0.0, 0.0, half_length]])
    for geometry, points, grow in (
        (Cylinder(radius, half_length), rims, 0.0),
        (Capsule(radius, half_length), ends, radius),
        (Sphere(radius), np.zeros((1, 3)), radius),
    ):
        placed = pose.apply(points)
        wanted = np.stack([placed.min(axis=0) - grow, placed.max(axis=0) + grow])
        np.testing.assert_allclose(shape_bounds(Shape(name="one", geometry=geometry, pose=pose)), wanted, atol=1e-4)
    assert shape_bounds(Shape(name="plane", geometry=Plane())) is None


def test_the_simplest_solid_around_points():
    lying = Pose.about((0.0, 1.0, 0.0), pi / 2, (1.0, 2.0, 3.0))
    can = lying.apply(turned([(0, -0.3), (0.1, -0.3), (0.1, 0.3), (0, 0.3)], sides=64).vertices)
    geometry, pose = fit_solid(can)
    assert (geometry.radius, geometry.half_length) == pytest.approx((0.1, 0.3)) and pose.position == pytest.approx((1.0, 2.0, 3.0))
    np.testing.assert_allclose(np.abs(pose.rotation()[:, 2]), [1.0, 0.0, 0.0], atol=1e-12)
    corners = np.array([[x, y, z] for x in (-0.1, 0.1) for y in (-0.1, 0.1) for z in (-0.1, 0.1)])
    assert fit_solid(corners)[0] == Box((0.1, 0.1, 0.1))
    ball = np.random.default_rng(0).normal(size=(4000, 3))
    ball *= 0.2 / np.linalg.norm(ball, axis=1, keepdims=True)
    assert fit_solid(ball)[0].radius == pytest.approx(0.2, rel=0.01)
    with pytest.raises(DataError, match="3 points that are all at"):
        fit_solid(np.ones((3, 3)))


def test_the_score_is_the_mean_over_parts_times_the_whole():
    asset = with_joint(with_material(door(), "oak", friction=None), "latch", limits=(Quantity(1.0), Quantity(0.0)))
    findings = check_asset(asset)
    assert [(one.severity, one.where) for one in findings] == [("error", "joint 'latch'"), ("warning", "material 'oak'")]
    assert score(findings, asset) == pytest.approx(100 * (7 + 0.75 + 0) / 9)
    unsaid = replace(asset, up_axis=None)
    assert score(check_asset(unsaid), unsaid) == pytest.approx(0.75 * 100 * (7 + 0.75 + 0) / 9)


def test_sources_are_counted():
    assert known(mug()) == {"measured": 1, "datasheet": 0, "estimated": 3, "default": 0}
    assert known(arm())["datasheet"] == 3 + 3 + 3 * 2 + 3


def test_the_table_of_materials():
    words = [word for row in TABLE for word in row.words]
    assert len(words) == len(set(words)) and len(TABLE) >= 25
    for row in (*TABLE, ANY_SOLID):
        assert DENSITY[0] < row.density.low < row.density.high < DENSITY[1] and row.friction.low >= 0 and row.restitution.high <= 1
        assert {row.density.source, row.friction.source, row.restitution.source} == {"estimated"} and row.name in row.density.note
    assert [one.name for one in find_materials("OakAndSteel_3")] == ["oak", "steel"] and find_materials("pineapple") == ()
    assert guess_material("mat_1", "", "rubber duck").name == "rubber" and guess_material("mat_1") is ANY_SOLID


@pytest.mark.parametrize("kept", [("light", "heavy"), ("heavy",)])
@pytest.mark.parametrize("density", [None, 1e9])
def test_mending_never_contradicts_a_mass_that_is_known(kept, density):
    """Links of a paint that says nothing (as in URDF): a guessed density of 1000 kg/m3 would make the known masses look wrong."""
    paint = Material(name="mat_0", density=density if density is None else Quantity(density))
    bodies = []
    for name, x, mass in (("light", 0.0, 0.2), ("heavy", 1.0, 90.0)):
        shape = Shape(name=name, geometry=Box((0.1, 0.1, 0.1)), material="mat_0" if name == "light" or density else "")
        bodies.append(
            Body(name=name, shapes=(shape,), pose=Pose((x, 0.0, 0.0)), mass=Quantity(mass, "datasheet") if name in kept else None)
        )
    asset = Asset(name="links", bodies=tuple(bodies), materials=(paint,))
    fixed, _ = fix_asset(asset)
    assert codes(fixed) == []
    assert [fixed.body(name).mass for name in kept] == [asset.body(name).mass for name in kept]
    assert mass_matrix(fixed, fixed.body("light"))[0] == pytest.approx(0.2 if "light" in kept else 8.0)
