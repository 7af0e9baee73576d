"""The way in: what is found in folders and zips, what is left out, and real scans."""

from __future__ import annotations

import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
from bad_inputs import SCOUT, SECONDARY_CAPTURE, SR
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from thigh_array import thigh_hu

from thighseg_core.errors import NothingUsableError
from thighseg_core.geometry import Geometry
from thighseg_core.nifti import RAS_LPS
from thighseg_core.reading import find_series, load_series
from training.dicom_factory import axial_affine, write_ct_series, write_enhanced_ct

SARCOMA = Path(__file__).parents[1].parent / "shared" / "data" / "ct_sarcoma"


def _zip(folder: Path, archive: Path, *, prefix: str = "PACS export/") -> Path:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for path in sorted(folder.rglob("*"), reverse=True):
            if path.is_file():
                out.write(path, prefix + str(path.relative_to(folder)))
    return archive


def test_a_study_folder_gives_its_ct_series_and_leaves_out_the_rest_with_reasons(tmp_path: Path) -> None:
    study = tmp_path / "study"
    write_ct_series(study / "a" / "deep", thigh_hu(), axial_affine(), series_number=2)
    write_ct_series(study / "b", thigh_hu(), axial_affine(), series_number=3, series_description="LUNG")
    write_enhanced_ct(study / "e.dcm", thigh_hu(), axial_affine())
    write_ct_series(study, thigh_hu(1), axial_affine(), image_type=SCOUT, series_description="SCOUT", file_prefix="s")
    write_ct_series(study, thigh_hu(1), axial_affine(), sop_class=SR, modality="SR", file_prefix="r")
    write_ct_series(study, thigh_hu(1), axial_affine(), sop_class=SECONDARY_CAPTURE, file_prefix="c")
    for name in ("DICOMDIR", ".DS_Store", "Thumbs.db", "._IM1"):
        (study / name).write_bytes(b"companion")
    (study / "readme.txt").write_text("see inside")
    (study / "viewer.exe").write_bytes(b"MZ")
    found = find_series(study, work_dir=tmp_path / "work")
    assert sorted(one.description for one in found.series) == ["LUNG", "THIGH 5mm STD", "no description"]
    assert {one.n_slices for one in found.series} == {8}
    assert {one.spacing_text for one in found.series} == {"0.80 x 0.90 x 5.00 mm"}
    assert len({one.key for one in found.series}) == 3
    reasons = "\n".join(str(one) for one in found.rejected)
    for word in ("scout", "structured report", "secondary capture", "readme.txt, viewer.exe: neither"):
        assert word in reasons
    assert "DICOMDIR" not in reasons
    assert all(one.harmless for one in found.rejected)
    assert len(found.rejected) == 4


def test_the_same_scan_has_one_digest_in_a_folder_a_zip_renamed_and_reordered(tmp_path: Path) -> None:
    uid = generate_uid()
    write_ct_series(tmp_path / "a", thigh_hu(), axial_affine(), series_uid=uid)
    write_ct_series(
        tmp_path / "b", thigh_hu(), axial_affine(), series_uid=uid, shuffle_seed=4, file_prefix="x", file_suffix=""
    )
    _zip(tmp_path / "b", tmp_path / "b.zip")
    digests, keys = set(), set()
    for source in (tmp_path / "a", tmp_path / "b", tmp_path / "b.zip"):
        (candidate,) = find_series(source, work_dir=tmp_path / "work").usable_series()
        digests.add(load_series(candidate).info.digest_sha256)
        keys.add(candidate.key)
    assert len(digests) == 1
    assert len(keys) == 1


def test_candidates_list_their_files_in_slice_order(tmp_path: Path) -> None:
    paths = write_ct_series(tmp_path / "a", thigh_hu(), axial_affine(), shuffle_seed=9)
    (candidate,) = find_series(tmp_path / "a", work_dir=tmp_path).series
    assert list(candidate.files) == paths
    assert [path.name for path in paths] != sorted(path.name for path in paths)


def test_identical_duplicates_are_dropped_with_a_note(tmp_path: Path) -> None:
    write_ct_series(tmp_path / "a", thigh_hu(), axial_affine(), duplicate=(1, 5))
    (candidate,) = find_series(tmp_path / "a", work_dir=tmp_path).series
    volume = load_series(candidate)
    assert np.array_equal(volume.attenuation_hu, thigh_hu())
    assert volume.info.notes == ("2 duplicate slices were dropped.",)
    assert volume.info.n_files == 10


