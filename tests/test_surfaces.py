"""Published surfaces: read, brought into one frame, turned into voxels."""

from pathlib import Path

import numpy as np
import pytest

from training.surfaces import PEOPLE, Surface, complete_from, read_leg, read_ply, voxelise

SURFACES = Path(__file__).parents[1].parent / "shared" / "data" / "visible_human_surfaces"
needs_surfaces = pytest.mark.skipif(not SURFACES.is_dir(), reason="../shared/data/visible_human_surfaces is absent")


def box(low: tuple[float, float, float], high: tuple[float, float, float]) -> Surface:
    """A closed box from 12 triangles, corners in (x, y, z)."""
    corners = np.array([[(low, high)[b >> a & 1][a] for a in range(3)] for b in range(8)], dtype=np.float64)
    quads = [(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5)]
    faces = [triangle for a, b, c, d in quads for triangle in ((a, b, c), (a, c, d))]
    return Surface(corners, np.array(faces, dtype=np.int32))


def test_a_box_becomes_the_voxels_whose_centres_it_holds() -> None:
    # 3 x 4 x 5 mm in x, y, z on a grid of 1 x 0.5 x 2 mm in (z, y, x), voxel centres at multiples from the origin.
    mask = voxelise(
        box((0.9, 1.9, 2.4), (7.1, 4.1, 7.6)),
        origin_mm=np.zeros(3),
        spacing_mm=np.array([1.0, 0.5, 2.0]),
        shape=(10, 12, 6),
    )
    k, j, i = np.nonzero(mask)
    assert sorted(set(k)) == [3, 4, 5, 6, 7]  # z 3 to 7 mm
    assert sorted(set(j)) == [4, 5, 6, 7, 8]  # y 2.0 to 4.0 mm
    assert sorted(set(i)) == [1, 2, 3]  # x 2, 4, 6 mm
    assert mask.sum() == 5 * 5 * 3


def test_a_missing_muscle_is_brought_over_from_the_other_leg() -> None:
    def leg(shift: float) -> dict[str, Surface]:
        spots = {"Muscle_A": (0, 0, 0), "Muscle_B": (30, 5, 10), "Muscle_C": (5, 40, 60), "Muscle_D": (20, 20, 90)}
        return {name: box((x + shift, y, z), (x + shift + 3, y + 4, z + 5)) for name, (x, y, z) in spots.items()}

    incomplete = leg(100.0)
    truth = incomplete.pop("Muscle_B")
    filled = complete_from(incomplete, leg(0.0))
    assert np.allclose(filled["Muscle_B"].vertices_mm, truth.vertices_mm, atol=1e-6)


def test_a_file_of_another_kind_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "wrong.ply"
    path.write_bytes(b"ply\nformat ascii 1.0\nend_header\n")
    with pytest.raises(ValueError, match=r"wrong\.ply: expected a binary"):
        read_ply(path)


@needs_surfaces
@pytest.mark.real_data
@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("side", ["Left", "Right"])
def test_every_published_leg_arrives_as_a_left_leg_in_lps(person: str, side: str) -> None:
    leg = read_leg(SURFACES, person=person, side=side)
    centre = {name: surface.vertices_mm.mean(axis=0) for name, surface in leg.items()}
    lateral = centre["Muscle_VastusLateralis"] - centre["Muscle_Gracilis"]
    assert lateral[0] > 40  # the vastus lateralis lies to the left of the gracilis on a left leg
    anterior = centre["Muscle_VastusIntermedius"] - centre["Muscle_Semitendinosus"]
    assert anterior[1] < -25  # the front has the lower y
    upward = centre["Cartilage_FemurHead"] - centre["Cartilage_FemurDistal"]
    assert 350 < upward[2] < 480  # millimetres
