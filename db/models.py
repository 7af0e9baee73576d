"""The tables. A study has subjects, a subject visits, a visit scans, a scan runs; every number points to its run.

Units are in the column names; a missing value is NULL, never 0. Times are UTC. Allowed words of a
column are the tuples below and are enforced by the database as well. An id is never given out twice
(AUTOINCREMENT), so a cache keyed on it cannot show another row's data.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from db.agreement_models import ComparedValue, Comparison, Reading
from db.base import NEVER_REUSE_IDS, Base
from db.types import utc_now

__all__ = [  # the tables
    "Base", "ComparedValue", "Comparison", "DataRevision", "Job", "Measurement", "Reading", "Review", "Run", "Scan",
    "Study", "Subject", "Visit",
]  # fmt: skip

SEXES = ("female", "male", "other", "unknown")
RUN_KINDS = ("automatic", "corrected", "external")
DECISIONS = ("approved", "rejected", "needs_correction", "comment")
JOB_STATUSES = ("queued", "running", "done", "failed", "cancelled")
LIVE_STATUSES = ("queued", "running")
MEASUREMENT_STATUSES = ("ok", "flagged", "missing")


def _one_of(column: str, words: tuple[str, ...]) -> CheckConstraint:
    allowed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({allowed})", name=f"{column}_allowed")


def _between(column: str, low: float, high: float) -> CheckConstraint:
    return CheckConstraint(f"{column} BETWEEN {low} AND {high}", name=f"{column}_plausible")


class Study(Base):
    __tablename__ = "study"
    __table_args__ = NEVER_REUSE_IDS

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    description: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    subjects: Mapped[list[Subject]] = relationship(back_populates="study", passive_deletes=True)


class Subject(Base):
    """A person under a code; no name, no birth date."""

    __tablename__ = "subject"
    __table_args__ = (
        UniqueConstraint("study_id", "code"),
        _one_of("sex", SEXES),
        _between("birth_year", 1880, 2200),
        NEVER_REUSE_IDS,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id", ondelete="CASCADE"))
    code: Mapped[str] = mapped_column(String(64))
    sex: Mapped[str] = mapped_column(String(8), default="unknown")
    birth_year: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    study: Mapped[Study] = relationship(back_populates="subjects")
    visits: Mapped[list[Visit]] = relationship(back_populates="subject", passive_deletes=True, order_by="Visit.number")


class Visit(Base):
    __tablename__ = "visit"
    __table_args__ = (
        UniqueConstraint("subject_id", "number"),
        CheckConstraint("number >= 1", name="number_positive"),
        _between("age_years", 0, 130),
        _between("height_cm", 20, 280),
        _between("weight_kg", 1, 700),
        _between("grip_strength_kg", 0, 150),
        _between("gait_speed_m_s", 0, 5),
        _between("knee_extension_torque_nm", 0, 700),
        NEVER_REUSE_IDS,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    subject_id: Mapped[int] = mapped_column(ForeignKey("subject.id", ondelete="CASCADE"))
    number: Mapped[int]
    label: Mapped[str] = mapped_column(String(100), default="")
    visit_date: Mapped[date | None]
    age_years: Mapped[float | None]
    height_cm: Mapped[float | None]
    weight_kg: Mapped[float | None]
    grip_strength_kg: Mapped[float | None]
    gait_speed_m_s: Mapped[float | None]
    knee_extension_torque_nm: Mapped[float | None]

    subject: Mapped[Subject] = relationship(back_populates="visits")
    scans: Mapped[list[Scan]] = relationship(back_populates="visit", passive_deletes=True)


class Scan(Base):
    """A stored, de-identified CT series. `study_id` repeats the subject's so that a digest is unique within a study."""

    __tablename__ = "scan"
    __table_args__ = (UniqueConstraint("study_id", "digest_sha256"), NEVER_REUSE_IDS)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id", ondelete="CASCADE"))
    visit_id: Mapped[int] = mapped_column(ForeignKey("visit.id", ondelete="CASCADE"), index=True)
    digest_sha256: Mapped[str] = mapped_column(String(64))
    storage_path: Mapped[str] = mapped_column(unique=True)  # relative to the data folder, POSIX
    source_name: Mapped[str] = mapped_column(default="")  # what was uploaded, as the uploader is shown it
    source_format: Mapped[str] = mapped_column(String(16))
    # what the series says of itself (thighseg_core.volume.SeriesInfo), after de-identification
    series_uid: Mapped[str] = mapped_column(String(80))
    study_uid: Mapped[str | None] = mapped_column(String(64))
    description: Mapped[str | None]
    acquisition_date: Mapped[date | None]  # shifted per subject by de-identification
    manufacturer: Mapped[str | None]
    scanner_model: Mapped[str | None]
    tube_voltage_kvp: Mapped[float | None]
    convolution_kernel: Mapped[str | None]
    contrast_agent: Mapped[str | None]
    patient_position: Mapped[str | None]
    slice_thickness_mm: Mapped[float | None]
    n_files: Mapped[int] = mapped_column(default=0)
    notes: Mapped[list[Any]] = mapped_column(default=list)  # sentences of the reader
    # geometry
    n_slices: Mapped[int]
    n_rows: Mapped[int]
    n_columns: Mapped[int]
    slice_spacing_mm: Mapped[float]
    row_spacing_mm: Mapped[float]
    column_spacing_mm: Mapped[float]
    affine: Mapped[list[Any]]  # 4x4, index -> LPS mm, row by row
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    visit: Mapped[Visit] = relationship(back_populates="scans")
    runs: Mapped[list[Run]] = relationship(back_populates="scan", passive_deletes=True, order_by="Run.version")
    jobs: Mapped[list[Job]] = relationship(back_populates="scan", passive_deletes=True)