def test_two_phases_under_one_series_uid_are_told_apart_by_their_acquisition(tmp_path: Path) -> None:
    uid = generate_uid()

    def second(ds: Dataset, _: int) -> None:
        ds.AcquisitionNumber = 2

    write_ct_series(tmp_path / "a", thigh_hu(), axial_affine(), series_uid=uid)
    write_ct_series(
        tmp_path / "a", thigh_hu() + np.int16(30), axial_affine(), series_uid=uid, file_prefix="z", change=second
    )
    found = find_series(tmp_path / "a", work_dir=tmp_path)
    assert len({one.key for one in found.series}) == 2
    assert "mixes 2 kinds" in found.series[0].warnings[0]
    levels = sorted(int(load_series(one).attenuation_hu.max()) for one in found.series)
    assert levels == [62, 92]


def test_two_orientations_under_one_series_uid_are_two_series(tmp_path: Path) -> None:
    uid = generate_uid()
    write_ct_series(tmp_path / "a", thigh_hu(), axial_affine(), series_uid=uid)
    write_ct_series(tmp_path / "a", thigh_hu(5), axial_affine()[:, [2, 1, 0, 3]], series_uid=uid, file_prefix="cor")
    found = find_series(tmp_path / "a", work_dir=tmp_path)
    assert [one.n_slices for one in found.series] == [8, 5]
    assert found.rejected == ()


def test_a_bad_series_does_not_spoil_a_good_one(tmp_path: Path) -> None:
    write_ct_series(tmp_path / "a", thigh_hu(), axial_affine())
    write_ct_series(tmp_path / "a", thigh_hu(), axial_affine(), drop=(3,), series_number=7, file_prefix="bad")
    found = find_series(tmp_path / "a", work_dir=tmp_path)
    assert len(found.series) == 1
    assert "series 7 " in found.rejected[0].name
    assert not found.rejected[0].harmless


def test_nothing_usable_is_an_error_with_all_reasons(tmp_path: Path) -> None:
    write_ct_series(tmp_path / "a", thigh_hu(), axial_affine(), drop=(3,))
    (tmp_path / "a" / "notes.txt").write_text("x")
    with pytest.raises(NothingUsableError, match=r"expected at least one CT series.*missing.*notes\.txt"):
        find_series(tmp_path / "a", work_dir=tmp_path).usable_series()


def test_keys_are_safe_folder_names_whatever_the_file_is_called(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(thigh_hu().transpose(2, 1, 0), np.eye(4))
    for name in ("Größe 50%;rm -rf.nii.gz", "..nii", "-x.NII"):
        nibabel.save(image, tmp_path / "a.nii.gz" if name.endswith("gz") else tmp_path / "a.nii")
        (tmp_path / ("a.nii.gz" if name.endswith("gz") else "a.nii")).rename(tmp_path / name)
        (candidate,) = find_series(tmp_path / name, work_dir=tmp_path).series
        assert candidate.key.isascii()
        assert set(candidate.key) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
        assert not candidate.key.startswith("-")


def test_one_scan_twice_in_a_folder_gives_two_keys(tmp_path: Path) -> None:
    write_ct_series(tmp_path / "s" / "a", thigh_hu(), axial_affine())
    _zip(tmp_path / "s" / "a", tmp_path / "s" / "same.zip")
    found = find_series(tmp_path / "s", work_dir=tmp_path / "work")
    assert len({one.key for one in found.series}) == len(found.series) == 2


@pytest.mark.real_data
@pytest.mark.skipif(not SARCOMA.is_dir(), reason="../shared/data/ct_sarcoma is not here")
def test_all_real_series_are_read_on_the_grid_of_their_masks(tmp_path: Path) -> None:
    positions = set()
    folders = sorted(path for path in SARCOMA.iterdir() if path.is_dir())
    for folder in folders:
        (candidate,) = find_series(folder / "CT", work_dir=tmp_path).usable_series()
        volume = load_series(candidate)
        mask = nibabel.load(folder / "tumour_mask.nii.gz")
        i, j, k = mask.shape
        theirs = Geometry((k, j, i), (RAS_LPS @ mask.affine)[:, [2, 1, 0, 3]])
        assert volume.geometry.matches(theirs, tolerance_mm=0.01), folder.name
        assert volume.attenuation_hu.dtype == np.int16
        inside = volume.attenuation_hu[np.asarray(mask.dataobj).transpose(2, 1, 0) > 0]
        assert -150 < float(np.median(inside)) < 120, folder.name  # fat to solid tumour, never air
        positions.add(volume.info.patient_position)
    assert len(folders) == 22
    assert positions == {"HFS", "FFS"}
