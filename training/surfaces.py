"""Surfaces of the Visible Human lower limbs, brought into one frame: a left leg in LPS millimetres.

Source: Andreassen et al., Scientific Data 2022, doi 10.1038/s41597-022-01905-2 (CC BY 4.0). The published files differ
in axes and in the spelling of muscles between the two people; both are dealt with here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PEOPLE = ("VHF", "VHM")

# Published axes -> LPS: VHF x right, y anterior, z superior; VHM x left, y anterior, z inferior.
_TO_LPS = {"VHF": np.array([-1.0, -1.0, 1.0]), "VHM": np.array([1.0, -1.0, -1.0])}

# Spellings in the published file names -> one name.
_SPELLINGS = {
    "BicepsFemorisLongus": "BicepsFemorisLong",
    "BicepsFemorisShortHead": "BicepsFemorisShort",
    "Semitendonosus": "Semitendinosus",
    "QuadratisFemoris": "QuadratusFemoris",
    "Illiacus": "Iliacus",
    "TibialMedial": "TibiaMedial",
    "TibialLateral": "TibiaLateral",
    "ExtensorHallicusLongus": "ExtensorHallucisLongus",
    "FlexorHallicusLongus": "FlexorHallucisLongus",
    "Calcaneous": "Calcaneus",
}


@dataclass(frozen=True)
class Surface:
    """vertices_mm: (V, 3) LPS; faces: (F, 3) vertex indices of a closed surface."""

    vertices_mm: NDArray[np.float64]
    faces: NDArray[np.int32]


def read_ply(path: Path) -> Surface:
    """A binary little-endian triangle PLY, in the units and axes of the file.

    Raises ValueError when the file is of another kind.
    """
    raw = path.read_bytes()
    header, body = raw[: raw.index(b"end_header\n")].decode("ascii"), raw[raw.index(b"end_header\n") + 11 :]
    vertices = re.search(r"element vertex (\d+)\nproperty float x\nproperty float y\nproperty float z\n", header)
    faces = re.search(r"element face (\d+)\nproperty list uchar int vertex_indices\n((?:property \w+ \w+\n?)*)", header)
    if "binary_little_endian" not in header or vertices is None or faces is None:
        raise ValueError(f"{path}: expected a binary little-endian PLY with float vertices and triangles")
    sizes = {"uchar": "u1", "ushort": "<u2", "int": "<i4", "float": "<f4"}
    extra = [(f"extra{n}", sizes[line.split()[1]]) for n, line in enumerate(faces[2].strip().splitlines())]
    n_vertices = int(vertices[1])
    points = np.frombuffer(body, dtype="<f4", count=3 * n_vertices).reshape(-1, 3).astype(np.float64)
    table = np.frombuffer(
        body, dtype=[("n", "u1"), ("index", "<i4", 3), *extra], count=int(faces[1]), offset=12 * n_vertices
    )
    if (table["n"] != 3).any():
        raise ValueError(f"{path}: expected triangles only")
    return Surface(points, table["index"].copy())


def read_leg(root: Path, *, person: str, side: str) -> dict[str, Surface]:
    """All surfaces of one leg, as a left leg in LPS mm: one spelling of each name ("Muscle_Gracilis") -> surface."""
    surfaces = {}
    for path in sorted((root / f"{person}_surfaces" / side).glob("*.ply")):
        kind, name = path.stem.removesuffix("_smooth").split("_")[2:4]
        surface = read_ply(path)
        to_left = np.array([-1.0 if side == "Right" else 1.0, 1.0, 1.0])
        vertices = surface.vertices_mm * _TO_LPS[person] * to_left
        surfaces[f"{kind}_{_SPELLINGS.get(name, name)}"] = Surface(vertices, surface.faces)
    if not surfaces:
        raise FileNotFoundError(f"no surfaces of {person} {side} below {root}")
    return surfaces


def complete_from(leg: dict[str, Surface], other: dict[str, Surface]) -> dict[str, Surface]:
    """Fill structures that `leg` lacks from the person's other leg.

    The other leg is brought over by the affine map that best fits the mean and extreme points of shared structures.
    """
    shared = sorted(leg.keys() & other.keys())
    target = np.concatenate([_landmarks(leg[name]) for name in shared])
    source = np.concatenate([_landmarks(other[name]) for name in shared])
    design = np.c_[source, np.ones(len(source))]
    matrix, *_ = np.linalg.lstsq(design, target, rcond=None)
    filled = {
        name: Surface(np.c_[surface.vertices_mm, np.ones(len(surface.vertices_mm))] @ matrix, surface.faces)
        for name, surface in other.items()
        if name not in leg and name.startswith("Muscle")
    }
    return leg | filled


def _landmarks(surface: Surface) -> NDArray[np.float64]:
    points = surface.vertices_mm
    top, bottom = points[points[:, 2].argmax()], points[points[:, 2].argmin()]
    return np.stack([points.mean(axis=0), top, bottom])


def voxelise(
    surface: Surface, *, origin_mm: NDArray[np.float64], spacing_mm: NDArray[np.float64], shape: tuple[int, int, int]
) -> NDArray[np.bool_]:
    """(K, J, I) mask of voxel centres inside a closed surface; origin and spacing in array order (z, y, x).

    A voxel is inside when a ray along z from below crosses the surface an odd number of times.
    """
    corners = (surface.vertices_mm[:, ::-1] - origin_mm) / spacing_mm  # index coordinates, (k, j, i)
    triangles = corners[surface.faces]
    triangles[:, :, 1:] += (1.3e-5, 2.7e-5)  # so that no ray meets an edge
    crossings = np.zeros((shape[0] + 1, shape[1], shape[2]), dtype=np.uint16)
    low = np.ceil(triangles[:, :, 1:].min(axis=1)).astype(int)
    high = np.floor(triangles[:, :, 1:].max(axis=1)).astype(int)
    edge_a, edge_b = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    area = edge_a[:, 1] * edge_b[:, 2] - edge_a[:, 2] * edge_b[:, 1]
    extent = (high - low).max(axis=0)
    for dj in range(extent[0] + 1):
        for di in range(extent[1] + 1):
            j, i = low[:, 0] + dj, low[:, 1] + di
            use = (j <= high[:, 0]) & (i <= high[:, 1]) & (area != 0)
            use &= (j >= 0) & (j < shape[1]) & (i >= 0) & (i < shape[2])
            pj, pi = j[use] - triangles[use, 0, 1], i[use] - triangles[use, 0, 2]
            u = (pj * edge_b[use, 2] - pi * edge_b[use, 1]) / area[use]
            v = (pi * edge_a[use, 1] - pj * edge_a[use, 2]) / area[use]
            hit = (u >= 0) & (v >= 0) & (u + v <= 1)
            k = triangles[use, 0, 0] + u * edge_a[use, 0] + v * edge_b[use, 0]
            first = np.clip(np.ceil(k[hit]).astype(int), 0, shape[0])
            np.add.at(crossings, (first, j[use][hit], i[use][hit]), 1)
    return np.asarray(np.cumsum(crossings, axis=0, dtype=np.uint16)[: shape[0]] % 2 == 1)
