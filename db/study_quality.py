"""Flags that rest on the other scans of a study: worked out when they are looked at, as the study grows."""

from __future__ import annotations

from sqlalchemy import ScalarSelect, select
from sqlalchemy.orm import Session

from db.models import Scan
from thighseg_core.measurement import QualityFlag
from thighseg_core.quality_study import Protocol, all_study_flags, study_flags


def study_findings(session: Session, scan_id: int) -> tuple[QualityFlag, ...]:
    """What sets a scan apart from the other scans of its study; nothing for a scan that is not there."""
    protocols = _protocols(session, select(Scan.study_id).where(Scan.id == scan_id).scalar_subquery())
    return study_flags(protocols[scan_id], list(protocols.values())) if scan_id in protocols else ()


def findings_by_scan(session: Session, *, study_id: int) -> dict[int, tuple[QualityFlag, ...]]:
    """The same of every scan of a study, by primary key."""
    protocols = _protocols(session, study_id)
    return dict(zip(protocols, all_study_flags(list(protocols.values())), strict=True))


def _protocols(session: Session, study_id: int | ScalarSelect[int]) -> dict[int, Protocol]:
    columns = (Scan.tube_voltage_kvp, Scan.convolution_kernel, Scan.slice_thickness_mm, Scan.contrast_agent)
    rows = session.execute(select(Scan.id, *columns).where(Scan.study_id == study_id))
    return {
        row.id: Protocol(
            tube_voltage_kvp=row.tube_voltage_kvp,
            convolution_kernel=row.convolution_kernel,
            slice_thickness_mm=row.slice_thickness_mm,
            contrast_agent=row.contrast_agent,
        )
        for row in rows
    }
