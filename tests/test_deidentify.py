"""De-identified copies hold no planted identifier, and every pixel and position of the original."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless
from thigh_array import thigh_hu

from thighseg_core.candidate import SeriesCandidate
from thighseg_core.deidentify import KEPT, deidentify_series, profile_tags
from thighseg_core.errors import InputError
from thighseg_core.reading import find_series, load_series
from training.dicom_factory import axial_affine, oblique_affine, write_ct_series, write_enhanced_ct

SECRET = bytes(range(32))
MARK = "ZZ"  # every planted identifier holds it


def _item(**elements: object) -> Dataset:
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return item


def _plant(ds: Dataset, k: int) -> None:
    """Identifiers in names, numbers, free text, sequences, private blocks, overlays and the file header."""
    texts = (
        "OtherPatientNames", "PatientMotherBirthName", "PatientBirthName", "OperatorsName", "PerformingPhysicianName",
        "RequestingPhysician", "PhysiciansOfRecord", "NameOfPhysiciansReadingStudy",
    )  # fmt: skip
    for keyword in texts:
        setattr(ds, keyword, f"Zzname^{keyword[:10]}")
    others = (
        "PatientAddress", "PatientTelephoneNumbers", "InstitutionName", "InstitutionAddress", "StudyDescription",
        "SeriesDescription", "ImageComments", "StationName", "DeviceSerialNumber", "AdditionalPatientHistory",
        "ProtocolName", "EthnicGroup", "Occupation", "DerivationDescription", "AdmissionID", "MedicalAlerts",
        "Allergies", "PatientComments", "RequestedProcedureDescription", "AdmittingDiagnosesDescription",
        "InstitutionalDepartmentName", "MedicalRecordLocator", "PatientReligiousPreference", "CountryOfResidence",
        "ContrastBolusAgent", "AcquisitionComments", "ImagePresentationComments", "IssuerOfPatientID",
    )  # fmt: skip
    for keyword in others:
        setattr(ds, keyword, f"{MARK} {keyword[:20]}")
    ds.PatientName, ds.PatientID, ds.AccessionNumber, ds.StudyID = "Zzsecret^Anna", "ZZ4711", "ZZACC", "ZZ1"
    ds.OtherPatientIDsSequence = [_item(PatientID="ZZNEST", IssuerOfPatientID="ZZISS")]
    ds.RequestAttributesSequence = [
        _item(RequestedProcedureID="ZZRP", ScheduledProcedureStepDescription="for ZZSECRET")
    ]
    ds.ReferencedStudySequence = [_item(ReferencedSOPInstanceUID="1.2.3", StudyDescription="ZZDEEP")]
    # Texts that stay when clean
    ds.ScanOptions, ds.BodyPartExamined = "ZZSECRET LEG", "THIGH ANNA"
    ds.add_new(0x00181030, "LO", "ZZPROTOCOL")
    ds.add_new(0x00180060, "LO", "ZZ not a number")  # KVP that lies about what it is
    private = ds.private_block(0x0029, "ZZVENDOR", create=True)
    private.add_new(0x10, "LO", "private ZZSECRET")
    private.add_new(0x11, "SQ", [_item(PatientName="Zzsecret^Private")])
    ds.add_new(0x60000022, "LO", "ZZ overlay")
    ds.add_new(0xFFFCFFFC, "OB", b"ZZ padding")
    ds.file_meta.SourceApplicationEntityTitle = "ZZSTATION"


def _planted(path: Path) -> list[str]:
    """Where the mark, or a name, or the birth date stands; in the raw bytes too."""
    found = []
    ds = pydicom.dcmread(path)
    for element in [*ds.file_meta, *ds.iterall()]:
        if element.VR not in ("SQ", "OW", "OB"):
            text = str(element.value).upper()
            if any(word in text for word in (MARK, "ANNA", "19500102")):
                found.append(element.keyword or str(element.tag))
    raw = path.read_bytes()
    header = (
        raw[: raw.index(b"\xe0\x7f\x10\x00")].upper()
        + raw[raw.index(b"\xe0\x7f\x10\x00") + len(ds.PixelData) :].upper()
    )
    found += [
        word.decode()
        for word in (b"ZZSECRET", b"ZZNAME", b"ZZ4711", b"ZZVENDOR", b"ANNA", b"19500102")
        if word in header
    ]
    return found


def _candidate(folder: Path) -> SeriesCandidate:
    (candidate,) = find_series(folder, work_dir=folder / "work").usable_series()
    return candidate


def test_none_of_forty_planted_identifiers_is_left(tmp_path: Path) -> None:
    paths = write_ct_series(tmp_path / "in", thigh_hu(), axial_affine(), change=_plant)
    assert len(_planted(paths[0])) >= 40
    for copy in deidentify_series(_candidate(tmp_path / "in"), tmp_path / "out", secret=SECRET, subject_code="S001"):
        assert _planted(copy) == []
        assert not copy.name.startswith("IM")
        assert not [element for element in pydicom.dcmread(copy).iterall() if element.tag.is_private]


def test_none_is_left_in_an_enhanced_file(tmp_path: Path) -> None:
    def plant(ds: Dataset) -> None:
        _plant(ds, 0)
        del ds[0x00180060]
        for frame in ds.PerFrameFunctionalGroupsSequence:
            frame.FrameContentSequence = [_item(FrameComments="ZZ frame", FrameAcquisitionDateTime="19500102")]
            frame.PlanePositionSequence[0].add_new(0x00104000, "LT", "ZZ deep in a kept sequence")

    path = write_enhanced_ct(tmp_path / "in" / "e.dcm", thigh_hu(), oblique_affine(), change=plant)
    before = load_series(_candidate(path))
    (copy,) = deidentify_series(_candidate(path), tmp_path / "out", secret=SECRET, subject_code="S001")
    assert _planted(copy) == []
    assert load_series(_candidate(copy)).info.digest_sha256 == before.info.digest_sha256


@pytest.mark.parametrize("syntax", [None, JPEGLSLossless, JPEG2000Lossless, RLELossless])
def test_pixels_geometry_and_digest_stay_as_they_were(tmp_path: Path, syntax: str | None) -> None:
    options = {"transfer_syntax": syntax} if syntax else {}
    padding = np.zeros((8, 40, 64), dtype=bool)
    padding[:, :3, :3] = True
    paths = write_ct_series(
        tmp_path / "in", thigh_hu(), oblique_affine(), padding=padding, duplicate=(2,), shuffle_seed=1, **options
    )
    before = load_series(_candidate(tmp_path / "in"))
    copies = deidentify_series(_candidate(tmp_path / "in"), tmp_path / "out", secret=SECRET, subject_code="S001")
    after = load_series(_candidate(tmp_path / "out"))
    assert len(copies) == len(paths) == 9
    assert after.info.digest_sha256 == before.info.digest_sha256
    assert np.array_equal(after.attenuation_hu, before.attenuation_hu)
    assert np.array_equal(after.geometry.affine, before.geometry.affine)
    originals = {pydicom.dcmread(path).PixelData for path in paths}
    assert {pydicom.dcmread(path).PixelData for path in copies} == originals


def test_characteristics_stay_and_identity_is_the_subject_code(tmp_path: Path) -> None:
    write_ct_series(
        tmp_path / "in", thigh_hu(), axial_affine(), patient_sex="F", patient_age="076Y", patient_size_m="1.72"
    )
    (copy, *_) = deidentify_series(_candidate(tmp_path / "in"), tmp_path / "out", secret=SECRET, subject_code="S-001")
    ds = pydicom.dcmread(copy)
    assert (str(ds.PatientName), ds.PatientID) == ("S-001", "S-001")
    assert (ds.PatientSex, ds.PatientAge, float(ds.PatientSize), float(ds.PatientWeight)) == ("F", "076Y", 1.72, 70)
    assert (ds.PatientBirthDate, ds.ReferringPhysicianName, ds.AccessionNumber) == ("", "", "")
    assert (ds.Manufacturer, ds.ConvolutionKernel, float(ds.KVP)) == ("SYNTHETIC", "STANDARD", 120)
    assert ds.PatientIdentityRemoved == "YES"
    assert [item.CodeValue for item in ds.DeidentificationMethodCodeSequence] == ["113100", "113108", "113107"]


def test_a_name_among_several_or_deep_in_a_sequence_is_looked_for_in_kept_texts(tmp_path: Path) -> None:
    def change(ds: Dataset, _: int) -> None:
        ds.OperatorsName = ["Smith^Ann", "Quartermaine^Bo"]
        ds.RequestAttributesSequence = [_item(ScheduledPerformingPhysicianName="Featherstone^C")]
        ds.SoftwareVersions, ds.FilterType, ds.ScanOptions = "v2 Quartermaine", "FEATHERSTONE", "HELICAL"

    write_ct_series(tmp_path / "in", thigh_hu(3), axial_affine(), change=change)
    (copy, *_) = deidentify_series(_candidate(tmp_path / "in"), tmp_path / "out", secret=SECRET, subject_code="S1")
    ds = pydicom.dcmread(copy)
    assert "SoftwareVersions" not in ds
    assert "FilterType" not in ds
    assert ds.ScanOptions == "HELICAL"


@pytest.mark.parametrize(("age", "kept"), [("089Y", "089Y"), ("090Y", "090Y"), ("097Y", "090Y"), ("102Y", "090Y")])
def test_ages_from_ninety_on_become_ninety(tmp_path: Path, age: str, kept: str) -> None:
    write_ct_series(tmp_path / "in", thigh_hu(3), axial_affine(), patient_age=age)
    (copy, *_) = deidentify_series(_candidate(tmp_path / "in"), tmp_path / "out", secret=SECRET, subject_code="S1")
    assert pydicom.dcmread(copy).PatientAge == kept


def test_a_missing_age_is_computed_before_the_birth_date_goes(tmp_path: Path) -> None:
    write_ct_series(
        tmp_path / "in",
        thigh_hu(3),
        axial_affine(),
        patient_age="",
        patient_birth_date="19500615",
        acquisition_date="20200614",
    )
    (copy, *_) = deidentify_series(_candidate(tmp_path / "in"), tmp_path / "out", secret=SECRET, subject_code="S1")
    assert pydicom.dcmread(copy).PatientAge == "069Y"


def test_uids_are_new_consistent_and_stable_for_one_secret(tmp_path: Path) -> None:
    paths = write_ct_series(tmp_path / "in", thigh_hu(), axial_affine())
    original = pydicom.dcmread(paths[0])
    seen = {}
    for run, secret in (("a", SECRET), ("b", SECRET), ("c", b"another secret of the house")):
        copies = deidentify_series(_candidate(tmp_path / "in"), tmp_path / run, secret=secret, subject_code="S1")
        datasets = [pydicom.dcmread(path) for path in copies]
        seen[run] = [
            (ds.SOPInstanceUID, ds.SeriesInstanceUID, ds.StudyInstanceUID, ds.FrameOfReferenceUID) for ds in datasets
        ]
        assert len({uids[0] for uids in seen[run]}) == 8
        assert len({uids[1:] for uids in seen[run]}) == 1
        assert all(ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID for ds in datasets)
    assert seen["a"] == seen["b"]
    assert not set(seen["a"]) & set(seen["c"])
    assert original.SeriesInstanceUID not in {uid for uids in seen["a"] for uid in uids}
    assert all(uid.is_valid for uid in map(pydicom.uid.UID, seen["a"][0]))


def test_dates_move_together_for_one_subject_and_differently_for_another(tmp_path: Path) -> None:
    shifted = {}
    for subject in ("S1", "S2"):
        for day in ("20240101", "20240301"):  # 60 days apart: 2024 is a leap year
            folder = tmp_path / subject / day
            write_ct_series(folder / "in", thigh_hu(3), axial_affine(), acquisition_date=day)
            deidentify_series(_candidate(folder / "in"), folder / "out", secret=SECRET, subject_code=subject)
            shifted[subject, day] = load_series(_candidate(folder / "out")).info.acquisition_date or ""
    for subject in ("S1", "S2"):
        first, second = (np.datetime64(shifted[subject, day]) for day in ("20240101", "20240301"))
        assert (second - first).astype(int) == 60
        assert 1 <= (np.datetime64("2024-01-01") - first).astype(int) <= 3650
    assert shifted["S1", "20240101"] != shifted["S2", "20240101"]


def test_nothing_that_stays_is_sent_away_by_the_profile() -> None:
    tags = {pydicom.datadict.tag_for_keyword(keyword) for keyword in KEPT}
    assert None not in tags
    assert len(profile_tags()) > 600
    assert not {(tag >> 16, tag & 0xFFFF) for tag in tags if tag is not None} & profile_tags()


def test_short_secrets_and_unfit_codes_are_refused(tmp_path: Path) -> None:
    write_ct_series(tmp_path / "in", thigh_hu(3), axial_affine())
    candidate = _candidate(tmp_path / "in")
    with pytest.raises(InputError, match="at least 16"):
        deidentify_series(candidate, tmp_path / "out", secret=b"short", subject_code="S1")
    for code in ("", "a\\b", "a^b", "x" * 65):
        with pytest.raises(InputError, match="choose another code"):
            deidentify_series(candidate, tmp_path / "out", secret=SECRET, subject_code=code)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_nifti_copy_keeps_voxels_and_grid_and_no_text(tmp_path: Path, suffix: str) -> None:
    affine = np.diag([-0.7805, -0.9765, 2.5, 1.0])
    affine[:3, 3] = 123.4565, -77.1235, -612.0005
    image = nibabel.Nifti1Image((thigh_hu().transpose(2, 1, 0) / 2).astype(np.int16), None)
    image.header.set_slope_inter(2, 0)
    image.set_qform(affine, code=1)  # the quaternion alone: rounding on the way would change the grid
    image.header["descrip"], image.header["db_name"] = b"ZZSECRET Anna", b"ZZ4711"
    image.header["aux_file"], image.header["intent_name"] = b"ZZSECRET.dcm", b"ZZSECRET"
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"ZZSECRET in an extension"))
    path = tmp_path / f"Zzsecret_Anna{suffix}"
    nibabel.save(image, path)
    before = load_series(_candidate(path))
    (copy,) = deidentify_series(_candidate(path), tmp_path / "out", secret=SECRET, subject_code="S1")
    after = load_series(_candidate(copy))
    assert copy.name == "image.nii.gz"
    assert b"ZZ" not in gzip.decompress(copy.read_bytes()).upper()[:352]
    assert b"SECRET" not in gzip.decompress(copy.read_bytes()).upper()
    assert b"nii" not in copy.read_bytes()[:40]  # gzip keeps the name of the file it was made from
    assert np.array_equal(after.attenuation_hu, before.attenuation_hu)
    assert after.info.digest_sha256 == before.info.digest_sha256
