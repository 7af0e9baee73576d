"""What the Agreement page and its export ask: readings, and every compared number with person, scan and raters."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Integer, String, case, cast, func, literal, select
from sqlalchemy.orm import aliased

from db.models import ComparedValue, Comparison, Reading, Run, Scan, Study, Subject, Visit
from db.queries import Query, scan_code

# One compared number as it leaves: column -> meaning.
AGREEMENT_COLUMNS = {
    "study": "Name of the study.",
    "subject": "Code of the subject.",
    "sex": "female, male, other or unknown.",
    "visit": "Number of the visit.",
    "scan": "Scan: ct_ and the first digits of its digest.",
    "reference": "Who the reference is: a reader, with the session where a reader drew more than once.",
    "test": "What is compared with the reference: a network with its version, or another reader.",
    "test_kind": "network or reader.",
    "region": "Region, as in the measurements.",
    "side": "left or right of the patient.",
    "metric": "Such as dice, hd95 or volume; each is defined in docs/agreement.md.",
    "reference_value": "The quantity in the reference, on the compared slices; NA for overlap and distances.",
    "test_value": "The same in what is compared.",
    "value": "Overlap or distance; of a quantity test - reference.",
    "unit": "Unit of the values; 1 for a share.",
    "n_slices": "Axial slices that were compared: those on which the reference has something.",
    "by_slice": "1 where distances were taken within slices, because the reference skips slices; else 0.",
    "hu_preset": "Hounsfield preset of the quantities.",
    "software_version": "ThighSeg version that compared.",
    "reason": "Why a value is missing.",
}


def readings(*, study_id: int | None = None, scan_id: int | None = None) -> Query:
    """Drawings of readers, newest first, with their scan and person."""
    statement = (
        select(
            Reading.id.label("reading_id"),
            Reading.reader.label("reader"),
            Reading.session.label("session"),
            Reading.source_format.label("source_format"),
            Reading.regions.label("regions"),
            Reading.label_map_path.label("label_map_path"),
            Reading.comment.label("comment"),
            Reading.created_at.label("created_at"),
            Subject.code.label("subject"),
            Visit.number.label("visit"),
            Scan.id.label("scan_id"),
            Scan.storage_path.label("storage_path"),
            scan_code(),
        )
        .join(Scan, Scan.id == Reading.scan_id)
        .join(Scan.visit)
        .join(Visit.subject)
        .order_by(Reading.id.desc())
    )
    if study_id is not None:
        statement = statement.where(Scan.study_id == study_id)
    return statement if scan_id is None else statement.where(Scan.id == scan_id)


def compared_values(*, study_id: int | None = None) -> Query:
    """Every compared number in long form; of runs of one network only the comparison with the newest one.

    The columns are those of `AGREEMENT_COLUMNS`, and the primary keys of scan and subject.
    """
    reference, other = aliased(Reading), aliased(Reading)
    newest = (
        select(func.max(Run.id)).where(Run.kind == "automatic").group_by(Run.scan_id, Run.model_name).scalar_subquery()
    )
    test: ColumnElement[str] = case(
        (Comparison.test_run_id.is_not(None), func.trim(Run.model_name + literal(" ") + Run.model_version)),
        else_=_rater(other),
    )
    statement = (
        select(
            Study.name.label("study"),
            Subject.id.label("subject_id"),
            Subject.code.label("subject"),
            Subject.sex.label("sex"),
            Visit.number.label("visit"),
            Scan.id.label("scan_id"),
            scan_code(),
            _rater(reference).label("reference"),
            test.label("test"),
            case((Comparison.test_run_id.is_not(None), "network"), else_="reader").label("test_kind"),
            ComparedValue.region.label("region"),
            ComparedValue.side.label("side"),
            ComparedValue.metric.label("metric"),
            ComparedValue.reference_value.label("reference_value"),
            ComparedValue.test_value.label("test_value"),
            ComparedValue.value.label("value"),
            ComparedValue.unit.label("unit"),
            Comparison.n_slices.label("n_slices"),
            cast(Comparison.by_slice, Integer).label("by_slice"),
            Comparison.hu_preset.label("hu_preset"),
            Comparison.software_version.label("software_version"),
            ComparedValue.reason.label("reason"),
        )
        .join(Comparison, Comparison.id == ComparedValue.comparison_id)
        .join(reference, reference.id == Comparison.reference_id)
        .outerjoin(Run, Run.id == Comparison.test_run_id)
        .outerjoin(other, other.id == Comparison.test_reading_id)
        .join(Scan, Scan.id == reference.scan_id)
        .join(Scan.visit)
        .join(Visit.subject)
        .join(Subject.study)
        .where((Run.id.is_(None)) | (Run.id.in_(newest)))
        .order_by(Study.name, Subject.code, Visit.number, Scan.id, ComparedValue.id)
    )
    return statement if study_id is None else statement.where(Study.id == study_id)


def _rater(reading: type[Reading]) -> ColumnElement[str]:
    """Reader's name, with the session from the second one on."""
    again = reading.reader + literal(", session ") + cast(reading.session, String)
    return case((reading.session == 1, reading.reader), else_=again)
