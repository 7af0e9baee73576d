"""Readings: polygons of the project's own readers, as values of drawings."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from training.allowed import bits_of
from training.prepare import READ, read_scan
from training.reading_agreement import BLIND, agreement
from training.readings import FOLDER, VALUES, load_reading, painted

DATA = Path(__file__).parents[2] / "shared" / "data"
NO_TUMOUR = np.zeros((20, 30), dtype=bool)


def _square(name, x0, x1, y0, y1):
    return {"name": name, "points": [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]}


def test_lean_pixels_at_least_half_inside_are_painted_and_later_polygons_overwrite():
    hu = np.full((20, 30), 50.0)
    hu[5, 5] = -100
    polygons = [_square("extensor", 3.5, 12.5, 2.5, 9.5), _square("none", 9.5, 12.5, 2.5, 9.5)]
    drawn = painted(hu, polygons, tumour=NO_TUMOUR)
    expected = np.zeros((20, 30), dtype=np.uint8)
    expected[3:10, 4:10] = 1
    expected[5, 5] = 0
    assert (drawn == expected).all()


def test_unsure_places_and_the_tumour_with_its_surroundings_are_not_annotated():
    hu = np.full((20, 30), 50.0)
    hu[4, 4] = -100  # unsure holds for fat, too
    tumour = NO_TUMOUR.copy()
    tumour[10, 20] = True
    drawn = painted(hu, [_square("flexor", 0, 29, 0, 19), _square("unsure", 2.5, 6.5, 2.5, 6.5)], tumour=tumour)
    assert (drawn[3:7, 3:7] == 255).all()
    assert (drawn[5:16, 20] == 255).all()
    assert drawn[10, 14] == drawn[16, 20] == VALUES["flexor"]


def test_an_unknown_name_is_refused(tmp_path):
    path = tmp_path / "STS_001.json"
    path.write_text(json.dumps({"4": [_square("biceps", 0, 5, 0, 5)]}), encoding="utf-8")
    with pytest.raises(ValueError, match=r"slice 4: 'biceps' is none of extensor, flexor"):
        load_reading(path)


def test_every_reading_of_the_project_can_be_painted():
    paths = sorted(FOLDER.glob("STS_*.json"))
    assert paths
    for path in paths:
        for k, polygons in load_reading(path).items():
            drawn = painted(np.full((310, 250), 50.0), polygons, tumour=np.zeros((310, 250), dtype=bool))
            assert (drawn > 0).any(), (path.name, k)


@pytest.mark.skipif(not DATA.is_dir(), reason="the real series (../shared/data) are not here")
@pytest.mark.parametrize("which", sorted(READ))
def test_a_reading_lies_on_the_series_it_was_made_on(which):
    scan = read_scan("STS_024", DATA, which)
    assert scan.kind == "read"
    tumour = sitk.GetArrayFromImage(sitk.ReadImage(DATA / "ct_sarcoma" / "STS_024" / "tumour_mask.nii.gz")).any((1, 2))
    wanted = {"readings": lambda k: not tumour[k], "readings-at-tumour": lambda k: tumour[k]}
    read = load_reading(FOLDER / "STS_024.json")
    assert scan.slice_index.tolist() == sorted(filter(wanted.get(which, {17, 44}.__contains__), read))
    for hu, allowed in zip(scan.attenuation_hu, scan.allowed, strict=True):
        for name in ("extensor", "flexor", "adductor"):
            inside = hu[allowed == bits_of(name)]
            assert 30 < np.median(inside) < 80  # muscle, not fat or bone beside it
        assert (allowed == bits_of("sartorius")).any() == (which != "readings-at-tumour")


def test_slices_drawn_unknowing_teach_nothing():
    blind = {path.name: set(load_reading(path)) for path in BLIND.glob("STS_*.json")}
    assert sum(map(len, blind.values())) == 16
    assert all(slices.isdisjoint(load_reading(FOLDER / name)) for name, slices in blind.items())


@pytest.mark.skipif(not DATA.is_dir(), reason="the real series (../shared/data) are not here")
def test_agreement_leaves_out_what_the_reader_called_unsure():
    rows = {(row["slice_index"], row["group"]): row for row in agreement("STS_006", DATA)}
    assert set(rows) == {(3, "extensor"), (3, "adductor"), (3, "sartorius")}  # no flexor of 30 pixels is drawn there
    assert rows[3, "extensor"]["dice"] > 0.97
    assert rows[3, "adductor"]["dice"] == 0  # the reader took the remnant for a vessel
    assert 0.3 < rows[3, "adductor"]["unsure"] < 0.4
