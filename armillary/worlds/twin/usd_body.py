"""Bodies and shapes of an OpenUSD stage: mass, inertia, roles, materials and labels."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float64
from pxr import Usd, UsdGeom, UsdPhysics, UsdSemantics

from armillary.core import DataError
from armillary.worlds.twin.asset import Asset, Body, Inertia, Shape
from armillary.worlds.twin.geometry import Geometry
from armillary.worlds.twin.mass import mass_matrix
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.quantity import Quantity
from armillary.worlds.twin.usd_geometry import read_geometry
from armillary.worlds.twin.usd_joints import pose_of
from armillary.worlds.twin.usd_kept import quantity, text
from armillary.worlds.twin.usd_materials import Materials
from armillary.worlds.twin.usd_names import TAXONOMY, Notes, prim_name


class Reader:
    """Reads bodies and shapes of one stage; `metres` and `kilograms` are those in one unit of the file."""

    def __init__(self, metres: float, kilograms: float, materials: Materials, notes: Notes):
        self._metres, self._kilograms, self._materials, self._notes = metres, kilograms, materials, notes
        self._uncentred: set[str] = set()  # bodies whose inertia came without a centre of mass

    def shape(self, prim: Usd.Prim, body_from_prim: Float64[np.ndarray, "4 4"], taken: set[str], holder: str) -> Shape | None:
        """The shape of a prim; None, and a note, where it has none that is drawn or collides. `holder` is the path of its body's prim."""
        role = self._role(prim)
        found = read_geometry(prim, body_from_prim, self._notes) if role else None
        if found is None:
            return None
        density = None if role == "visual" else self._density(prim, found[0], holder)
        path = str(prim.GetPath()).removeprefix(holder if holder != str(prim.GetPath()) else "")
        name = text(prim, "shape_name") or prim_name(path, taken)
        return Shape(name=name, geometry=found[0], pose=found[1], role=role, material=self._materials.of(prim, density))

    def body(self, prim: Usd.Prim | None, name: str, shapes: tuple[Shape, ...], stretch: Float64[np.ndarray, "3 3"]) -> Body:
        """The body of a prim; None: of whatever belongs to no prim. Its pose is not set. `stretch`: the prim's units in metres."""
        if prim is None:
            return Body(name=name, shapes=shapes)
        mass = inertia = None
        if prim.HasAPI(UsdPhysics.MassAPI):
            api = UsdPhysics.MassAPI(prim)
            given = float(api.GetMassAttr().Get())  # 0 stands for "not said"
            mass = quantity(prim, "mass", given * self._kilograms if given else None, self._notes)
            inertia = self._inertia(prim, api, name, stretch)
        return Body(name=name, shapes=shapes, mass=mass, inertia=inertia, label=self.label(prim))

    def label(self, prim: Usd.Prim) -> str:
        """The first label of a prim, of our taxonomy if there is one."""
        kinds = sorted(UsdSemantics.LabelsAPI.GetDirectTaxonomies(prim), key=lambda kind: kind != TAXONOMY)
        labels = [label for kind in kinds for label in UsdSemantics.LabelsAPI(prim, kind).GetLabelsAttr().Get() or ()]
        if len(labels) > 1:
            self._notes.add(prim.GetPath(), f"of its labels {', '.join(labels)} only the first is taken")
        return str(labels[0]) if labels else ""

    def with_centres(self, asset: Asset) -> Asset:
        """Inertias that came without a centre of mass are put where the shapes have theirs, which is what OpenUSD asks for."""
        bodies = []
        for body in asset.bodies:
            if body.name in self._uncentred:
                plain = replace(body, inertia=None, mass=body.mass or Quantity(1.0))
                centre = mass_matrix(asset, plain)[1]
                body = replace(body, inertia=replace(body.inertia, frame=Pose(tuple(centre), body.inertia.frame.turn)))
            bodies.append(body)
        return replace(asset, bodies=tuple(bodies))

    def _role(self, prim: Usd.Prim) -> str:
        shape = UsdGeom.Imageable(prim)
        drawn = shape.ComputePurpose() in ("default", "render") and shape.ComputeVisibility(Usd.TimeCode.EarliestTime()) != "invisible"
        collides = prim.HasAPI(UsdPhysics.CollisionAPI) and UsdPhysics.CollisionAPI(prim).GetCollisionEnabledAttr().Get()
        if not drawn and not collides:
            self._notes.add(prim.GetPath(), "a shape that is neither drawn nor collides, so it is left out")
        return ("both" if collides else "visual") if drawn else ("collider" if collides else "")

    def _density(self, prim: Usd.Prim, geometry: Geometry, holder: str) -> Quantity | None:
        """What the shape, or else a prim above it up to its body, says it is made of; a material's density is weaker than that."""
        if prim.HasAPI(UsdPhysics.MassAPI) and str(prim.GetPath()) != holder:
            mass = float(UsdPhysics.MassAPI(prim).GetMassAttr().Get()) * self._kilograms
            solid = geometry.solid()
            if mass and solid is None:
                self._notes.add(prim.GetPath(), "the mass of a shape that encloses no volume is left out")
            elif mass:
                return Quantity(mass / solid.volume, "datasheet", note="from the mass of this shape")
        above = prim
        while above:
            density = float(UsdPhysics.MassAPI(above).GetDensityAttr().Get()) if above.HasAPI(UsdPhysics.MassAPI) else 0.0
            if density:
                return quantity(above, "density", density * self._kilograms / self._metres**3, self._notes)
            if str(above.GetPath()) == holder:
                break
            above = above.GetParent()
        return None

    def _inertia(self, prim: Usd.Prim, api: UsdPhysics.MassAPI, name: str, stretch: Float64[np.ndarray, "3 3"]) -> Inertia | None:
        moments = [float(part) for part in api.GetDiagonalInertiaAttr().Get()]
        centre = np.array(api.GetCenterOfMassAttr().Get(), dtype=np.float64)
        centred = bool(np.isfinite(centre).all())  # its default is minus infinity: "not said"
        if not any(moments):
            if centred:
                self._notes.add(prim.GetPath(), "a centre of mass without an inertia is left out: the shapes decide")
            return None
        if not centred:
            self._uncentred.add(name)
        axes = api.GetPrincipalAxesAttr().Get()
        turned = axes.GetReal() or any(axes.GetImaginary())  # all 0 stands for "not said"
        scale = self._kilograms * self._metres**2
        found = [quantity(prim, f"inertia_{axis}", moment * scale, self._notes) for axis, moment in zip("xyz", moments, strict=True)]
        if min(moment.value for moment in found) < 0:
            raise DataError(f"{prim.GetPath()}: diagonalInertia must be >= 0, received {moments}")
        place = tuple(stretch @ centre) if centred else (0.0, 0.0, 0.0)
        return Inertia(tuple(found), Pose(place, pose_of(prim.GetPath(), axes).turn if turned else Pose().turn))
