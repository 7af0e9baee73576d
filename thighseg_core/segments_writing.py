"""Our labels as a DICOM segmentation (SEG) that refers to the slices they were drawn on, for 3D Slicer or a PACS."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.sr.codedict import codes
from pydicom.uid import DeflatedExplicitVRLittleEndian, generate_uid

from thighseg_core import __version__
from thighseg_core.dicom import read_header
from thighseg_core.dicom_series import load_stack
from thighseg_core.errors import GeometryMismatchError, InputError
from thighseg_core.labels import CLASSES, COLOURS, LABELS, LabelMap, class_of_label
from thighseg_core.stack import Stack

SERIES_NUMBER = 9100  # behind those of the scanner
_PROPERTY = {
    "femur": codes.SCT.Bone,
    "other_bone": codes.SCT.Bone,
    "subcutaneous": codes.SCT.AdiposeTissue,
    "intermuscular": codes.SCT.AdiposeTissue,
}


def dicom_segmentation(files: tuple[Path, ...], label_map: LabelMap, *, automatic: bool) -> bytes:
    """A SEG file (binary segments, deflated) of `label_map`, which lies on the grid of the DICOM series `files`.

    Each label that is drawn is a segment of its name ("extensor_left"), by which `segments.suggested` knows it again.
    automatic: whether the network made the labels, or a person had a hand in them.
    Raises InputError for files that are no series or labels that are empty, GeometryMismatchError for another grid.
    """
    import highdicom

    stack, _ = load_stack(files)
    if not stack.geometry.matches(label_map.geometry):
        raise GeometryMismatchError(
            "the labels do not lie on the slices of this series, so no DICOM SEG can refer to them; take the NIfTI file"
        )
    present = [int(value) for value in np.unique(label_map.labels) if value]
    if not present:
        raise InputError("the label map is empty; there is nothing to write as DICOM SEG")
    numbers = np.zeros(256, dtype=np.uint8)
    numbers[present] = np.arange(1, len(present) + 1)
    kind = highdicom.seg.SegmentAlgorithmTypeValues
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name="ThighSeg", version=__version__, family=codes.DCM.ArtificialIntelligence
    )
    sources, order = _sources(stack)
    segmentation = highdicom.seg.Segmentation(
        source_images=sources,
        pixel_array=numbers[label_map.labels][order],
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[
            highdicom.seg.SegmentDescription(
                segment_number=number,
                segment_label=LABELS[value],
                segmented_property_category=codes.SCT.Tissue,
                segmented_property_type=_PROPERTY.get(_class(value), codes.SCT.Muscle),
                algorithm_type=kind.AUTOMATIC if automatic else kind.SEMIAUTOMATIC,
                algorithm_identification=algorithm,
                display_color=highdicom.color.CIELabColor.from_string(COLOURS[_class(value)]),
            )
            for number, value in enumerate(present, start=1)
        ],
        series_instance_uid=generate_uid(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="ThighSeg",
        manufacturer_model_name="ThighSeg",
        software_versions=__version__,
        device_serial_number="none",
        content_label="THIGH_MUSCLES",
        series_description="ThighSeg muscle groups",
    )
    segmentation.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian  # a bit a voxel packs to a tenth
    out = io.BytesIO()
    segmentation.save_as(out)
    return out.getvalue()


def _class(value: int) -> str:
    return CLASSES[int(class_of_label()[value])]


def _sources(stack: Stack) -> tuple[list[Any], list[int]]:
    """The data sets the frames refer to, and which slice of the stack belongs to each of them (or to each frame)."""
    first = [here[0] for here in stack.slices]
    if len({one.path for one in first}) == len(first):
        return [read_header(one.path) for one in first], list(range(len(first)))
    return [read_header(first[0].path)], [k for _, k in sorted((one.frame, k) for k, one in enumerate(first))]
