"""Several series of an upload: a table of whose they are, and one button that stores what is ticked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from db import queries
from db.drafts import keep_drafts, read_drafts
from db.models import SEXES
from db.subject_list import FIELDS, KEYS, ListedSubject, read_subject_list
from db.uploads import Upload
from pages.parts import assignment, batch, cache, shell, staging, words
from pages.parts.inspection import Inspection
from thighseg_core.errors import ThighSegError

_POLL_S = 1.0
_ON_CONFLICT = {
    "refuse": "Do not store the scan",
    "keep": "Keep what is stored",
    "update": "Update with this table",
}
_FIRST = (
    "store", "picture", "subject_code", "visit_number", "visit_date", "sex", "birth_year", "age_years", "height_cm",
    "weight_kg",
)  # fmt: skip
_IF_FILLED = ("visit_label", "grip_strength_kg", "gait_speed_m_s", "knee_extension_torque_nm")
_LAST = ("series", "source", "person", "slices", "spacing", "length_cm", "remarks")


def draw(inspection: Inspection, *, upload: Upload, study: str, model: str) -> batch.Batch | None:
    """Draw the table, or how far storing is. Returns what was stored once that has ended."""
    running = cache.batches().get(upload.token)
    if running is not None and not running.ended:
        st.fragment(_storing, run_every=_POLL_S)(running)
        return None
    if running is not None:
        return cache.batches().pop(upload.token)
    with cache.database().read() as session:
        study_id = next((r["study_id"] for r in queries.rows(session, queries.studies()) if r["study"] == study), 0)
        last_visit = {
            row["subject"]: row["last_visit"] or 0 for row in queries.rows(session, queries.subjects(study_id=study_id))
        }
        stored = {
            position: f"{same[0]['subject']}, visit {same[0]['visit']}"
            for position, ready in enumerate(inspection.ready)
            if (
                same := queries.rows(
                    session, queries.scan_by_digest(study_id=study_id, digest_sha256=ready.info.digest_sha256)
                )
            )
        }
    listed, digest = _list(upload)
    edited = _editor(inspection, upload=upload, stored=stored, listed=listed, key=f"{study_id}-{digest}-{len(stored)}")
    _submit(inspection, edited, upload=upload, study=study, model=model, last_visit=last_visit)
    return None


def _list(upload: Upload) -> tuple[Sequence[ListedSubject], str]:
    """The subject list beside the upload, and a short name of its content; empty when there is none."""
    with st.expander("Fill the table from a list of subjects (CSV)", icon=":material/table:"):
        st.markdown(
            f"One row a scan. A column `{KEYS[0]}` (the folder, zip or file as you uploaded it) or `{KEYS[1]}` (the "
            "number in the scan's header; compared, never stored) says which scan is meant. Other columns: "
            + ", ".join(f"`{name}`" for name in FIELDS)
            + ". Only `subject_code` is required."
        )
        file = st.file_uploader("List of subjects", type="csv", key=f"list-{upload.token}")
        if file is None:
            return (), ""
        content = staging.content_of(cache.settings(), file)
        try:
            listed = read_subject_list(content, name=file.name)
        except ThighSegError as error:
            shell.cannot("The list was not used", error)
            return (), ""
        st.markdown(f"{len(listed)} row{'s' if len(listed) != 1 else ''} read.")
        return listed, hashlib.sha256(content).hexdigest()[:12]


def _editor(
    inspection: Inspection,
    *,
    upload: Upload,
    stored: Mapping[int, str],
    listed: Sequence[ListedSubject],
    key: str,
) -> pd.DataFrame:
    key = f"table-{upload.token}-{key}"
    # Read once: the table is what it was drawn with, and the editor keeps what is typed since.
    drafts = st.session_state.setdefault(f"drafts-{key}", read_drafts(upload))
    base = assignment.table(inspection.ready, stored=stored, listed=listed, drafts=drafts)
    column = st.column_config
    # What is looked at stands first, then what is typed. Widths keep a row readable on a laptop.
    edited: pd.DataFrame = st.data_editor(
        base,
        key=key,
        hide_index=True,
        num_rows="fixed",
        row_height=72,
        placeholder="–",
        disabled=["picture", "series", "source", "person", "slices", "spacing", "length_cm", "remarks"],
        column_order=[*_FIRST, *(name for name in _IF_FILLED if base[name].notna().any()), *_LAST],
        column_config={
            "store": column.CheckboxColumn("Store", help="Only ticked rows are stored."),
            "picture": column.ImageColumn("Middle slice", width=170),
            "subject_code": column.TextColumn("Subject code", help="A code of your study, never a name.", max_chars=64),
            "visit_number": column.NumberColumn(
                "Visit", min_value=1, max_value=1000, step=1, format="%d", help="Empty: the subject's next visit."
            ),
            "visit_date": column.DateColumn("Visit date", format="YYYY-MM-DD"),
            "sex": column.SelectboxColumn("Sex", options=list(SEXES), required=True),
            "birth_year": column.NumberColumn("Birth year", min_value=1880, max_value=2200, step=1, format="%d"),
            "age_years": column.NumberColumn(
                "Age (years)", min_value=0, max_value=130, format="%.0f", help="Used where no birth year is known."
            ),
            "height_cm": column.NumberColumn("Height (cm)", min_value=20, max_value=280, format="%.1f"),
            "weight_kg": column.NumberColumn("Weight (kg)", min_value=1, max_value=700, format="%.1f"),
            "visit_label": column.TextColumn("Note on the visit", max_chars=100),
            "grip_strength_kg": column.NumberColumn("Grip strength (kg)"),
            "gait_speed_m_s": column.NumberColumn("Gait speed (m/s)"),
            "knee_extension_torque_nm": column.NumberColumn("Knee extension torque (Nm)"),
            "series": column.TextColumn("Series"),
            "source": column.TextColumn("From", help="Where it lay in the upload. Not stored."),
            "person": column.TextColumn("Person", help="The same letter: the same patient number in the headers."),
            "slices": column.NumberColumn("Slices", format="%d"),
            "spacing": column.TextColumn("Voxel", help="Column, row and slice spacing."),
            "length_cm": column.NumberColumn("Leg (cm)", format="%.1f", help="Length of leg that the series covers."),
            "remarks": column.TextColumn("Remarks", width="large"),
        },
    )  # fmt: skip
    typed = st.session_state[key]["edited_rows"]
    keep_drafts(upload, {inspection.ready[position].candidate.key: fields for position, fields in typed.items()})
    return edited


def _submit(
    inspection: Inspection,
    edited: pd.DataFrame,
    *,
    upload: Upload,
    study: str,
    model: str,
    last_visit: Mapping[str, int],
) -> None:
    ticked = int(edited["store"].astype(bool).sum())
    with st.container(horizontal=True, vertical_alignment="bottom"):
        on_conflict = st.selectbox(
            "If a subject is stored with other facts",
            list(_ON_CONFLICT),
            format_func=_ON_CONFLICT.__getitem__,
            key=f"conflict-{upload.token}",
            help="Such as another sex or birth year than an earlier scan was given.",
            width=280,
        )
        label = f"Store {ticked} scan{'s' if ticked != 1 else ''} and segment"
        pressed = st.button(
            label, type="primary", icon=":material/check:", key=f"store-{upload.token}", disabled=not ticked
        )
    if not pressed:
        return
    try:
        rows = assignment.assigned(edited, study=study, last_visit=last_visit)
    except ThighSegError as error:
        shell.cannot("Nothing was stored yet; please check the table", error)
        return
    orders = [
        batch.Order(
            name=f"Row {row.position + 1}, {row.entry.subject_code}",
            candidate=inspection.ready[row.position].candidate,
            entry=row.entry,
            model=model,
            on_conflict=on_conflict,
        )
        for row in rows
    ]
    cache.store_batch(upload.token, orders)
    st.rerun()


def _storing(running: batch.Batch) -> None:
    """Shown while the batch is stored; draws the whole page once it is."""
    if running.ended:
        st.rerun()
    text = f"Removing identifiers and storing: {running.done} of {running.total}"
    st.progress(running.done / running.total, text=text)
    st.caption("You may leave this page meanwhile.")


def message(ended: batch.Batch) -> tuple[str, str]:
    """What the batch did: a sentence of success and one of failure, either may be empty."""
    new = [stored for stored in ended.stored if stored.created]
    known = len(ended.stored) - len(new)
    good = f"{_scans(len(new))} stored and queued." if new else ""
    if known:
        good += f" {_scans(known)} recognised: already in the study, not stored twice."
    bad = " ".join(words.plain(shell.sentence(failure)) for failure in ended.failed)
    return good.strip(), bad


def _scans(count: int) -> str:
    return f"{count} scan{'s' if count != 1 else ''}"
