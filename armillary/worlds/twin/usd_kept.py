"""Where a number comes from, kept in a prim's custom data beside OpenUSD's own attribute, and found again."""

import math

from pxr import Usd

from armillary.core import DataError
from armillary.worlds.twin.quantity import SPREAD, Quantity
from armillary.worlds.twin.usd_names import KEPT, Notes

_SAME = 1e-6  # how far single precision may move a number, as a share of it


def keep(prim: Usd.Prim, field: str, quantity: Quantity | None) -> None:
    """Write a quantity's exact value (SI), source, range and note into the prim's custom data."""
    if quantity is not None:
        record = {
            "value": float(quantity.value),
            "source": quantity.source,
            "low": float(quantity.low),
            "high": float(quantity.high),
            "note": writable(prim, quantity.note),
        }
        prim.SetCustomDataByKey(f"{KEPT}:{field}", record)


def keep_text(prim: Usd.Prim, field: str, text: str) -> None:
    """Write a text into the prim's custom data."""
    prim.SetCustomDataByKey(f"{KEPT}:{field}", writable(prim, text))


def writable(prim: Usd.Prim, text: str) -> str:
    """The text itself. DataError if OpenUSD would cut it off or refuse it."""
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise DataError(f"{prim.GetPath()}: {text!r} has a null character or half a surrogate pair, which OpenUSD cannot keep; rename it")
    return text


def kept(prim: Usd.Prim, field: str, notes: Notes) -> Quantity | None:
    """The quantity that `keep` wrote; None where there is none, or none that can be understood."""
    record = prim.GetCustomDataByKey(f"{KEPT}:{field}")
    if record is None:
        return None
    numbers = [record.get(name) for name in ("value", "low", "high")] if isinstance(record, dict) else []
    sound = bool(numbers) and all(isinstance(one, float) and math.isfinite(one) for one in numbers)
    if not sound or record.get("source") not in SPREAD or not numbers[1] <= numbers[0] <= numbers[2]:
        notes.add(prim.GetPath(), f"the provenance of its {field} cannot be understood, so it is left aside")
        return None
    return Quantity(numbers[0], record["source"], numbers[1], numbers[2], str(record.get("note", "")))


def quantity(prim: Usd.Prim, field: str, authored: float | None, notes: Notes) -> Quantity | None:
    """What an attribute says (SI; None: nothing), with its kept provenance if that is still about the same number.

    A number that somebody wrote without saying where it is from counts as a datasheet's. DataError if it is not finite.
    """
    if authored is None:
        return None
    if not math.isfinite(authored):
        raise DataError(f"{prim.GetPath()}: its {field} must be finite, received {authored}")
    found = kept(prim, field, notes)
    if found is not None:
        if math.isclose(found.value, authored, rel_tol=_SAME, abs_tol=1e-12):
            return found
        notes.add(prim.GetPath(), f"its {field} was changed after we wrote it, so its old provenance is left aside")
    return Quantity(float(authored), "datasheet")


def text(prim: Usd.Prim, field: str) -> str:
    """A text kept in the custom data; empty where there is none."""
    found = prim.GetCustomDataByKey(f"{KEPT}:{field}")
    return found if isinstance(found, str) else ""
