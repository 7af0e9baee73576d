"""Inputs that must be refused, with the words that the refusal must hold. Shared by reader, CLI and page tests."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bad_niftis import (
    coloured,
    huge_claim,
    ijk,
    in_metres,
    nifti,
    no_orientation,
    normalised,
    sheared,
    window,
    with_nan,
)
from pydicom.dataset import Dataset
from pydicom.uid import JPEGLosslessSV1, generate_uid
from thigh_array import thigh_hu

from thighseg_core.errors import ThighSegError
from thighseg_core.reading import find_series, load_series
from training.dicom_factory import axial_affine, tilted_affine, write_ct_series, write_enhanced_ct


@dataclass(frozen=True)
class BadInput:
    """make(folder) writes the input below `folder` and returns what to hand in; every word must be in the answer."""

    name: str
    make: Callable[[Path], Path]
    words: tuple[str, ...]


def answers(source: Path, work_dir: Path) -> list[str]:
    """All that the reader says against `source`: the error it raises, its rejections, the errors on loading.

    Anything but a ThighSegError goes through, and a series that loads is an AssertionError.
    """
    try:
        found = find_series(source, work_dir=work_dir)
    except ThighSegError as error:
        return [str(error)]
    said = [str(rejection) for rejection in found.rejected]
    for candidate in found.series:
        try:
            load_series(candidate)
        except ThighSegError as error:
            said.append(str(error))
        else:
            raise AssertionError(f"{candidate.key} was read, expected a refusal")
    return said


def _series(**options: object) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        write_ct_series(folder / "scan", thigh_hu(), axial_affine(), **options)  # type: ignore[arg-type]
        return folder / "scan"

    return make


def _changed(**elements: object) -> Callable[[Path], Path]:
    """Every slice with these elements set, or deleted where the value is None."""

    def change(ds: Dataset, _: int) -> None:
        for keyword, value in elements.items():
            if value is None:
                del ds[keyword]
            else:
                setattr(ds, keyword, value)

    return _series(change=change)


def _files(**content: bytes) -> Callable[[Path], Path]:
    """A folder with these files; a double underscore in the name is a dot."""

    def make(folder: Path) -> Path:
        (folder / "scan").mkdir()
        for name, data in content.items():
            (folder / "scan" / name.replace("__", ".")).write_bytes(data)
        return folder / "scan"

    return make


def _one_file(name: str, data: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return make


def _truncated_header(folder: Path) -> Path:
    paths = write_ct_series(folder / "all", thigh_hu(), axial_affine())
    (folder / "cut.dcm").write_bytes(paths[0].read_bytes()[:300])
    return folder / "cut.dcm"


def _truncated_pixels(folder: Path) -> Path:
    paths = write_ct_series(folder / "scan", thigh_hu(), axial_affine())
    paths[3].write_bytes(paths[3].read_bytes()[:-2000])
    return folder / "scan"


def _deadly_jpeg(folder: Path) -> Path:
    """A lossless JPEG that claims 255 bits a sample: GDCM 3.2 dies of it with a segmentation fault."""
    paths = write_ct_series(folder / "scan", thigh_hu(), axial_affine(), transfer_syntax=JPEGLosslessSV1)
    data = paths[3].read_bytes()
    assert data.count(b"\xff\xc3\x00\x0b\x10") == 1
    paths[3].write_bytes(data.replace(b"\xff\xc3\x00\x0b\x10", b"\xff\xc3\x00\x0b\xff"))
    return folder / "scan"


def _cut(make: Callable[[Path], Path], *, keep: float) -> Callable[[Path], Path]:
    def cut(folder: Path) -> Path:
        path = make(folder)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * keep)])
        return path

    return cut


def _one_slice(folder: Path) -> Path:
    return write_ct_series(folder / "scan", thigh_hu()[:1], axial_affine())[0]


def _mixed_sizes(folder: Path) -> Path:
    uid = generate_uid()
    write_ct_series(folder / "scan", thigh_hu(), axial_affine(), series_uid=uid, drop=(4,))
    other = axial_affine(origin_mm=(-120.0, -110.0, -680.0))
    write_ct_series(folder / "scan", thigh_hu(1)[:, :32, :32], other, series_uid=uid, file_prefix="odd")
    return folder / "scan"


def _mixed_orientations(folder: Path) -> Path:
    uid = generate_uid()
    write_ct_series(folder / "scan", thigh_hu(2), axial_affine(), series_uid=uid)
    sagittal = axial_affine()[:, [2, 1, 0, 3]]
    write_ct_series(folder / "scan", thigh_hu(2), sagittal, series_uid=uid, file_prefix="sag")
    return folder / "scan"


def _two_images_at_one_place(folder: Path) -> Path:
    uid = generate_uid()
    write_ct_series(folder / "scan", thigh_hu(), axial_affine(), series_uid=uid)
    write_ct_series(folder / "scan", thigh_hu() + np.int16(40), axial_affine(), series_uid=uid, file_prefix="late")
    return folder / "scan"


def _shifted_sideways(folder: Path) -> Path:
    def change(ds: Dataset, k: int) -> None:
        if k == 4:
            ds.ImagePositionPatient = [ds.ImagePositionPatient[0] + 20, *ds.ImagePositionPatient[1:]]

    write_ct_series(folder / "scan", thigh_hu(), axial_affine(), change=change)
    return folder / "scan"


def _tilted(folder: Path) -> Path:
    write_ct_series(folder / "scan", thigh_hu(), tilted_affine(tilt_degrees=15), gantry_tilt_degrees=15)
    return folder / "scan"


def _enhanced_without_rescale(folder: Path) -> Path:
    def change(ds: Dataset) -> None:
        del ds.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence

    return write_enhanced_ct(folder / "enhanced.dcm", thigh_hu(), axial_affine(), change=change)


def _zip(
    *entries: tuple[str, bytes], mode: int = 0o100644, compress: int = zipfile.ZIP_DEFLATED
) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        with zipfile.ZipFile(folder / "scan.zip", "w", compress) as archive:
            for name, data in entries:
                info = zipfile.ZipInfo(name)
                info.external_attr, info.compress_type = mode << 16, compress
                archive.writestr(info, data)
        return folder / "scan.zip"

    return make


def _zip_bomb(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive, archive.open("zeros", "w") as out:
        for _ in range(100):
            out.write(bytes(1 << 20))
    return folder / "bomb.zip"


def _encrypted_zip(folder: Path) -> Path:
    """The encryption bit in both headers: the standard library cannot write encrypted zips."""
    path = _zip(("IM1", b"x" * 50))(folder)
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    path.write_bytes(bytes(data))
    return path


def _damaged_zip(folder: Path) -> Path:
    path = _zip(("IM1", bytes(range(256)) * 8), compress=zipfile.ZIP_STORED)(folder)
    data = bytearray(path.read_bytes())
    data[500] ^= 0xFF
    path.write_bytes(bytes(data))
    return path


def _zip_in_zip(folder: Path) -> Path:
    inner = _zip(("IM1", b"x"))(folder).read_bytes()
    return _zip(("inner.zip", inner))(folder)


def _gone(folder: Path) -> Path:
    return folder / "no-such-scan"


def _unreadable_file(folder: Path) -> Path:
    """A link to a file that is gone stands for all that the system refuses to open (root may read anything)."""
    write_ct_series(folder / "scan", thigh_hu(), axial_affine(), drop=(4,))
    (folder / "scan" / "IM9.dcm").symlink_to(folder / "gone.dcm")
    return folder / "scan"


def _garbage_dicom() -> bytes:
    return bytes(128) + b"DICM" + struct.pack("<HH2sH", 2, 0, b"UL", 4) + b"\xff" * 200


SR = "1.2.840.10008.5.1.4.1.1.88.22"
RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"
SEG = "1.2.840.10008.5.1.4.1.1.66.4"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
DOSE_REPORT = "1.2.840.10008.5.1.4.1.1.88.67"
MR = "1.2.840.10008.5.1.4.1.1.4"
PET = "1.2.840.10008.5.1.4.1.1.128"
MPEG4 = "1.2.840.10008.1.2.4.102"
PROTOCOL = ("DERIVED", "SECONDARY", "OTHER", "CT_SOM5 PROT")
MIP = ("DERIVED", "SECONDARY", "MIP")
SCOUT = ("ORIGINAL", "PRIMARY", "LOCALIZER")

BAD_INPUTS: tuple[BadInput, ...] = (
    BadInput("path that does not exist", _gone, ("does not exist", "check the path")),
    BadInput("empty folder", _files(), ("holds no files", "choose a folder")),
    BadInput("empty file", _one_file("scan.dcm", b""), ("empty", "export it again")),
    BadInput("text file", _one_file("notes.txt", b"thigh"), ("neither DICOM nor NIfTI", "CT is read from")),
    BadInput("folder of pictures", _files(a__jpg=b"\xff\xd8\xff\xe0", b__png=b"\x89PNG"), ("neither DICOM nor NIfTI",)),
    BadInput("file that is gone when opened", _unreadable_file, ("cannot be opened", "check that it exists")),
    BadInput("truncated DICOM header", _truncated_header, ("truncated", "copy it again")),
    BadInput("garbage after the DICOM mark", _one_file("x.dcm", _garbage_dicom()), ("damaged", "again")),
    BadInput("truncated pixel data", _truncated_pixels, ("pixel data", "truncated", "again")),
    BadInput("one slice", _one_slice, ("only 1 slice", "export the whole series")),
    BadInput("missing slice", _series(drop=(4,)), ("1 slice is missing", "z = -685.0", "Export the complete series")),
    BadInput(
        "three missing slices", _series(drop=(2, 5, 6)), ("3 slices are missing", "2 between", "Export the complete")
    ),
    BadInput("variable slice spacing", _series(slice_shift_mm={5: 2, 6: 2, 7: 2}), ("spacing varies", "Reconstruct")),
    BadInput("two zones of spacing", _series(drop=(1, 3, 5)), ("spacing varies", "10 mm", "Reconstruct")),
    BadInput("gantry tilt", _tilted, ("tilted by 15.0 degrees", "without tilt")),
    BadInput("slice shifted sideways", _shifted_sideways, ("shifted sideways", "20.0 mm", "reconstruct")),
    BadInput("two images at one place", _two_images_at_one_place, ("two different images", "Export one phase")),
    BadInput("mixed sizes", _mixed_sizes, ("mixes 2 kinds", "1 slice is missing", "only 1 slice")),
    BadInput("mixed orientations", _mixed_orientations, ("mixes 2 kinds", "only 2 slices")),
    BadInput("MR", _series(sop_class=MR, modality="MR"), ("not CT", "MR", "send the axial CT series")),
    BadInput("PET", _series(sop_class=PET, modality="PT"), ("not CT", "PT", "send the axial CT series")),
    BadInput("CT class with MR modality", _series(modality="MR"), ("modality is MR", "send the axial CT series")),
    BadInput("structured report only", _series(sop_class=SR, modality="SR"), ("structured report", "send the axial")),
    BadInput("dose report only", _series(sop_class=DOSE_REPORT, modality="SR"), ("dose report", "send the axial")),
    BadInput("RTSTRUCT only", _series(sop_class=RTSTRUCT, modality="RTSTRUCT"), ("RT structure set", "send the axial")),
    BadInput("segmentation only", _series(sop_class=SEG, modality="SEG"), ("segmentation", "send the axial")),
    BadInput("secondary capture only", _series(sop_class=SECONDARY_CAPTURE), ("secondary capture", "send the axial")),
    BadInput("scout only", _series(image_type=SCOUT), ("scout", "send the axial")),
    BadInput("protocol page", _series(image_type=PROTOCOL), ("protocol page", "send the axial")),
    BadInput("maximum projection", _series(image_type=MIP), ("maximum intensity projection", "send the axial")),
    BadInput("burned-in text", _changed(BurnedInAnnotation="YES"), ("burned into the pixels", "without annotations")),
    BadInput("no rescale slope", _series(rescale_slope=None), ("not HU", "RescaleSlope", "export the original")),
    BadInput("rescale slope 0", _changed(RescaleSlope="0"), ("not HU", "slope is 0", "export the original")),
    BadInput("values not in HU", _changed(RescaleType="MGML"), ("not HU", "MGML", "in Hounsfield units")),
    BadInput("no pixel spacing", _changed(PixelSpacing=None), ("pixel spacing", "PixelSpacing", "export the original")),
    BadInput("pixel spacing 0", _changed(PixelSpacing=["0", "0"]), ("pixel spacing is 0", "export")),
    BadInput(
        "no orientation", _changed(ImageOrientationPatient=None), ("orientation in the patient", "export the original")
    ),
    BadInput("no position", _changed(ImagePositionPatient=None), ("position in the patient", "export the original")),
    BadInput("no pixel data", _changed(PixelData=None), ("no pixel data", "export the images")),
    BadInput("no rows", _changed(Rows=None), ("no pixel data", "export the images")),
    BadInput("RGB DICOM", _changed(SamplesPerPixel=3, PhotometricInterpretation="RGB"), ("colour", "original CT")),
    BadInput("8-bit DICOM", _changed(BitsAllocated=8, BitsStored=8, HighBit=7), ("8 bits", "original CT")),
    BadInput("wrong rows", _changed(Rows=39), ("damaged header", "again")),
    BadInput("huge rows", _changed(Rows=60000, Columns=60000), ("claims 60000 x 60000", "export it again")),
    BadInput(
        "enhanced CT without rescale", _enhanced_without_rescale, ("not HU", "RescaleSlope", "export the original")
    ),
    BadInput(
        "unknown packing", _series(change=lambda ds, _: _repack(ds)), ("packed as", "not supported", "uncompressed")
    ),
    BadInput("huge frames", _changed(NumberOfFrames=9999, Rows=4000), ("claims", "voxels", "export it again")),
    BadInput("JPEG that ends the decoder", _deadly_jpeg, ("pixel data", "damaged", "again")),
    BadInput("zip bomb", _zip_bomb, ("zip bomb", "only the CT series")),
    BadInput("path traversal in a zip", _zip(("../../evil.dcm", b"x")), ("leads out of it", "make the zip")),
    BadInput("backslash traversal in a zip", _zip(("a\\..\\..\\evil", b"x")), ("leads out of it", "make the zip")),
    BadInput("absolute path in a zip", _zip(("/etc/evil", b"x")), ("absolute path", "make the zip")),
    BadInput("drive letter in a zip", _zip(("C:/evil", b"x")), ("absolute path", "make the zip")),
    BadInput("link in a zip", _zip(("link", b"/etc/passwd"), mode=0o120777), ("symbolic link", "make the zip")),
    BadInput("encrypted zip", _encrypted_zip, ("encrypted", "without a password")),
    BadInput("damaged zip", _damaged_zip, ("cannot be unpacked", "Make the zip again")),
    BadInput("truncated zip", _cut(_zip(("IM1", bytes(999))), keep=0.7), ("cannot be unpacked", "Make the zip again")),
    BadInput("text named zip", _one_file("scan.zip", b"no zip at all"), ("cannot be unpacked", "Make the zip again")),
    BadInput("empty zip", _zip(), ("holds no files", "choose a folder or zip")),
    BadInput("zip in a zip", _zip_in_zip, ("zip inside a zip", "unpack it")),
    BadInput("zip packed otherwise", _zip(("a", b"x"), compress=zipfile.ZIP_LZMA), ("method 14", "ordinary zip")),
    BadInput("NaN NIfTI", nifti(with_nan), ("not numbers", "export it again")),
    BadInput("RGB NIfTI", nifti(coloured), ("colour", "convert the original CT")),
    BadInput("complex NIfTI", nifti(lambda: ijk().astype(np.complex64)), ("complex", "convert the original CT")),
    BadInput("4-D NIfTI", nifti(lambda: np.stack([ijk()] * 2, axis=-1)), ("4 dimensions", "send one")),
    BadInput("2-D NIfTI", nifti(lambda: ijk()[:, :, 0]), ("2 dimensions", "3-D volume")),
    BadInput("one-slice NIfTI", nifti(lambda: ijk()[:, :, :1]), ("1 slice", "whole series")),
    BadInput("8-bit NIfTI", nifti(lambda: window().astype(np.uint8)), ("8-bit", "convert the original CT")),
    BadInput("windowed NIfTI", nifti(window), ("not HU", "one window", "Convert the original CT")),
    BadInput("normalised NIfTI", nifti(normalised), ("not HU", "normalised", "Convert the original CT")),
    BadInput(
        "NIfTI without intercept", nifti(lambda: ijk() + np.int16(1024)), ("not HU", "no fat and no air", "Convert")
    ),
    BadInput("constant NIfTI", nifti(lambda: np.full_like(ijk(), -7)), ("not HU", "too little", "Convert")),
    BadInput("NIfTI without orientation", nifti(ijk, change=no_orientation), ("no orientation", "convert")),
    BadInput("sheared NIfTI", nifti(ijk, change=sheared), ("right angles", "resample")),
    BadInput("NIfTI in metres", nifti(ijk, change=in_metres), ("lengths in meter", "expected mm")),
    BadInput("truncated NIfTI", _cut(nifti(ijk, gz=False), keep=0.5), ("truncated", "copy it again")),
    BadInput("truncated compressed NIfTI", _cut(nifti(ijk), keep=0.6), ("truncated", "again")),
    BadInput("text named NIfTI", _one_file("scan.nii.gz", b"no NIfTI at all"), ("cannot be read as NIfTI", "again")),
    BadInput("NIfTI header that lies", huge_claim, ("claims", "cannot hold", "copy it again")),
)


def _repack(ds: Dataset) -> None:
    ds.file_meta.TransferSyntaxUID = MPEG4
    ds["PixelData"].VR = "OB"
    ds.PixelData = b"\xfe\xff\x00\xe0\x00\x00\x00\x00" + b"\xfe\xff\x00\xe0\x04\x00\x00\x00" + bytes(4)
    ds["PixelData"].is_undefined_length = True
