"""Flags that rest on the other scans of a study: worked out when they are looked at, as the study grows."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models import Scan
from thighseg_core.measurement import QualityFlag
from thighseg_core.quality_study import Protocol, study_flags


def study_findings(session: Session, scan_id: int) -> tuple[QualityFlag, ...]:
    """What sets a scan apart from the other scans of its study; nothing for a scan that is not there."""
    study_id = select(Scan.study_id).where(Scan.id == scan_id).scalar_subquery()
    rows = session.execute(
        select(
            Scan.id,
            Scan.tube_voltage_kvp,
            Scan.convolution_kernel,
            Scan.slice_thickness_mm,
            Scan.contrast_agent,
        ).where(Scan.study_id == study_id)
    )
    protocols = {
        row.id: Protocol(
            tube_voltage_kvp=row.tube_voltage_kvp,
            convolution_kernel=row.convolution_kernel,
            slice_thickness_mm=row.slice_thickness_mm,
            contrast_agent=row.contrast_agent,
        )
        for row in rows
    }
    return study_flags(protocols[scan_id], list(protocols.values())) if scan_id in protocols else ()
