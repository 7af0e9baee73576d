"""Tables of readers' drawings and of their comparison with results; re-exported by `db.models`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from db.base import NEVER_REUSE_IDS, Base
from db.types import utc_now


class Reading(Base):
    """A label map that a reader drew of a scan, apart from the scan's results: it is never measured for the cohort."""

    __tablename__ = "reading"
    __table_args__ = (
        UniqueConstraint("scan_id", "reader", "session"),
        CheckConstraint("session >= 1", name="session_positive"),
        NEVER_REUSE_IDS,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    scan_id: Mapped[int] = mapped_column(ForeignKey("scan.id", ondelete="CASCADE"))
    reader: Mapped[str] = mapped_column(String(200))
    session: Mapped[int]  # 1, 2, ...: how often this reader has drawn this scan
    source_format: Mapped[str] = mapped_column(String(16))
    regions: Mapped[list[Any]] = mapped_column(default=list)  # classes that are drawn
    label_map_path: Mapped[str] = mapped_column(unique=True)  # relative to the data folder, POSIX
    label_map_sha256: Mapped[str] = mapped_column(String(64))
    comment: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Comparison(Base):
    """A reading compared with a run, or with a later reading of the same scan."""

    __tablename__ = "comparison"
    __table_args__ = (
        UniqueConstraint("reference_id", "test_run_id"),
        UniqueConstraint("reference_id", "test_reading_id"),
        CheckConstraint("(test_run_id IS NULL) <> (test_reading_id IS NULL)", name="one_test"),
        NEVER_REUSE_IDS,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    reference_id: Mapped[int] = mapped_column(ForeignKey("reading.id", ondelete="CASCADE"))
    test_run_id: Mapped[int | None] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"), index=True)
    test_reading_id: Mapped[int | None] = mapped_column(ForeignKey("reading.id", ondelete="CASCADE"), index=True)
    n_slices: Mapped[int]  # that were compared
    by_slice: Mapped[bool]  # surfaces within slices, because slices were skipped
    hu_preset: Mapped[str]
    software_version: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    values: Mapped[list[ComparedValue]] = relationship(back_populates="comparison", passive_deletes=True)


class ComparedValue(Base):
    """One number of a comparison (thighseg_core.comparison.ComparedValue)."""

    __tablename__ = "compared_value"
    __table_args__ = (
        UniqueConstraint("comparison_id", "region", "side", "metric"),
        CheckConstraint("value IS NOT NULL OR reason <> ''", name="value_or_reason"),
        NEVER_REUSE_IDS,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    comparison_id: Mapped[int] = mapped_column(ForeignKey("comparison.id", ondelete="CASCADE"))
    region: Mapped[str] = mapped_column(String(40))
    side: Mapped[str] = mapped_column(String(8))
    metric: Mapped[str] = mapped_column(String(60))
    value: Mapped[float | None]  # of a quantity: test - reference
    reference_value: Mapped[float | None]
    test_value: Mapped[float | None]
    unit: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(default="")

    comparison: Mapped[Comparison] = relationship(back_populates="values")