class Run(Base):
    """One analysis of a scan: a label map, the numbers measured in it and what made them (RunManifest)."""

    __tablename__ = "run"
    __table_args__ = (UniqueConstraint("scan_id", "version"), _one_of("kind", RUN_KINDS), NEVER_REUSE_IDS)

    id: Mapped[int] = mapped_column(primary_key=True)
    scan_id: Mapped[int] = mapped_column(ForeignKey("scan.id", ondelete="CASCADE"))
    version: Mapped[int]  # 1, 2, ... within the scan
    kind: Mapped[str] = mapped_column(String(16))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("run.id", ondelete="SET NULL"))
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id", ondelete="SET NULL"), unique=True)
    author: Mapped[str] = mapped_column(String(200), default="")  # empty for an automatic run
    label_map_path: Mapped[str] = mapped_column(unique=True)  # relative to the data folder, POSIX
    label_map_sha256: Mapped[str] = mapped_column(String(64))
    flags: Mapped[list[Any]] = mapped_column(default=list)  # QualityFlag as dicts
    # manifest
    software_version: Mapped[str]
    git_commit: Mapped[str]
    model_name: Mapped[str]
    model_version: Mapped[str]
    weights_sha256: Mapped[str]
    label_scheme: Mapped[str]
    group_map_version: Mapped[int]
    hu_preset: Mapped[str]
    device: Mapped[str]
    started_at: Mapped[str]  # ISO 8601 UTC, as the manifest has it
    seconds: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")  # of each stage
    # thighseg_core.landmarks.as_dict; empty for runs older than landmarks
    landmarks: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    scan: Mapped[Scan] = relationship(back_populates="runs")
    measurements: Mapped[list[Measurement]] = relationship(back_populates="run", passive_deletes=True)
    histograms: Mapped[list[Histogram]] = relationship(back_populates="run", passive_deletes=True)
    reviews: Mapped[list[Review]] = relationship(back_populates="run", passive_deletes=True, order_by="Review.id")


