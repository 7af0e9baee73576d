"""Thighs as fine voxels, the truth of the validation: made once, scanned many times in different ways.

A muscle voxel of the object is lean or pure fat, so the share of fat, like every volume and length, is known by
counting. A scan samples the object as a scanner would: turned and shifted, blurred, averaged over
the thickness of a slice, cut by its field of view, with noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from thighseg_core.geometry import Geometry
from thighseg_core.labels import GROUPS, LABELS, SIDES, LabelMap, label_value
from thighseg_core.volume import CTVolume, SeriesInfo
from training.condyles import rounded_ends
from training.phantom import Acquisition, Person, both_thighs
from training.rendering import RenderRange
from training.synthesis import AnatomyRange

FAT_HU, FAT_BELOW_HU = -105, -30
LEAN_SPREAD_HU = 12.0  # of lean tissue around the person's muscle attenuation
DEPOSIT_MM = (10.0, 2.0, 2.0)  # streaks along the leg, some 6 mm thick
GROUP_FAT = {"extensor": 0.6, "flexor": 1.4}  # times the person's share
JOINT_HU = 30
OBJECT_LEVELS = (-0.05, 1.06)  # the whole femur of both legs, which may lie 5 % of its length apart


@dataclass(frozen=True)
class FemurTruth:
    """length_mm: along the line from condyles to head, from end to end. midthigh_mm: the point halfway, LPS."""

    length_mm: float
    midthigh_mm: NDArray[np.float64]


@dataclass(frozen=True)
class VoxelPerson:
    """attenuation_hu (K, J, I) int16 without noise and labels (K, J, I) uint8 on `geometry`, axial, caudal first."""

    attenuation_hu: NDArray[np.int16]
    labels: NDArray[np.uint8]
    geometry: Geometry

    def volume_cm3(self, name: str, side: str, *, z_mm: tuple[float, float] | None = None) -> float:
        """Of a class ("extensor") or of "total", by counting the voxels whose middle lies between two heights."""
        return float(self._counts(name, side, z_mm)[0]) * self.geometry.voxel_volume_cm3

    def fat_percent(self, name: str, side: str, *, z_mm: tuple[float, float] | None = None) -> float:
        """Fat voxels of a muscle in percent of all its voxels, by counting."""
        n_all, n_fat = self._counts(name, side, z_mm)
        return 100 * float(n_fat) / float(n_all)

    def _counts(self, name: str, side: str, z_mm: tuple[float, float] | None) -> tuple[int, int]:
        values = [label_value(one, side) for one in (GROUPS if name == "total" else (name,))]
        heights = self.geometry.affine[2, 3] + self.geometry.affine[2, 0] * np.arange(len(self.labels))
        low, high = z_mm or (-np.inf, np.inf)
        part = (heights > low) & (heights < high)
        every, fat = (counts[part][:, values].sum() for counts in self._by_slice)
        return int(every), int(fat)

    @cached_property
    def _by_slice(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(K, labels) voxels, and those of them that are fat, by slice and label."""
        n = max(LABELS) + 1
        planes = list(zip(self.labels, self.attenuation_hu, strict=True))
        every = [np.bincount(labels.ravel(), minlength=n) for labels, _ in planes]
        fat = [np.bincount(labels[hu < FAT_BELOW_HU], minlength=n) for labels, hu in planes]
        return np.array(every), np.array(fat)

    def femur_truth(self, side: str) -> FemurTruth:
        """Length of one femur and the point halfway along it, from its voxels alone."""
        index = np.argwhere(self.labels == label_value("femur", side)).astype(np.float64)
        points = self.geometry.to_lps_mm(index)
        z = points[:, 2]
        head, condyles = points[z > z.max() - 20].mean(axis=0), points[z < z.min() + 15].mean(axis=0)
        axis = (head - condyles) / np.linalg.norm(head - condyles)
        along = points @ axis
        face = self.geometry.spacing_mm[0] / 2 * axis[2]
        middle = (along.max() + along.min()) / 2
        return FemurTruth(float(along.max() - along.min() + 2 * face), head + (middle - head @ axis) * axis)

    def save(self, path: Path) -> None:
        np.savez_compressed(path, attenuation_hu=self.attenuation_hu, labels=self.labels, affine=self.geometry.affine)

    @classmethod
    def load(cls, path: Path) -> VoxelPerson:
        with np.load(path) as stored:
            labels = stored["labels"]
            return cls(stored["attenuation_hu"], labels, Geometry(labels.shape, stored["affine"]))


