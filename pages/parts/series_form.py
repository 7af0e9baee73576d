"""One found series on the upload page: what it is, whose it is, and the button that stores it."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from datetime import date
from typing import Any

import streamlit as st

from db import queries
from db.drafts import keep_drafts, read_drafts
from db.entry import Entry
from db.intake import Stored
from db.models import SEXES
from db.people import SubjectConflictError
from db.uploads import Upload
from pages.parts import batch, cache, picture, shell, words
from pages.parts.inspection import ReadySeries
from thighseg_core.errors import ThighSegError

_POLL_S = 1.0


@dataclass(frozen=True)
class Outcome:
    """How far a series of an upload is: "open", "known" (a duplicate) or "stored" in this session, with a sentence."""

    state: str
    message: str = ""


OPEN = Outcome("open")


def series(ready: ReadySeries, *, upload: Upload, study: str, model: str) -> Outcome:
    """Draw the series and say how far it is."""
    key = f"{upload.token}-{ready.candidate.key}"
    with st.container():
        left, text = st.columns([1, 5], vertical_alignment="top")
        left.image(picture.data_url(ready.thumbnail_jpeg), alt="Middle slice of the series", width=150)
        with text:
            _describe(ready)
            work = cache.storing().get(key)
            if work is not None and not work.done():
                st.fragment(_storing, run_every=_POLL_S)(work)
                return OPEN
            if work is not None:
                return _outcome(work, ready, key=key, model=model)
            return _form(ready, upload=upload, key=key, study=study, model=model)


def _describe(ready: ReadySeries) -> None:
    candidate, info = ready.candidate, ready.info
    st.markdown(f"**{words.plain(candidate.description or 'Series without a description')}**")
    slices = f"{candidate.n_slices} slice{'s' if candidate.n_slices != 1 else ''}"
    facts = [f"{candidate.modality}, {candidate.source_format}", slices, candidate.spacing_text]
    facts.append(f"{ready.length_mm / 10:.1f} cm of leg")
    if info.tube_voltage_kvp:
        facts.append(f"{info.tube_voltage_kvp:g} kVp")
    st.caption(" · ".join(words.plain(fact) for fact in facts))
    for warning in dict.fromkeys((*candidate.warnings, *info.notes)):
        st.markdown(f":orange[:material/warning:] {words.plain(shell.sentence(warning))}")


def _form(ready: ReadySeries, *, upload: Upload, key: str, study: str, model: str) -> Outcome:
    with cache.database().read() as session:
        study_id = next(
            (row["study_id"] for row in queries.rows(session, queries.studies()) if row["study"] == study), 0
        )
        known = {row["subject"]: row for row in queries.rows(session, queries.subjects(study_id=study_id))}
        same = queries.rows(session, queries.scan_by_digest(study_id=study_id, digest_sha256=ready.info.digest_sha256))
    if same:
        stored = same[0]
        st.info(
            f"Recognised: this scan is already stored as {words.plain(stored['subject'])}, visit {stored['visit']}. "
            "Nothing is stored twice.",
            icon=":material/content_copy:",
        )
        link = {"scan": str(stored["scan_id"])}
        st.page_link("pages/views/viewer.py", label="Open it", icon=":material/visibility:", query_params=link)
        return Outcome("known")
    draft = read_drafts(upload).get(ready.candidate.key, {})
    values = _fields(ready, key=key, known=known, draft=draft)
    keep_drafts(upload, {ready.candidate.key: values})
    if not st.button("Store and segment", type="primary", icon=":material/check:", key=f"go-{key}"):
        return OPEN
    _submit(ready, key=key, values=values | {"study": study}, model=model, on_conflict="refuse")
    return OPEN


def _fields(ready: ReadySeries, *, key: str, known: dict[str, Any], draft: dict[str, Any]) -> dict[str, Any]:
    """The entry form, pre-filled from the header, from what is known of the subject, and from what was typed before."""
    info = ready.info
    first, second, third = st.columns(3, wrap=True)
    typed_code = draft.get("subject_code") or None
    codes = [*known, *([typed_code] if typed_code and typed_code not in known else [])]
    code = first.selectbox(
        "Subject code", codes, index=codes.index(typed_code) if typed_code else None, accept_new_options=True,
        key=f"code-{key}", placeholder="Choose or type a code", help="A code of your study, never a name.",
    )  # fmt: skip
    subject = known.get(str(code))
    suffix = f"{key}-{code if subject else ''}"
    start = {
        "visit_number": subject["last_visit"] + 1 if subject and subject["last_visit"] else 1,
        "visit_date": info.acquisition_date,
        "sex": subject["sex"] if subject else info.patient_sex or "unknown",
        "birth_year": subject["birth_year"] if subject else None,
        # the year tells it already
        "age_years": None if subject and subject["birth_year"] else info.patient_age_years,
        "height_cm": info.patient_height_cm,
        "weight_kg": info.patient_weight_kg,
        "visit_label": "",
    }
    if draft.get("subject_code", "") == str(code or ""):
        start |= {name: draft[name] for name in start if name in draft}
    number = second.number_input(
        "Visit number", 1, 1000, value=start["visit_number"], key=f"visit-{suffix}",
        help="1 is the first visit of the subject.",
    )  # fmt: skip
    day = third.date_input(
        "Visit date", value=date.fromisoformat(start["visit_date"]) if start["visit_date"] else None,
        min_value=date(1971, 10, 1), format="YYYY-MM-DD", key=f"date-{suffix}",
    )  # fmt: skip
    first, second, third = st.columns(3, wrap=True)
    sex = first.selectbox("Sex", SEXES, index=SEXES.index(start["sex"]), key=f"sex-{suffix}")
    year = second.number_input(
        "Birth year", 1880, 2200, value=start["birth_year"], key=f"year-{suffix}", placeholder="optional",
    )  # fmt: skip
    age = third.number_input(
        "Age at the visit (years)", 0.0, 130.0, value=start["age_years"], step=1.0, format="%.0f",
        key=f"age-{suffix}", placeholder="optional", help="Used where no birth year is known.",
    )  # fmt: skip
    first, second, third = st.columns(3, wrap=True)
    height = first.number_input(
        "Height (cm)", 20.0, 280.0, value=start["height_cm"], step=1.0, format="%.1f", key=f"height-{suffix}",
        placeholder="optional",
    )  # fmt: skip
    weight = second.number_input(
        "Weight (kg)", 1.0, 700.0, value=start["weight_kg"], step=1.0, format="%.1f", key=f"weight-{suffix}",
        placeholder="optional",
    )  # fmt: skip
    label = third.text_input(
        "Note on the visit", value=start["visit_label"], max_chars=100, key=f"label-{suffix}", placeholder="optional"
    )
    return {
        "subject_code": str(code or ""), "visit_number": int(number), "visit_date": day, "sex": sex, "birth_year": year,
        "age_years": age, "height_cm": height, "weight_kg": weight, "visit_label": label,
    }  # fmt: skip


def _submit(ready: ReadySeries, *, key: str, values: dict[str, Any], model: str, on_conflict: str) -> None:
    """Check the entry, then store in the background."""
    try:
        entry = Entry(**values)
    except ThighSegError as error:
        shell.cannot("Please check the form", error)
        return
    order = batch.Order(
        name=entry.subject_code, candidate=ready.candidate, entry=entry, model=model, on_conflict=on_conflict
    )
    cache.storing()[key] = cache.in_background(order)
    st.session_state[f"values-{key}"] = values
    st.rerun()


def _storing(work: Future[Stored]) -> None:
    """Shown while the series is stored; draws the whole page once it is."""
    if work.done():
        st.rerun()
    st.markdown(":material/progress_activity: Removing identifiers and storing.")


def _outcome(work: Future[Stored], ready: ReadySeries, *, key: str, model: str) -> Outcome:
    try:
        stored = work.result()
    except SubjectConflictError as error:
        shell.cannot("This does not fit what is stored", error)
        values = st.session_state.get(f"values-{key}")
        with st.container(horizontal=True):
            if values and st.button("Keep what is stored", key=f"keep-{key}"):
                _submit(ready, key=key, values=values, model=model, on_conflict="keep")
            if values and st.button("Update with what I entered", key=f"update-{key}"):
                _submit(ready, key=key, values=values, model=model, on_conflict="update")
            if st.button("Back to the form", key=f"back-{key}"):
                del cache.storing()[key]
                st.rerun()
        return OPEN
    except (ThighSegError, OSError) as error:
        st.error(f"**Nothing was stored.** {shell.sentence(str(error))}", icon=":material/error:")
        if st.button("Back to the form", key=f"back-{key}"):
            del cache.storing()[key]
            st.rerun()
        return OPEN
    cache.start_worker()
    st.success(stored.message, icon=":material/check_circle:")
    return Outcome("stored", stored.message)
