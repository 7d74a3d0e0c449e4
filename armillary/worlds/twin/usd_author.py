"""An asset as a stage of OpenUSD: a prim for the asset, below it its bodies side by side, and scopes of materials and joints."""

import numpy as np
from pxr import Gf, Sdf, Tf, Usd, UsdGeom, UsdPhysics, UsdSemantics, UsdShade, Vt

from armillary.worlds.twin.asset import Asset, Body, Material, Shape
from armillary.worlds.twin.colour_space import to_linear
from armillary.worlds.twin.geometry import Box, Capsule, Cylinder, Geometry, Mesh, Plane, Sphere
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.usd_author_joints import author_joints, turn_f
from armillary.worlds.twin.usd_kept import keep, keep_text, writable
from armillary.worlds.twin.usd_names import KEPT, TAXONOMY
from armillary.worlds.twin.usd_texture import keep_texture


def stage_of(asset: Asset) -> Usd.Stage:
    """A stage of one layer, in memory only."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdPhysics.SetStageKilogramsPerUnit(stage, 1.0)
    root = UsdGeom.Xform.Define(stage, f"/{Tf.MakeValidIdentifier(asset.name)}").GetPrim()
    stage.SetDefaultPrim(root)
    keep_text(root, "name", asset.name)
    _label(root, asset.label)
    below: set[str] = set()
    materials = {}
    if asset.materials:
        scope = UsdGeom.Scope.Define(stage, child_path(root, "materials", below)).GetPrim()
        inside: set[str] = set()
        for material in asset.materials:
            materials[material.name] = _material(stage, child_path(scope, material.name, inside), material)
    bodies = {body.name: _body(stage, asset, body, child_path(root, body.name, below), materials) for body in asset.bodies}
    if asset.joints:
        UsdPhysics.ArticulationRootAPI.Apply(root)
        scope = UsdGeom.Scope.Define(stage, child_path(root, "joints", below)).GetPrim()
        inside = set()
        author_joints(stage, asset, {joint.name: child_path(scope, joint.name, inside) for joint in asset.joints}, bodies)
    return stage


def child_path(parent: Usd.Prim, name: str, taken: set[str]) -> Sdf.Path:
    """Where a thing of this name goes below a prim: as close to its name as OpenUSD's rules and its neighbours allow."""
    wanted = Tf.MakeValidIdentifier(name)
    number = 1
    found = wanted
    while found in taken:
        number += 1
        found = f"{wanted}_{number}"
    taken.add(found)
    return parent.GetPath().AppendChild(found)


def _body(stage: Usd.Stage, asset: Asset, body: Body, path: Sdf.Path, materials: dict[str, UsdShade.Material]) -> Usd.Prim:
    prim = UsdGeom.Xform.Define(stage, path).GetPrim()
    prim.SetCustomDataByKey(f"{KEPT}:body", True)
    keep_text(prim, "name", body.name)
    _place(prim, body.pose)
    # physics engines refuse a plane that moves
    if asset.joint_to(body.name) is not None or not any(isinstance(shape.geometry, Plane) for shape in body.shapes):
        UsdPhysics.RigidBodyAPI.Apply(prim)
    if body.mass is not None or body.inertia is not None:
        api = UsdPhysics.MassAPI.Apply(prim)
        if body.mass is not None:
            api.CreateMassAttr(body.mass.value)
            keep(prim, "mass", body.mass)
        if body.inertia is not None:
            api.CreateDiagonalInertiaAttr(Gf.Vec3f(*(moment.value for moment in body.inertia.moments)))
            api.CreateCenterOfMassAttr(Gf.Vec3f(*body.inertia.frame.position))
            api.CreatePrincipalAxesAttr(turn_f(body.inertia.frame))
            for axis, moment in zip("xyz", body.inertia.moments, strict=True):
                keep(prim, f"inertia_{axis}", moment)
    _label(prim, body.label)
    taken: set[str] = set()
    for shape in body.shapes:
        _shape(stage, shape, child_path(prim, shape.name, taken), materials)
    return prim