@dataclass(frozen=True)
class Scanner:
    """How a voxel person is scanned. turn_deg: about x, y, z; shift_mm: of the person, LPS.

    field_mm: (rows, columns) and centre_mm: (y, x) of the picture in the scanner; z_mm: from the lowest slice's lower
    face to the highest slice's upper face, in the person's coordinates before it is moved.
    """

    slice_mm: float = 5.0
    pixel_mm: float = 0.9
    noise_hu: float = 8.0
    blur_mm: float = 0.6
    turn_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    field_mm: tuple[float, float] | None = None
    centre_mm: tuple[float, float] = (0.0, 0.0)
    z_mm: tuple[float, float] | None = None
    tube_voltage_kvp: float = 120.0
    seed: int = 0

    def pose(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(3x3 rotation, translation): the person's LPS -> the scanner's."""
        x, y, z = np.radians(self.turn_deg)
        about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
        about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
        about_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
        return about_z @ about_y @ about_x, np.array(self.shift_mm)

    def moved(self, point_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where a point of the person lies in the scanner, LPS mm."""
        turn, shift = self.pose()
        return np.asarray(turn @ point_mm + shift)


def voxel_person(person: Person, *, pixel_mm: float = 1.25, slice_mm: float = 3.0) -> VoxelPerson:
    """Both thighs of a person as an object, about the middle of the field, knee to hip."""
    still = AnatomyRange(
        scale=(person.size, person.size),
        rotation_deg=4.0,
        shift_mm=2.0,
        shrink_mm=(person.atrophy_mm, person.atrophy_mm),
        muscle_growth_mm=0.7,
        subcutaneous_mm=(person.subcutaneous_mm, person.subcutaneous_mm),
        two_legs=1.0,
    )
    tissues = RenderRange(
        muscle_hu=(person.muscle_hu, person.muscle_hu),
        infiltration=(0.0, 0.0),
        septum_visible=(0.3, 0.3),
        noise_hu=(0.0, 0.0),
        streak_hu=(0.0, 0.0),
        blur_pixels=(0.01, 0.01),
        contrast_filled=0.0,
        field_cut=0.0,
        table=0.0,
        oedema=0.0,
    )
    grid = Acquisition(slice_mm=slice_mm, pixel_mm=pixel_mm, levels=OBJECT_LEVELS)
    made = both_thighs(person, grid, ranges=still, rendering=tissues)
    made_of_it = with_round_condyles(VoxelPerson(made.attenuation_hu, made.labels, made.geometry), sex=person.sex)
    return with_fat(made_of_it, share=person.fat_share, muscle_hu=person.muscle_hu, seed=person.seed)


def with_round_condyles(person: VoxelPerson, *, sex: str) -> VoxelPerson:
    """The person with the lower ends of the femurs rounded as condyles are. What is taken off becomes the soft tissue
    of the joint."""
    labels, attenuation_hu = person.labels.copy(), person.attenuation_hu.copy()
    for side in SIDES:
        bone, joint = label_value("femur", side), label_value("intermuscular", side)
        femur = person.labels == bone
        for k, kept in rounded_ends(femur, spacing_mm=person.geometry.spacing_mm, sex=sex, left=side == "left"):
            off = femur[k] & ~kept
            labels[k][off], attenuation_hu[k][off] = joint, JOINT_HU
    return VoxelPerson(attenuation_hu, labels, person.geometry)


def with_fat(
    person: VoxelPerson, *, share: float, muscle_hu: float, seed: int, size_mm: tuple[float, float, float] = DEPOSIT_MM
) -> VoxelPerson:
    """The person with every muscle voxel lean but for deposits of pure fat, which make up `share` of the muscle
    (times `GROUP_FAT`) exactly.

    size_mm: standard deviations (z, y, x) of the field that deposits are cut from; a deposit is some three times as
    thick.
    """
    labels, attenuation_hu = person.labels, person.attenuation_hu.copy()
    white = np.random.default_rng(seed).standard_normal(labels.shape, dtype=np.float32)
    sigmas = [size / step for size, step in zip(size_mm, person.geometry.spacing_mm, strict=True)]
    streaks = ndimage.gaussian_filter(white, sigmas)
    for name in (*GROUPS, "sartorius", "other_muscle"):
        for side in SIDES:
            inside = labels == label_value(name, side)
            if not inside.any():
                continue
            lean = np.clip(attenuation_hu[inside], muscle_hu - LEAN_SPREAD_HU, muscle_hu + LEAN_SPREAD_HU)
            fat = streaks[inside] > np.quantile(streaks[inside], 1 - share * GROUP_FAT.get(name, 1.0))
            attenuation_hu[inside] = np.where(fat, FAT_HU, lean).astype(np.int16)
    return VoxelPerson(attenuation_hu, labels, person.geometry)


def scan_person(person: VoxelPerson, scanner: Scanner) -> tuple[CTVolume, LabelMap]:
    """A scan and its true label map: each voxel has the label of the object at its centre."""
    geometry = _field(person, scanner)
    turn, shift = scanner.pose()
    fine = np.linalg.inv(person.geometry.affine)
    back = np.eye(4)
    back[:3, :3], back[:3, 3] = turn.T, -turn.T @ shift
    to_object = fine @ back @ geometry.affine  # index in the scan -> index in the object
    rows_mm, columns_mm = person.geometry.spacing_mm[1:]
    soft = person.attenuation_hu.astype(np.float32)
    blur = [_added_blur_mm(scanner.blur_mm, step_mm) / step_mm for step_mm in (rows_mm, columns_mm)]
    soft = ndimage.gaussian_filter(soft, (0, *blur))
    n_parts = max(1, round(scanner.slice_mm / person.geometry.spacing_mm[0]))
    total = np.zeros(geometry.shape, dtype=np.float32)
    for part in range(n_parts):
        offset = to_object[:3, 3] + to_object[:3, 0] * ((part + 0.5) / n_parts - 0.5)
        total += _sampled(soft, to_object[:3, :3], offset, geometry.shape, order=1, outside=-1000.0)
    labels = _sampled(person.labels, to_object[:3, :3], to_object[:3, 3], geometry.shape, order=0, outside=0)
    noisy = total / n_parts + _noise(geometry, scanner)
    attenuation_hu = np.clip(np.rint(noisy), -1024, 3071).astype(np.int16)
    info = SeriesInfo(
        series_uid="1.2.3",
        source_format="DICOM",
        digest_sha256="0" * 64,
        tube_voltage_kvp=scanner.tube_voltage_kvp,
        slice_thickness_mm=scanner.slice_mm,
    )
    return CTVolume(attenuation_hu, geometry, info), LabelMap(labels.astype(np.uint8), geometry)


def _added_blur_mm(blur_mm: float, step_mm: float) -> float:
    """What is missing of a blur when the object is interpolated linearly, which blurs by itself by step / sqrt(6)."""
    return float(np.sqrt(max(0.0, blur_mm**2 - step_mm**2 / 6)))


def _sampled(array, matrix, offset, shape, *, order, outside):  # type: ignore[no-untyped-def]
    """As scipy's affine_transform; where the axes only scale, axis by axis, which is many times as fast."""
    if np.abs(matrix - np.diag(np.diag(matrix))).max() > 1e-9:
        return ndimage.affine_transform(
            array, matrix, offset, output_shape=shape, order=order, mode="constant", cval=outside, prefilter=False
        )
    out = array
    for axis in range(3):
        place = matrix[axis, axis] * np.arange(shape[axis]) + offset[axis]
        last = array.shape[axis] - 1
        if order == 0:
            out = np.take(out, np.clip(np.rint(place), 0, last).astype(int), axis=axis)
        else:
            low = np.clip(np.floor(place), 0, max(last - 1, 0)).astype(int)
            weight = np.clip(place - low, 0, 1).astype(np.float32)
            weight = weight.reshape([-1 if n == axis else 1 for n in range(3)])
            out = np.take(out, low, axis=axis) * (1 - weight) + np.take(out, low + 1, axis=axis) * weight
        beyond = (place < -0.5) | (place > last + 0.5)
        out[tuple(beyond if n == axis else slice(None) for n in range(3))] = outside
    return out


def _field(person: VoxelPerson, scanner: Scanner) -> Geometry:
    """The scan's grid: the whole object with a margin unless the scanner's field is smaller."""
    n_slices, n_rows, n_columns = person.geometry.shape
    step = np.array(person.geometry.spacing_mm)
    size_mm = scanner.field_mm or (n_rows * step[1] + 16, n_columns * step[2] + 16)
    middle = person.geometry.to_lps_mm((np.array([n_slices, n_rows, n_columns]) - 1) / 2)
    bottom_mm, top_mm = scanner.z_mm or (middle[2] - n_slices * step[0] / 2, middle[2] + n_slices * step[0] / 2)
    rows, columns = (round(length / scanner.pixel_mm) for length in size_mm)
    slices = max(1, round((top_mm - bottom_mm) / scanner.slice_mm))
    centre = scanner.moved(np.array([middle[0], middle[1], (bottom_mm + top_mm) / 2]))
    affine = np.eye(4)
    affine[:3, :3] = [[0, 0, scanner.pixel_mm], [0, scanner.pixel_mm, 0], [scanner.slice_mm, 0, 0]]
    half = affine[:3, :3] @ ((np.array([slices, rows, columns]) - 1) / 2)
    affine[:3, 3] = centre - half + np.array([scanner.centre_mm[1], scanner.centre_mm[0], 0.0])
    return Geometry((slices, rows, columns), affine)


def _noise(geometry: Geometry, scanner: Scanner) -> NDArray[np.float32]:
    """Gaussian noise of `noise_hu` with the grain of a soft-tissue kernel: correlated over about a millimetre."""
    if not scanner.noise_hu:
        return np.zeros(geometry.shape, dtype=np.float32)
    generator = np.random.default_rng(scanner.seed)
    white = generator.standard_normal(geometry.shape, dtype=np.float32)
    grain = ndimage.gaussian_filter(white, (0, 0.5 / scanner.pixel_mm, 0.5 / scanner.pixel_mm))
    return np.asarray(grain * (scanner.noise_hu / grain.std()), dtype=np.float32)
