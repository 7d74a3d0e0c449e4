"""The MJCF and URDF files of other projects: bodies, masses, joints and limits as MuJoCo, which reads both, has them."""

from pathlib import Path

import pytest

from armillary.worlds.twin.asset_files import load_asset
from armillary.worlds.twin.glb_write import write_glb
from armillary.worlds.twin.mass import mass_kg
from armillary.worlds.twin.mesh_files import read_mesh
from tests.worlds.twin.mujoco_truth import check_bodies, check_joints, compiled

# by file: bodies of the model without the world, joints, and links that the file gives no mass
FILES = {
    "newton/nv_ant.xml": (9, 9, ()),
    "newton/nv_humanoid.xml": (13, 22, ()),
    "newton/tabletop.xml": (18, 18, ()),
    "newton/cartpole.urdf": (4, 3, ("slider",)),
    "newton/quadruped.urdf": (13, 12, ()),
}


def test_every_file_is_listed_here(real_data: Path):
    folder = real_data / "sim_assets"
    assert {str(path.relative_to(folder)) for kind in ("xml", "urdf") for path in folder.rglob(f"*.{kind}")} == set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_bodies_masses_and_joints_are_those_of_mujoco(real_data: Path, name: str):
    path = real_data / "sim_assets" / name
    asset, model = load_asset(path), compiled(path)
    bodies, joints, silent = FILES[name]
    assert (model.nbody - 1, model.njnt) == (bodies, joints)
    check_bodies(asset, model, silent=silent)
    check_joints(asset, model)
    known = [mass_kg(asset, body) for body in asset.bodies if body.name != "world"]
    made_up = sum(model.body(link).mass[0] for link in silent)
    assert sum(mass or 0.0 for mass in known) == pytest.approx(model.body_mass.sum() - made_up, rel=1e-6)


@pytest.mark.parametrize("name", FILES)
def test_what_is_left_out_is_said(real_data: Path, name: str):
    words = " | ".join(load_asset(real_data / "sim_assets" / name).notes)
    expected = {
        "newton/nv_ant.xml": ("attributes of option x 6 (timestep", "reflectance", "condim"),
        "newton/nv_humanoid.xml": ("sensor touch x 18", "'lower_waist' has 2 joints", "motor 'abdomen_z', at most 67.5", "site x 22"),
        "newton/tabletop.xml": ("'geom_ellipsoid_4' is an ellipsoid",),
        "newton/cartpole.urdf": ("'slider' has no inertial", "slider_to_cart (effort 1000.0, velocity 100)"),
        "newton/quadruped.urdf": ("'LF_HAA' has no lower and upper limit",),
    }
    assert all(word in words for word in expected[name])


@pytest.mark.parametrize("name", ["newton/nv_humanoid.xml", "newton/cartpole.urdf"])
def test_they_can_be_drawn(real_data: Path, tmp_path: Path, name: str):
    pytest.importorskip("trimesh")
    asset = load_asset(real_data / "sim_assets" / name)
    write_glb(asset, tmp_path / "a.glb")
    drawn = [shape for body in asset.bodies for shape in body.shapes if shape.role != "collider"]
    mesh = read_mesh(tmp_path / "a.glb")
    assert drawn and mesh.bounds()[1][2] > 0
