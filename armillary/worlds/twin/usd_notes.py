"""What of a prim no asset can hold, whatever else is read of it."""

from pxr import Usd, UsdGeom, UsdLux, UsdPhysics, UsdShade, UsdSkel

from armillary.worlds.twin.usd_names import Notes

_TAKEN_APIS = {
    "MaterialBindingAPI",
    "PhysicsArticulationRootAPI",
    "PhysicsCollisionAPI",
    "PhysicsDriveAPI",
    "PhysicsLimitAPI",
    "PhysicsMassAPI",
    "PhysicsMaterialAPI",
    "PhysicsMeshCollisionAPI",
    "PhysicsRigidBodyAPI",
    "SemanticsLabelsAPI",
}
_TAKEN_TYPES = ("", "Xform", "Scope", "Material", "Shader", "NodeGraph")
_HULLS = ("none", "convexHull")


def note_prim(prim: Usd.Prim, notes: Notes) -> bool:
    """Note what is lost of a prim; True where all below it is lost too."""
    path, kind = prim.GetPath(), prim.GetTypeName()
    if prim.IsA(UsdGeom.PointInstancer):
        notes.add(path, "a PointInstancer: its copies are left out")
        return True
    if prim.IsA(UsdGeom.Camera) or prim.HasAPI(UsdLux.LightAPI) or prim.IsA(UsdPhysics.Scene):
        notes.add(path, "cameras, lights and gravity belong to a scene and not to an asset, so they are left out")
        return False
    if prim.IsA(UsdSkel.Root):
        notes.add(path, "a skeleton bends what is below it: its meshes are taken as they were drawn, unbent")
    elif prim.IsA(UsdGeom.Subset):
        notes.add(path, "a part of a mesh with a material of its own: the mesh's material is taken for all of it")
    elif prim.IsA(UsdPhysics.CollisionGroup):
        notes.add(path, "collision groups are left out: whatever touches collides")
    elif kind not in _TAKEN_TYPES and not prim.IsA(UsdGeom.Gprim) and not prim.IsA(UsdPhysics.Joint) and not prim.IsA(UsdShade.NodeGraph):
        notes.add(path, f"a {kind} is nothing that an asset can hold, so it is left out")
    if prim.IsA(UsdGeom.Xformable) and UsdGeom.Xformable(prim).TransformMightBeTimeVarying():
        notes.add(path, "it moves with time: it is read where it is first")
    for api in prim.GetPrimTypeInfo().GetAppliedAPISchemas():
        if api.split(":")[0] not in _TAKEN_APIS:
            notes.add(path, f"{api} is not carried over")
    _note_physics(prim, notes)
    return False


def _note_physics(prim: Usd.Prim, notes: Notes) -> None:
    path = prim.GetPath()
    if prim.HasAPI(UsdPhysics.CollisionAPI) and not prim.IsA(UsdGeom.Gprim):
        notes.add(path, f"a {prim.GetTypeName() or 'prim without a type'} cannot collide; only shapes can")
    if prim.IsA(UsdGeom.Mesh) and prim.HasAPI(UsdPhysics.MeshCollisionAPI):
        hull = UsdPhysics.MeshCollisionAPI(prim).GetApproximationAttr().Get()
        if hull not in _HULLS:
            notes.add(path, f"it asks to collide as its {hull}; that is left to who simulates it")
    if prim.HasAPI(UsdPhysics.RigidBodyAPI):
        body = UsdPhysics.RigidBodyAPI(prim)
        if any(body.GetVelocityAttr().Get()) or any(body.GetAngularVelocityAttr().Get()):
            notes.add(path, "its speed at the start is left out")
    if prim.IsA(UsdPhysics.Joint) and UsdPhysics.Joint(prim).GetExcludeFromArticulationAttr().Get():
        notes.add(path, "a joint outside the articulation is treated like any other")
