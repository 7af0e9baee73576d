"""Upload: take scans in, show what was found, ask whose they are, store them without names and queue them."""

from __future__ import annotations

import streamlit as st

from db import queries
from db.uploads import Upload, discard_upload, open_uploads
from pages.parts import assignment_table, cache, series_form, shell, staging, words
from pages.parts.inspection import Inspection
from thighseg_core.candidate import Rejection
from thighseg_core.errors import ThighSegError

_POLL_S = 1.0
_PATIENCE_S = 1.5  # small uploads are shown without a detour
_DEFAULT_STUDY = "Study 1"


def page() -> None:
    """Draw the page."""
    shell.header(
        "Upload",
        "A DICOM folder, a zip of one, or a NIfTI file in Hounsfield units. Names, birth dates and other "
        "identifiers are removed when a scan is stored; the uploaded original is then deleted.",
    )
    _messages()
    with st.container(horizontal=True):
        study, model = _study(), _model()
    _uploader()
    uploads = open_uploads(cache.settings())
    if uploads:
        st.subheader("Waiting to be stored", anchor=False)
    for upload in reversed(uploads):
        _upload(upload, study=study, model=model)


def _messages() -> None:
    """What the last action did."""
    messages = st.session_state.pop("upload_messages", [])
    for kind, message in messages:
        if kind == "stored":
            st.success(message, icon=":material/check_circle:")
        else:
            st.error(message, icon=":material/error:")
    if any(kind == "stored" for kind, _ in messages):
        st.page_link("pages/views/queue.py", label="Watch it in the queue", icon=":material/arrow_forward:")


def _study() -> str:
    with cache.database().read() as session:
        names = [row["study"] for row in queries.rows(session, queries.studies())]
    names = names or [_DEFAULT_STUDY]
    chosen = st.selectbox(
        "Study",
        names,
        accept_new_options=True,
        help="Scans of one study are compared with each other. Type a new name to begin one.",
        width=360,
    )
    return str(chosen or names[0])


def _model() -> str:
    """The network of the jobs to come; asked only where there is a choice."""
    names = [card.network for card in cache.model_cards()]
    default = cache.settings().default_model
    if len(names) < 2:
        return default
    return st.selectbox(
        "Network",
        names,
        index=names.index(default) if default in names else 0,
        help="Numbers of different networks should not be mixed in a study; see About for how each was tested.",
        width=240,
    )


def _uploader() -> None:
    ways = {"files": "Files or zip", "folder": "Whole folder"}
    way = st.segmented_control(
        "What to upload", list(ways), format_func=ways.__getitem__, default="files", required=True
    )
    turn = st.session_state.setdefault("upload_turn", 0)
    files = st.file_uploader(
        "Drop a whole folder here, or browse for it"
        if way == "folder"
        else "Drop DICOM files, zips or NIfTI files here",
        accept_multiple_files="directory" if way == "folder" else True,
        key=f"upload-{way}-{turn}",
    )
    if not files:
        return
    with st.spinner(f"Saving {len(files)} file{'s' if len(files) > 1 else ''}"):
        try:
            staging.stage(cache.settings(), files)
        except ThighSegError as error:
            _say("failed", f"**The upload was not taken.** {shell.sentence(str(error))}")
    st.session_state["upload_turn"] = turn + 1  # a fresh, empty uploader
    st.rerun()


def _upload(upload: Upload, *, study: str, model: str) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            files = f"{upload.n_files} file{'s' if upload.n_files > 1 else ''}"
            st.markdown(f"**Upload of {files}**, {_size(upload.n_bytes)}")
            st.caption(words.ago(upload.created_at))
            st.space("stretch")
            if st.button(
                "Remove", icon=":material/delete:", key=f"remove-{upload.token}", help="Delete without storing"
            ):
                discard_upload(upload)
                st.rerun()
        try:
            inspection = cache.inspection(upload.token).result.result(timeout=_PATIENCE_S)
        except TimeoutError:
            st.fragment(_wait, run_every=_POLL_S)(upload)
            return
        except (ThighSegError, OSError) as error:
            st.error(shell.sentence(str(error)), icon=":material/error:")
            return
        _rejected(inspection.rejected, nothing_else=not inspection.ready)
        if len(inspection.ready) > 1:
            _several(inspection, upload=upload, study=study, model=model)
            return
        outcomes = [series_form.series(ready, upload=upload, study=study, model=model) for ready in inspection.ready]
        states = {outcome.state for outcome in outcomes}
        if "stored" in states and "open" not in states:
            _finish(upload, [outcome.message for outcome in outcomes if outcome.message])


def _several(inspection: Inspection, *, upload: Upload, study: str, model: str) -> None:
    """The table of an upload with several series; when all of them are stored, the upload goes."""
    ended = assignment_table.draw(inspection, upload=upload, study=study, model=model)
    if ended is None:
        return
    cache.start_worker()
    good, bad = assignment_table.message(ended)
    if good:
        _say("stored", good)
    if bad:
        _say("failed", f"**Not stored.** {bad}")
    if not ended.failed and ended.total == len(inspection.ready):
        discard_upload(upload)
    st.rerun()


def _wait(upload: Upload) -> None:
    """Shown while the upload is read; draws the whole page once it is."""
    reading = cache.inspection(upload.token)
    if reading.result.done():
        st.rerun()
    done, total = reading.progress.done, reading.progress.total
    if total:
        st.progress(done / total, text=f"Reading the images: series {done + 1} of {total}")
    else:
        st.markdown(":material/progress_activity: Reading the images: looking for series.")
    st.caption("You may leave this page meanwhile; the upload is safe.")


def _rejected(rejected: tuple[Rejection, ...], *, nothing_else: bool) -> None:
    if not rejected:
        return
    if nothing_else:
        st.error("**Nothing in this upload can be used.**", icon=":material/error:")
    title = f"Not used ({len(rejected)})"
    with st.expander(title, icon=":material/block:", expanded=nothing_else):
        for rejection in rejected:
            st.markdown(f"- **{words.plain(rejection.name)}**: {words.plain(shell.sentence(rejection.reason))}")


def _finish(upload: Upload, messages: list[str]) -> None:
    """Everything of the upload is stored: the identified original goes."""
    discard_upload(upload)
    for message in messages:
        _say("stored", message)
    st.rerun()


def _say(kind: str, message: str) -> None:
    st.session_state.setdefault("upload_messages", []).append((kind, message))


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes >= 1e5 else f"{max(1, round(n_bytes / 1e3))} kB"


if __name__ == "__main__":
    page()
