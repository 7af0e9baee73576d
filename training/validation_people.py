"""The made-up people of the validation, made once and kept in cache/phantoms."""

from __future__ import annotations

from pathlib import Path

from training.phantom import Person
from training.voxel_phantom import VoxelPerson, voxel_person

PIXEL_MM, SLICE_MM = 1.5, 3.0
PEOPLE = {
    "woman-lean": Person("female", 31, 0.96, 14.0, -0.4, 0.03, 57.0),
    "man-lean": Person("male", 32, 0.92, 8.0, -0.3, 0.06, 55.0),
    "woman-fat": Person("female", 33, 0.99, 18.0, 0.6, 0.15, 48.0),
    "man-fat": Person("male", 34, 0.88, 11.0, 0.8, 0.22, 45.0),
}


def validation_person(name: str, *, cache: Path) -> VoxelPerson:
    """One of `PEOPLE`; made when it is not in `cache` (a minute or more)."""
    path = cache / f"{name}.npz"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        voxel_person(PEOPLE[name], pixel_mm=PIXEL_MM, slice_mm=SLICE_MM).save(path)
    return VoxelPerson.load(path)