class Measurement(Base):
    """One number in long format (thighseg_core.measurement.Measurement)."""

    __tablename__ = "measurement"
    __table_args__ = (
        UniqueConstraint("run_id", "region", "side", "extent", "metric"),
        _one_of("status", MEASUREMENT_STATUSES),
        CheckConstraint("(value IS NULL) = (status = 'missing')", name="value_or_missing"),
        # holds all that the cohort page asks of a measurement, so that the table itself is not read
        Index(None, "region", "metric", "extent", "side", "run_id", "value", "status"),
        NEVER_REUSE_IDS,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"))
    region: Mapped[str] = mapped_column(String(40))
    side: Mapped[str] = mapped_column(String(8))
    extent: Mapped[str] = mapped_column(String(40))
    metric: Mapped[str] = mapped_column(String(60))
    value: Mapped[float | None]
    unit: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(8), default="ok")
    reason: Mapped[str] = mapped_column(default="")

    run: Mapped[Run] = relationship(back_populates="measurements")


class Histogram(Base):
    """Voxels of one structure at each whole HU (thighseg_core.histogram.Histogram); `voxels` as its `packed`."""

    __tablename__ = "histogram"
    __table_args__ = (UniqueConstraint("run_id", "region", "side", "extent"), NEVER_REUSE_IDS)

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"))
    region: Mapped[str] = mapped_column(String(40))
    side: Mapped[str] = mapped_column(String(8))
    extent: Mapped[str] = mapped_column(String(40))
    lowest_hu: Mapped[int]
    voxels: Mapped[bytes]
    voxel_volume_cm3: Mapped[float]

    run: Mapped[Run] = relationship(back_populates="histograms")


class Review(Base):
    """What a person said of a run; rows are added, never changed. The last decision that is no comment counts."""

    __tablename__ = "review"
    __table_args__ = (_one_of("decision", DECISIONS), NEVER_REUSE_IDS)

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"), index=True)
    decision: Mapped[str] = mapped_column(String(20))
    reviewer: Mapped[str] = mapped_column(String(200))
    comment: Mapped[str] = mapped_column(default="")
    blind: Mapped[bool] = mapped_column(default=False, server_default="0")  # the earlier reviews were hidden
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    run: Mapped[Run] = relationship(back_populates="reviews")


class Job(Base):
    """Work for the worker. The row is the truth: whoever holds an unexpired lease works on it."""

    __tablename__ = "job"
    __table_args__ = (
        _one_of("status", JOB_STATUSES),
        CheckConstraint("(status = 'running') = (owner IS NOT NULL)", name="running_has_owner"),
        Index(None, "status", "id"),
        # one live job a scan, model and kind: pressing the button twice queues once
        Index(
            "uq_job_live",
            "scan_id",
            "kind",
            "model",
            unique=True,
            sqlite_where=text("status IN ('queued', 'running')"),
        ),
        NEVER_REUSE_IDS,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    scan_id: Mapped[int] = mapped_column(ForeignKey("scan.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(16), default="segment")
    model: Mapped[str] = mapped_column(String(40))
    device: Mapped[str] = mapped_column(String(16), default="auto")
    status: Mapped[str] = mapped_column(String(16), default="queued")
    attempts: Mapped[int] = mapped_column(default=0)
    max_attempts: Mapped[int] = mapped_column(default=3)
    owner: Mapped[str | None] = mapped_column(String(80))
    lease_until: Mapped[datetime | None]
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    stage: Mapped[str] = mapped_column(String(60), default="")
    progress: Mapped[float] = mapped_column(default=0.0)  # 0 to 1 over the whole job
    error: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    scan: Mapped[Scan] = relationship(back_populates="jobs")


class DataRevision(Base):
    """One row that counts every change of study, subject, visit, scan, run or review; triggers do the counting.

    What was computed from these tables may be kept under this number.
    """

    __tablename__ = "data_revision"
    __table_args__ = (CheckConstraint("id = 1", name="single_row"), NEVER_REUSE_IDS)

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(default=0)
