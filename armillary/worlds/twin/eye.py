"""A camera's lens and sensor: from what a pinhole would see to what a dataset holds."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from armillary.worlds.twin.lens import Optics
from armillary.worlds.twin.sensor import Sensor


@dataclass(frozen=True, kw_only=True)
class Eye:
    """`optics` bend what is seen and its labels alike; `sensor` is for pictures alone."""

    optics: Optics
    sensor: Sensor

    def sees(self, pictures: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Pictures by modality, `t h w ...` (`record.pictures`), as the camera sees them; only the sensor's noise is random."""
        straight = not self.optics.bends
        return {
            name: drawn if straight and name not in ("rgb", "flow") else np.stack([self._seen(name, one, rng) for one in drawn])
            for name, drawn in pictures.items()
        }

    def _seen(self, modality: str, drawn: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if modality == "rgb":
            return self.sensor.expose(self.optics.picture(drawn), rng)
        return self.optics.flow(drawn) if modality == "flow" else self.optics.labels(drawn)
