"""OpenUSD's materials as ours: how a shape looks (UsdPreviewSurface) and how it rubs (UsdPhysics), which may be bound apart."""

from dataclasses import replace

import numpy as np
from pxr import Usd, UsdGeom, UsdPhysics, UsdShade

from armillary.worlds.twin.asset import Material
from armillary.worlds.twin.colour_space import to_screen
from armillary.worlds.twin.quantity import Quantity
from armillary.worlds.twin.usd_kept import quantity, text
from armillary.worlds.twin.usd_names import Notes, prim_name
from armillary.worlds.twin.usd_texture import kept_texture


class Materials:
    """The materials of a stage. `density_scale`: kg/m3 in one unit of the file's density."""

    def __init__(self, prims: list[Usd.Prim], density_scale: float, notes: Notes):
        self._scale, self._notes = density_scale, notes
        self._names: set[str] = set()
        self._of_prim: dict[str, Material] = {}
        self._mixed: dict[Material, Material] = {}
        for prim in prims:
            self._read(prim)

    def all(self) -> tuple[Material, ...]:
        """Those of the file in its order, then those that are mixed of two, or of one and what a shape says itself."""
        return (*self._of_prim.values(), *self._mixed.values())

    def of(self, prim: Usd.Prim, density: Quantity | None) -> str:
        """The name of a shape's material; "" if there is none. The shape's own density, where it has one, counts before a material's."""
        binding = UsdShade.MaterialBindingAPI(prim)
        look = self._bound(binding, UsdShade.Tokens.full)
        rub = self._bound(binding, "physics")
        colour = self._display_colour(prim) if look is None else None
        mixed = look or rub
        if mixed is None and colour is None and density is None:
            return ""
        if mixed is None:
            mixed = Material(name="")
        if colour is not None:
            mixed = replace(mixed, name=f"{mixed.name}_{_hexadecimal(colour)}".strip("_"), colour=colour)
        if rub is not None and look is not None and rub != look:
            name = f"{look.name}_{rub.name}"
            mixed = replace(look, name=name, density=rub.density, friction=rub.friction, restitution=rub.restitution)
        if density is not None:
            mixed = replace(mixed, name=f"{mixed.name}_{density.value:g}kgm3".strip("_"), density=density)
        if mixed in (look, rub):
            return mixed.name
        if mixed not in self._mixed:
            self._mixed[mixed] = replace(mixed, name=prim_name(mixed.name, self._names))
        return self._mixed[mixed].name

    def _bound(self, binding: UsdShade.MaterialBindingAPI, purpose: str) -> Material | None:
        bound = binding.ComputeBoundMaterial(purpose)[0]
        return self._read(bound.GetPrim()) if bound else None

    def _read(self, prim: Usd.Prim) -> Material:
        path = str(prim.GetPath())
        if path not in self._of_prim:
            name = prim_name(path, self._names, text(prim, "name"))
            texture = kept_texture(prim, self._notes)
            self._of_prim[path] = replace(self._surface(prim), name=name, texture=texture, **self._physics(prim))
        return self._of_prim[path]

    def _physics(self, prim: Usd.Prim) -> dict[str, Quantity | None]:
        if not prim.HasAPI(UsdPhysics.MaterialAPI):
            return {}
        api = UsdPhysics.MaterialAPI(prim)
        rests, slides = _authored(api.GetStaticFrictionAttr()), _authored(api.GetDynamicFrictionAttr())
        if rests is not None and slides is not None and rests != slides:
            self._notes.add(prim.GetPath(), f"static friction {rests:g} differs from dynamic friction {slides:g}, which is the one taken")
        density = _authored(api.GetDensityAttr()) or None  # 0 stands for "not said"
        return {
            "density": quantity(prim, "density", None if density is None else density * self._scale, self._notes),
            "friction": quantity(prim, "friction", rests if slides is None else slides, self._notes),
            "restitution": quantity(prim, "restitution", _authored(api.GetRestitutionAttr()), self._notes),
        }

    def _surface(self, prim: Usd.Prim) -> Material:
        """How it looks; ours by default where it says nothing that we can read."""
        shader = UsdShade.Material(prim).ComputeSurfaceSource()[0]
        if not shader or shader.GetShaderId() != "UsdPreviewSurface":
            if any(output.HasConnectedSource() for output in UsdShade.Material(prim).GetSurfaceOutputs()):
                self._notes.add(prim.GetPath(), "its surface is no UsdPreviewSurface, so its colour is not read")
            return Material(name="")
        red, green, blue = (to_screen(float(part)) for part in self._input(shader, "diffuseColor", (0.18, 0.18, 0.18)))
        return Material(
            name="",
            colour=(red, green, blue, float(self._input(shader, "opacity", 1.0))),
            roughness=float(self._input(shader, "roughness", 0.5)),
            metallic=float(self._input(shader, "metallic", 0.0)),
        )

    def _input(self, shader: UsdShade.Shader, name: str, default):
        """The value of an input, or what OpenUSD takes where it has none; textures are not read."""
        given = shader.GetInput(name)
        if not given:
            return default
        for attribute in given.GetValueProducingAttributes():
            if UsdShade.Utils.GetType(attribute.GetName()) != UsdShade.AttributeType.Input:
                self._notes.add(shader.GetPath(), f"a texture gives its {name}: textures are not carried over")
                return default
            value = attribute.Get(Usd.TimeCode.EarliestTime())
            return default if value is None else value
        return default

    def _display_colour(self, prim: Usd.Prim) -> tuple[float, float, float, float] | None:
        shape = UsdGeom.Gprim(prim)
        colours = shape.GetDisplayColorAttr().Get(Usd.TimeCode.EarliestTime())
        if not colours:
            return None
        if len(colours) > 1:
            self._notes.add(prim.GetPath(), "a colour for each point or face: their mean is taken")
        opacities = shape.GetDisplayOpacityAttr().Get(Usd.TimeCode.EarliestTime())
        red, green, blue = (to_screen(part) for part in np.array(colours, dtype=np.float64).mean(axis=0).tolist())
        return red, green, blue, float(np.mean(opacities)) if opacities else 1.0


def _authored(attribute: Usd.Attribute) -> float | None:
    return float(attribute.Get()) if attribute and attribute.HasAuthoredValue() else None


def _hexadecimal(colour: tuple[float, float, float, float]) -> str:
    return "colour_" + "".join(f"{round(255 * min(max(part, 0.0), 1.0)):02x}" for part in colour[:3])
