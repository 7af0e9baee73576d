"""The made-up people of the validation, made once and kept in cache/phantoms."""

from __future__ import annotations

from pathlib import Path

from training.phantom import Person
from training.voxel_phantom import VoxelPerson, voxel_person, with_fat

PIXEL_MM, SLICE_MM = 1.0, 1.0  # fine: neither an edge nor an end may lie on a step of the object
CACHE = Path("cache/phantoms")
PEOPLE = {
    "woman-lean": Person("female", 31, 0.96, 14.0, -0.4, 0.03, 57.0),
    "man-lean": Person("male", 32, 0.92, 8.0, -0.3, 0.06, 55.0),
    "woman-fat": Person("female", 33, 0.99, 18.0, 0.6, 0.15, 48.0),
    "man-fat": Person("male", 34, 0.88, 11.0, 0.8, 0.22, 45.0),
}


def validation_person(
    name: str,
    *,
    cache: Path = CACHE,
    fat_share: float | None = None,
    deposit_mm: tuple[float, float, float] | None = None,
) -> VoxelPerson:
    """One of `PEOPLE`, with another share of fat or other deposits where asked; made when it is not in `cache`, which
    takes a minute or more."""
    path, person = cache / f"{name}_{PIXEL_MM:g}_{SLICE_MM:g}mm.npz", PEOPLE[name]
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        voxel_person(person, pixel_mm=PIXEL_MM, slice_mm=SLICE_MM).save(path)
    share = person.fat_share if fat_share is None else fat_share
    made = VoxelPerson.load(path)
    if deposit_mm is None:
        return with_fat(made, share=share, muscle_hu=person.muscle_hu, seed=person.seed)
    return with_fat(made, share=share, muscle_hu=person.muscle_hu, seed=person.seed, size_mm=deposit_mm)
