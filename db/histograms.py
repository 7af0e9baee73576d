"""Histograms of a run in and out of the database: any Hounsfield band is counted anew without touching the images."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from db.models import Histogram as HistogramRow
from thighseg_core.histogram import Histogram, band_volume_cm3, unpacked
from thighseg_core.metrics import FULL
from thighseg_core.tissue import Range


def histogram_row(histogram: Histogram, *, run_id: int) -> dict[str, Any]:
    """A histogram as a row of the table."""
    return {
        "run_id": run_id,
        "region": histogram.region,
        "side": histogram.side,
        "extent": histogram.extent,
        "lowest_hu": histogram.lowest_hu,
        "voxels": histogram.packed(),
        "voxel_volume_cm3": histogram.voxel_volume_cm3,
    }


def histograms(*, run_ids: Iterable[int], extent: str | None = None) -> Select[HistogramRow]:
    """The rows of these runs, of one extent or of all."""
    statement = select(HistogramRow).where(HistogramRow.run_id.in_(list(run_ids))).order_by(HistogramRow.id)
    return statement if extent is None else statement.where(HistogramRow.extent == extent)


def load_histograms(session: Session, *, run_id: int) -> tuple[Histogram, ...]:
    """The histograms of a run; empty for one that was stored before histograms were kept."""
    return tuple(_histogram(row) for row in session.scalars(histograms(run_ids=[run_id])))


def band_volumes_cm3(
    session: Session, hu: Range, *, run_ids: Iterable[int], region: str, side: str, extent: str = FULL
) -> dict[int, float | None]:
    """Run -> volume from hu[0] to hu[1] (both included) of a region and side; None where it was not counted."""
    wanted = list(run_ids)
    found: dict[int, list[Histogram]] = {run_id: [] for run_id in wanted}
    for row in session.scalars(histograms(run_ids=wanted, extent=extent)):
        found[row.run_id].append(_histogram(row))
    return {
        run_id: band_volume_cm3(counted, hu, region=region, side=side, extent=extent)
        for run_id, counted in found.items()
    }


def _histogram(row: HistogramRow) -> Histogram:
    return Histogram(row.region, row.side, row.extent, row.lowest_hu, unpacked(row.voxels), row.voxel_volume_cm3)
