"""Atlas legs: signed distance of every structure on axial slices, from the published surfaces.

    python -m training.atlas --surfaces ../shared/data/visible_human_surfaces --output cache/atlas

Each leg is a left leg; a slice lies at a level along the femur (0 = top of the head, 1 = distal end of the condyles).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.surfaces import PEOPLE, Surface, complete_from, read_leg, voxelise

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Structure -> (class it is labelled with, surfaces it is made of). The order is that of the channels.
STRUCTURES: dict[str, tuple[str, tuple[str, ...]]] = {
    "rectus_femoris": ("extensor", ("RectusFemoris",)),
    "vastus_lateralis": ("extensor", ("VastusLateralis",)),
    "vastus_intermedius": ("extensor", ("VastusIntermedius",)),
    "vastus_medialis": ("extensor", ("VastusMedialis",)),
    "biceps_long": ("flexor", ("BicepsFemorisLong",)),
    "biceps_short": ("flexor", ("BicepsFemorisShort",)),
    "semitendinosus": ("flexor", ("Semitendinosus",)),
    "semimembranosus": ("flexor", ("Semimembranosus",)),
    "adductor_longus": ("adductor", ("AdductorLongus",)),
    "adductor_brevis": ("adductor", ("AdductorBrevis",)),
    "adductor_magnus": ("adductor", ("AdductorMagnus",)),
    "gracilis": ("adductor", ("Gracilis",)),
    "pectineus": ("adductor", ("Pectineus",)),
    "sartorius": ("sartorius", ("Sartorius",)),
    "gluteus_maximus": ("other_muscle", ("GluteusMaximus",)),
    "gluteus_medius": ("other_muscle", ("GluteusMedius", "GluteusMinimus")),
    "tensor_fasciae_latae": ("other_muscle", ("TensorFasciaeLatae",)),
    "iliopsoas": ("other_muscle", ("Iliacus", "PsoasMajor")),
    "deep_hip": (
        "other_muscle",
        (
            "ObturatorExternus",
            "ObturatorInternus",
            "QuadratusFemoris",
            "Piriformis",
            "SuperiorGemellus",
            "InferiorGemellus",
        ),
    ),
    "gastrocnemius": ("other_muscle", ("GastrocnemiusLateral", "GastrocnemiusMedial", "Plantaris")),
    "lower_leg": (
        "other_muscle",
        (
            "Soleus",
            "Popliteus",
            "TibialisAnterior",
            "TibialisPosterior",
            "ExtensorDigitorumLongus",
            "ExtensorHallucisLongus",
            "FlexorDigitorumLongus",
            "FlexorHallucisLongus",
            "PeroneusLongus",
        ),
    ),
    "femur": ("femur", ()),  # reconstructed: not published
    "other_bone": ("other_bone", ("Tibia", "Fibula", "Patella")),
    "deep": ("intermuscular", ()),  # all that lies deep to the fascia lata, reconstructed
}
STRUCTURE_NAMES = tuple(STRUCTURES)
N_MUSCLES = STRUCTURE_NAMES.index("femur")

PIXEL_MM = 1.5
SLICE_MM = 3.0
HALF_WIDTH_MM = 96.0
LEVELS = (-0.03, 1.3)  # from just above the femoral head to the middle of the calf
UNIT_MM = 0.25  # stored distances are int8 multiples of this
DEEP_UNIT_MM = 1.0  # the last channel's, which subcutaneous fat is grown from
_FINE_MM = 1.0


@dataclass(frozen=True)
class AtlasLeg:
    """One left leg.

    distance: (Z, S, H, W) int8, signed in-plane distance to structure s, negative inside, in units of `UNIT_MM` cut off
        at +-31.75 mm (the last channel, "deep", in units of `DEEP_UNIT_MM`). Slices run from inferior to superior,
        rows to posterior, columns to the patient's left.
    level: (Z,) along the femur. points_mm: (Z, 3, 2) row and column from the slice centre of the femoral artery, the
        sciatic nerve and the deep femoral vessels.
    """

    name: str
    distance: NDArray[np.int8]
    level: NDArray[np.float32]
    points_mm: NDArray[np.float32]
    femur_length_mm: float

    @property
    def level_limit(self) -> float:
        """Lowest level that can be shown: below the knee only where the leg has a shin bone and fits the grid."""
        has_shin = (self.distance[0, STRUCTURE_NAMES.index("other_bone")] < 0).any()
        return float(self.level.max()) if has_shin else 0.96

    def save(self, path: Path) -> None:
        np.savez_compressed(
            path,
            distance=self.distance,
            level=self.level,
            points_mm=self.points_mm,
            femur_length_mm=np.float64(self.femur_length_mm),
        )

    @classmethod
    def load(cls, path: Path) -> AtlasLeg:
        with np.load(path) as stored:
            return cls(
                path.stem, stored["distance"], stored["level"], stored["points_mm"], float(stored["femur_length_mm"])
            )


def build_leg(surfaces: dict[str, Surface], *, name: str) -> AtlasLeg:
    """Signed distances of all structures of one leg (a left leg in LPS mm)."""
    top_mm = float(surfaces["Cartilage_FemurHead"].vertices_mm[:, 2].max())
    bottom_mm = float(surfaces["Cartilage_FemurDistal"].vertices_mm[:, 2].min())
    length_mm = top_mm - bottom_mm
    z_mm = np.arange(top_mm - LEVELS[1] * length_mm, top_mm - LEVELS[0] * length_mm, SLICE_MM)
    thigh = np.concatenate([surfaces[f"Muscle_{n}"].vertices_mm for n in ("VastusLateralis", "AdductorMagnus")])
    centre_mm = (thigh.max(axis=0) + thigh.min(axis=0)) / 2
    n = round(2 * HALF_WIDTH_MM / _FINE_MM)
    origin_mm = np.array([z_mm[0], centre_mm[1] - HALF_WIDTH_MM, centre_mm[0] - HALF_WIDTH_MM])
    grid = {
        "origin_mm": origin_mm,
        "spacing_mm": np.array([SLICE_MM, _FINE_MM, _FINE_MM]),
        "shape": (len(z_mm), n, n),
    }

    def mask(prefix: str, names: tuple[str, ...]) -> Mask:
        found = [surfaces[f"{prefix}_{item}"] for item in names if f"{prefix}_{item}" in surfaces]
        return np.logical_or.reduce([voxelise(s, **grid) for s in found])

    masks = {
        key: mask("Bone" if key == "other_bone" else "Muscle", names) for key, (_, names) in STRUCTURES.items() if names
    }
    muscles = np.logical_or.reduce([masks[key] for key in STRUCTURE_NAMES[:N_MUSCLES]])
    masks["femur"] = _femur(surfaces, grid, muscles)
    masks["deep"] = _deep(muscles | masks["femur"] | masks["other_bone"])
    width = round(n * _FINE_MM / PIXEL_MM)
    stack = np.empty((len(z_mm), len(STRUCTURE_NAMES), width, width), dtype=np.int8)
    for channel, key in enumerate(STRUCTURE_NAMES):
        stack[:, channel] = _distance(masks[key], unit_mm=DEEP_UNIT_MM if key == "deep" else UNIT_MM)
    level = ((top_mm - z_mm) / length_mm).astype(np.float32)
    return AtlasLeg(name, stack, level, _courses(stack, level), length_mm)


def _distance(mask: Mask, *, unit_mm: float) -> NDArray[np.int8]:
    """(Z, n, n) mask at 1 mm -> (Z, H, W) signed in-plane distance on the coarser pixels, int8 units."""
    n = round(mask.shape[1] * _FINE_MM / PIXEL_MM)
    fine = (np.arange(n) + 0.5) * PIXEL_MM / _FINE_MM - 0.5
    rows, columns = np.meshgrid(fine, fine, indexing="ij")
    limit = 127 * unit_mm
    out = np.full((len(mask), n, n), 127, dtype=np.int8)
    for k, plane in enumerate(mask):
        if plane.any():
            outside, inside = ndimage.distance_transform_edt(~plane), ndimage.distance_transform_edt(plane)
            signed = ndimage.gaussian_filter(np.clip(outside - inside, -limit - 2, limit + 2) * _FINE_MM, 0.7)
            sampled = ndimage.map_coordinates(signed, [rows, columns], order=1, mode="nearest")
            out[k] = np.round(np.clip(sampled, -limit, limit) / unit_mm)
    return out


def _femur(surfaces: dict[str, Surface], grid: dict, muscles: Mask) -> Mask:
    """The femur: a tube in the hole inside the vasti, a ball under the head's cartilage, hulls under the condyles'."""
    (_, n, _), origin_mm = grid["shape"], grid["origin_mm"]
    z_mm = origin_mm[0] + SLICE_MM * np.arange(grid["shape"][0])
    head, condyles = (surfaces[f"Cartilage_Femur{part}"].vertices_mm for part in ("Head", "Distal"))
    design = np.c_[2 * head, np.ones(len(head))]
    ball = np.linalg.lstsq(design, (head**2).sum(axis=1), rcond=None)[0]
    radius_mm = float(np.sqrt(ball[3] + (ball[:3] ** 2).sum()))
    top_mm, bottom_mm = head[:, 2].max(), condyles[:, 2].min()
    level = (top_mm - z_mm) / (top_mm - bottom_mm)
    shaft = np.flatnonzero((level > 0.22) & (level < 0.82))
    middle = surfaces["Muscle_VastusIntermedius"].vertices_mm
    centre, radius = np.full((len(z_mm), 2), np.nan), np.full(len(z_mm), np.nan)
    expected = np.array([np.nan, np.nan])
    for k in shaft[np.argsort(np.abs(level[shaft] - 0.45))]:
        depth = ndimage.distance_transform_edt(~muscles[k])
        known = np.flatnonzero(np.isfinite(radius))
        if len(known):
            expected = centre[known[np.abs(known - k).argmin()]]
        else:
            near = middle[np.abs(middle[:, 2] - z_mm[k]) < SLICE_MM]
            # The vastus intermedius wraps the shaft from the front: the hole lies a little behind its middle.
            expected = (near.mean(axis=0)[1::-1] - origin_mm[1:]) / _FINE_MM + (8, 0)
        rows, columns = np.ogrid[:n, :n]
        depth = np.where(
            (rows - expected[0]) ** 2 + (columns - expected[1]) ** 2 < (12 if not len(known) else 4) ** 2, depth, 0
        )
        centre[k], radius[k] = np.unravel_index(depth.argmax(), depth.shape), min(depth.max(), 18.0)
    radius_smooth = ndimage.gaussian_filter1d(radius[shaft], 4)
    line = ndimage.gaussian_filter1d(centre[shaft], 4, axis=0)
    out = np.zeros(muscles.shape, dtype=bool)
    rows, columns = np.ogrid[:n, :n]
    for index, k in enumerate(shaft):
        disk = np.hypot(rows - line[index, 0], columns - line[index, 1])
        out[k] = (disk <= radius_smooth[index] + 1) & ~muscles[k]
    ball_index = (np.array([ball[1], ball[0]]) - origin_mm[1:]) / _FINE_MM
    upper, lower = (line[-1], radius_smooth[-1]), (line[0], radius_smooth[0])
    for k in range(len(z_mm)):
        if level[k] < level[shaft[-1]]:  # neck and trochanters: from the shaft to the ball
            share = (z_mm[k] - z_mm[shaft[-1]]) / max(ball[2] - z_mm[shaft[-1]], 1.0)
            height = np.sqrt(max(radius_mm**2 - (z_mm[k] - ball[2]) ** 2, 0.0))
            out[k] |= (np.hypot(rows - ball_index[0], columns - ball_index[1]) <= height) & ~muscles[k]
            if share <= 1.05:
                for step in np.linspace(0, min(max(share, 0) * 1.2, 1), 12):
                    point = (1 - step) * upper[0] + step * ball_index
                    thick = upper[1] * (1 - step) + 0.8 * radius_mm * step
                    out[k] |= (np.hypot(rows - point[0], columns - point[1]) <= thick) & ~muscles[k]
        elif level[k] > level[shaft[0]]:  # metaphysis and condyles: from the shaft to the hull of the cartilage
            if z_mm[k] < bottom_mm:
                continue
            if z_mm[k] < condyles[:, 2].max() - 4:
                near = condyles[np.abs(condyles[:, 2] - max(z_mm[k], bottom_mm + 3)) < 4]
            else:
                near = condyles[condyles[:, 2] > condyles[:, 2].max() - 20]
            hull = _hull((near[:, 1::-1] - origin_mm[1:]) / _FINE_MM, n)
            share = np.clip((z_mm[shaft[0]] - z_mm[k]) / max(z_mm[shaft[0]] - condyles[:, 2].max() + 12, 1.0), 0, 1)
            tube = lower[1] - np.hypot(rows - lower[0][0], columns - lower[0][1])
            depth = ndimage.distance_transform_edt(hull) - ndimage.distance_transform_edt(~hull)
            out[k] = ((1 - share) * tube + share * depth > 0) & ~muscles[k]
    return out


def _hull(points: FloatArray, n: int) -> Mask:
    from scipy.spatial import Delaunay

    rows, columns = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
    grid = np.stack([rows.ravel(), columns.ravel()], axis=1)
    return np.asarray(Delaunay(points).find_simplex(grid) >= 0).reshape(n, n)


def _deep(solid: Mask) -> Mask:
    """Deep to the fascia: muscles and bones closed over their clefts, slice by slice."""
    out = np.zeros_like(solid)
    for k, plane in enumerate(solid):
        padded = np.pad(plane, 40)
        closed = ndimage.distance_transform_edt(~padded) <= 22
        closed = ndimage.distance_transform_edt(closed) > 22
        smooth = ndimage.gaussian_filter((closed | padded).astype(np.float32), 2) > 0.5
        out[k] = ndimage.binary_fill_holes(smooth | padded)[40:-40, 40:-40]
    return out


# Vessel or nerve -> where it runs: (level from, level to, structures it lies between), after Gray's Anatomy.
_COURSES = {
    "femoral": (
        (-0.1, 0.22, ("sartorius", "pectineus", "iliopsoas")),
        (0.22, 0.42, ("sartorius", "adductor_longus", "vastus_medialis")),
        (0.42, 0.74, ("sartorius", "adductor_magnus", "vastus_medialis")),
        (0.74, 0.86, ("femur", "semimembranosus", "adductor_magnus")),
        (0.86, 1.4, ("femur", "gastrocnemius", "semimembranosus")),
    ),
    "sciatic": (
        (-0.1, 0.28, ("gluteus_maximus", "deep_hip", "biceps_long")),
        (0.28, 0.7, ("biceps_long", "adductor_magnus", "semitendinosus")),
        (0.7, 1.4, ("biceps_long", "semimembranosus", "femur")),
    ),
    "deep_femoral": ((-0.1, 0.6, ("adductor_longus", "vastus_medialis", "adductor_magnus")),),
}


def _courses(distance: NDArray[np.int8], level: NDArray[np.float32]) -> NDArray[np.float32]:
    """(Z, 3, 2) offsets from the slice centre, mm: the deep point nearest to its neighbours, smoothed along z."""
    n = distance.shape[-1]
    points = np.full((len(level), len(_COURSES), 2), np.nan, dtype=np.float64)
    inside_muscle = distance[:, :N_MUSCLES].min(axis=1).astype(np.float64) * UNIT_MM
    for index, legs in enumerate(_COURSES.values()):
        for low, high, names in legs:
            channels = [STRUCTURE_NAMES.index(name) for name in names]
            for k in np.flatnonzero((level >= low) & (level < high)):
                planes = distance[k, channels].astype(np.float64) * UNIT_MM
                cost = np.maximum(planes, 0).sum(axis=0) + 2 * np.maximum(3 - inside_muscle[k], 0)
                cost += 3 * np.maximum(distance[k, -1] * DEEP_UNIT_MM + 4, 0)
                points[k, index] = np.unravel_index(cost.argmin(), cost.shape)
        known = np.isfinite(points[:, index, 0])
        for axis in range(2):
            filled = np.interp(np.arange(len(level)), np.flatnonzero(known), points[known, index, axis])
            points[:, index, axis] = ndimage.gaussian_filter1d(ndimage.median_filter(filled, 9), 4)
    return ((points - (n - 1) / 2) * PIXEL_MM).astype(np.float32)


def build_atlas(surfaces_root: Path, output: Path) -> None:
    """All four legs of the two people, missing muscles filled from the other side, one .npz a leg."""
    output.mkdir(parents=True, exist_ok=True)
    for person in PEOPLE:
        legs = {side: read_leg(surfaces_root, person=person, side=side) for side in ("Left", "Right")}
        for side, other in (("Left", "Right"), ("Right", "Left")):
            leg = build_leg(complete_from(legs[side], legs[other]), name=f"{person}_{side}")
            leg.save(output / f"{leg.name}.npz")
            print(f"{leg.name}: {len(leg.level)} slices, femur {leg.femur_length_mm:.0f} mm", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--surfaces", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("cache/atlas"))
    arguments = parser.parse_args()
    build_atlas(arguments.surfaces, arguments.output)