def _shape(stage: Usd.Stage, shape: Shape, path: Sdf.Path, materials: dict[str, UsdShade.Material]) -> None:
    geometry = _geometry(stage, path, shape.geometry)
    prim = geometry.GetPrim()
    keep_text(prim, "shape_name", shape.name)
    _place(prim, shape.pose, scale=shape.geometry.half_sizes if isinstance(shape.geometry, Box) else None)
    geometry.CreateExtentAttr(UsdGeom.Boundable.ComputeExtentFromPlugins(geometry, Usd.TimeCode.Default()))
    if shape.role == "collider":
        geometry.CreatePurposeAttr(UsdGeom.Tokens.guide)
    if shape.role != "visual":
        UsdPhysics.CollisionAPI.Apply(prim)
        if isinstance(shape.geometry, Mesh):
            UsdPhysics.MeshCollisionAPI.Apply(prim).CreateApproximationAttr(UsdPhysics.Tokens.convexHull)
    if shape.material:
        UsdShade.MaterialBindingAPI.Apply(prim).Bind(materials[shape.material])


def _geometry(stage: Usd.Stage, path: Sdf.Path, geometry: Geometry) -> UsdGeom.Gprim:
    if isinstance(geometry, Box):
        found = UsdGeom.Cube.Define(stage, path)
        found.CreateSizeAttr(2.0)
    elif isinstance(geometry, Sphere):
        found = UsdGeom.Sphere.Define(stage, path)
        found.CreateRadiusAttr(geometry.radius)
    elif isinstance(geometry, Cylinder | Capsule):
        found = (UsdGeom.Cylinder if isinstance(geometry, Cylinder) else UsdGeom.Capsule).Define(stage, path)
        found.CreateAxisAttr(UsdGeom.Tokens.z)
        found.CreateRadiusAttr(geometry.radius)
        found.CreateHeightAttr(2.0 * geometry.half_length)
    elif isinstance(geometry, Plane):
        found = UsdGeom.Plane.Define(stage, path)
        found.CreateAxisAttr(UsdGeom.Tokens.z)
        found.CreateWidthAttr(2.0 * geometry.half_sizes[0])
        found.CreateLengthAttr(2.0 * geometry.half_sizes[1])
    else:
        assert isinstance(geometry, Mesh), f"OpenUSD has no prim for {type(geometry).__name__}"
        found = UsdGeom.Mesh.Define(stage, path)
        found.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(geometry.vertices.astype(np.float32)))
        found.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(np.full(len(geometry.faces), 3, dtype=np.int32)))
        found.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(geometry.faces.astype(np.int32).reshape(-1)))
        found.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    return found


def _material(stage: Usd.Stage, path: Sdf.Path, material: Material) -> UsdShade.Material:
    found = UsdShade.Material.Define(stage, path)
    prim = found.GetPrim()
    keep_text(prim, "name", material.name)
    shader = UsdShade.Shader.Define(stage, path.AppendChild("surface"))
    shader.CreateIdAttr("UsdPreviewSurface")
    *colour, opacity = material.colour
    shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).Set(Gf.Vec3f(*map(to_linear, colour)))
    for name, value in (("opacity", opacity), ("roughness", material.roughness), ("metallic", material.metallic)):
        shader.CreateInput(name, Sdf.ValueTypeNames.Float).Set(value)
    found.CreateSurfaceOutput().ConnectToSource(shader.ConnectableAPI(), "surface")
    if (material.density, material.friction, material.restitution) != (None, None, None):
        api = UsdPhysics.MaterialAPI.Apply(prim)
        if material.density is not None:
            api.CreateDensityAttr(material.density.value)
        if material.friction is not None:
            api.CreateStaticFrictionAttr(material.friction.value)
            api.CreateDynamicFrictionAttr(material.friction.value)
        if material.restitution is not None:
            api.CreateRestitutionAttr(material.restitution.value)
        for field in ("density", "friction", "restitution"):
            keep(prim, field, getattr(material, field))
    if material.texture is not None:
        keep_texture(prim, material.texture)
    return found


def _label(prim: Usd.Prim, label: str) -> None:
    if label:
        UsdSemantics.LabelsAPI.Apply(prim, TAXONOMY).CreateLabelsAttr([writable(prim, label)])


def _place(prim: Usd.Prim, pose: Pose, scale: tuple[float, float, float] | None = None) -> None:
    moved = UsdGeom.Xformable(prim)
    double = UsdGeom.XformOp.PrecisionDouble
    w, x, y, z = pose.turn
    moved.AddTranslateOp(double).Set(Gf.Vec3d(*pose.position))
    moved.AddOrientOp(double).Set(Gf.Quatd(w, x, y, z))
    if scale is not None:
        moved.AddScaleOp(double).Set(Gf.Vec3d(*scale))
