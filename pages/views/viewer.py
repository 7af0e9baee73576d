"""Viewer: one scan with its labels, the numbers beside it, the quality flags, and the review. Linkable: ?scan=ID."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

import streamlit as st

from db import queries
from db.study_quality import study_findings
from pages.parts import (
    attenuation,
    cache,
    charts,
    corrections,
    findings,
    measurement_table,
    picture,
    review,
    scan_viewer,
    shell,
    words,
)
from pages.parts.picture import Look
from thighseg_core.axial import axial_view
from thighseg_core.errors import ThighSegError
from thighseg_core.labels import CLASSES

_SHOWN_FIRST = tuple(name for name in CLASSES[1:] if name not in ("subcutaneous", "other_bone"))


def page() -> None:
    """Draw the page."""
    with cache.database().read() as session:
        scans = queries.rows(session, queries.scans())
    if not scans:
        shell.header("Viewer", "Look at a scan with its muscle groups, read its numbers, approve or reject them.")
        shell.empty("No scan is stored yet", "Upload one first.", page="pages/views/upload.py", label="Upload a scan")
        return
    scan = _choose(scans)
    if scan is None:
        return
    with cache.database().read() as session:
        runs = queries.rows(session, queries.runs(scan_id=scan["scan_id"]))
    blind = st.query_params.get("blind") == "1" and bool(runs)
    if blind:
        _say_blind()
    run = runs[-1] if blind else corrections.choose_version(scan, runs)
    picture_column, facts_column = st.columns([13, 11], gap="medium", wrap=True)
    with picture_column:
        try:
            with st.spinner("Reading the scan"):
                cache.volume(scan["storage_path"])
            newest = run is not None and run["run_id"] == runs[0]["run_id"]
            _scan(scan, run, brush="reading" if blind else "correct" if newest else None)
        except ThighSegError as error:
            shell.cannot("This scan cannot be shown", error)
    with facts_column:
        if run is None:
            _no_result(scan)
        else:
            _numbers(scan, run)
            attenuation.panel(run)
            if not blind:
                corrections.what_changed(scan, run, runs)
                review.panel(scan, run)
                review.downloads(scan, run)
    _facts(scan, run)


def _choose(scans: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The scan of the address, or of the chooser, which writes it into the address."""
    by_id = {scan["scan_id"]: scan for scan in scans}
    asked = st.query_params.get("scan", "")
    if asked and not (asked.isdigit() and int(asked) in by_id):
        st.warning(
            f"There is no scan {asked[:20]!r}; it may have been removed. Choose one below.", icon=":material/warning:"
        )
        asked = ""
    ids = list(by_id)
    current = int(asked) if asked else ids[0]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.title("Viewer", anchor=False, width="content")
        st.space("stretch")
        chosen = st.selectbox(
            "Scan",
            ids,
            index=ids.index(current),
            format_func=lambda scan_id: f"{words.scan_name(by_id[scan_id])} · {words.scan_state(by_id[scan_id])}",
            key=f"chooser-{current}",
            width=460,
        )
    if chosen != current:
        st.query_params["scan"] = str(chosen)
        st.rerun()
    return by_id[current]


def _say_blind() -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.info(
            "Blind second reading: you see the first, automatic result; corrections and reviews of others are hidden. "
            "What you paint is stored as your own reading and compared on the Agreement page.",
            icon=":material/visibility_off:",
        )
        if st.button("End"):
            del st.query_params["blind"]
            st.rerun()


def _scan(scan: dict[str, Any], run: dict[str, Any] | None, *, brush: Literal["correct", "reading"] | None) -> None:
    """The 3-D viewer, or plain pictures made by the server where the browser has no WebGL2 or they are asked for."""
    if st.session_state.get("simple_viewer"):
        _picture(scan, run)
    else:
        answer = scan_viewer.show(scan, run, brush=brush)
        if answer.without_webgl:
            st.info("This browser has no WebGL2; the scan is shown as plain pictures.", icon=":material/info:")
            _picture(scan, run)
        if answer.saved:
            st.session_state["reviewer"] = answer.author
            said = "Your reading is stored." if brush == "reading" else "The correction is stored and measured."
            st.toast(said, icon=":material/check:")
            st.rerun()
    st.toggle(
        "Plain pictures",
        key="simple_viewer",
        help="Slices drawn by the server: for browsers without WebGL2, slow graphics or slow connections.",
    )


@st.fragment
def _picture(scan: dict[str, Any], run: dict[str, Any] | None) -> None:
    """Slice, overview and everything that changes how they look; redraws alone."""
    view = axial_view(cache.volume(scan["storage_path"]).geometry)
    order = view.caudal_to_cranial()
    labels = run["label_map_path"] if run else None
    place = st.container()
    position = 1
    if len(order) > 1:
        position = st.slider(
            "Slice, counted from the feet",
            1,
            len(order),
            value=(len(order) + 1) // 2,
            key=f"slice-{scan['scan_id']}",
        )
    look = _look(with_labels=run is not None)
    index = order[position - 1]
    with place:
        st.image(
            picture.data_url(cache.slice_jpeg(scan["storage_path"], labels, index, look)),
            alt=f"Axial slice {position} of {len(order)}, the patient's right on the left",
            width="stretch",
        )
        st.caption(
            f"Slice {position} of {len(order)} · z {view.z_mm[index]:.1f} mm · seen from the feet: "
            "the patient's right (R) is on the left"
        )
    with st.expander("Where in the leg", icon=":material/height:", expanded=True):
        fraction = 0.5 if len(order) == 1 else 1 - (position - 1) / (len(order) - 1)
        front = cache.overview(scan["storage_path"], labels)
        st.image(
            picture.data_url(picture.overview_jpeg(front, fraction_from_top=fraction)),
            alt="The scan from the front with the current slice as a line",
            caption="From the front; the line is the slice above",
        )


def _look(*, with_labels: bool) -> Look:
    window = st.segmented_control("Window", list(picture.WINDOWS), default="Muscle", required=True, key="window")
    if not with_labels:
        return Look(window=window)
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    opacity = left.slider("Opacity of the overlay", 0, 100, 40, step=5, format="%d %%", key="opacity")
    outline = right.toggle("Outline only", key="outline")
    st.html(charts.swatch_css("classes", CLASSES[1:]))
    classes = st.pills(
        "Shown",
        CLASSES[1:],
        selection_mode="multi",
        default=_SHOWN_FIRST,
        format_func=words.region_title,
        key="classes",
    )
    return Look(window=window, opacity=opacity / 100, outline=outline, classes=tuple(classes))


def _no_result(scan: dict[str, Any]) -> None:
    state = words.scan_state(scan)
    shell.state_badge(state)
    if scan["job_error"]:
        st.error(shell.sentence(scan["job_error"]), icon=":material/error:")
    text = "It is being segmented." if state in ("waiting", "running") else "It has no result."
    shell.empty("No numbers yet", text, page="pages/views/queue.py", label="Open the queue")


def _numbers(scan: dict[str, Any], run: dict[str, Any]) -> None:
    with cache.database().read() as session:
        rows = queries.rows(session, queries.measurements(scan_id=scan["scan_id"], run_id=run["run_id"]))
        beside_study = study_findings(session, scan["scan_id"])
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("Measurements", anchor=False, width="content")
        shell.state_badge(words.scan_state(scan))
    side = st.segmented_control(
        "Side of the patient",
        ["left", "right", "both"],
        default=measurement_table.side_to_show(rows),
        required=True,
        key=f"side-{scan['scan_id']}",
    )
    st.html(measurement_table.measurement_html(rows, side=side))
    st.caption("Point at a name to read its definition, at a † to read its reason. The CSV has all that was measured.")
    reasons = measurement_table.reasons(rows, side=side)
    if reasons:
        with st.expander("Why values are marked †", icon=":material/help:"):
            for reason in reasons:
                st.markdown(f"- {reason}")
    _flags(findings.serious([*(run["flags"] or ()), *map(asdict, beside_study)]))


def _flags(found: list[findings.Finding]) -> None:
    if not found:
        st.success("The quality checks found nothing to look at.", icon=":material/verified:")
        return
    with st.expander(f"Quality flags ({len(found)})", icon=":material/flag:", expanded=True):
        for finding in found:
            mark = ":red[:material/error:]" if finding.severity == "error" else ":orange[:material/warning:]"
            where = f" {finding.where}." if finding.where else ""
            consequence = " ".join(shell.sentence(text) for text in finding.consequences)
            st.markdown(f"{mark} **{shell.sentence(finding.message)}**{where} {consequence}")


def _facts(scan: dict[str, Any], run: dict[str, Any] | None) -> None:
    """Where the scan and its numbers come from."""
    facts = {
        "Subject": f"{scan['subject']}, {scan['sex']}"
        + ("" if scan["age_years"] is None else f", {scan['age_years']:.0f} years"),
        "Visit": f"{scan['visit']} {scan['visit_label']}".strip()
        + ("" if scan["visit_date"] is None else f", {scan['visit_date'].isoformat()}"),
        "Series": scan["description"] or "no description",
        "Slices": f"{scan['n_slices']}, {scan['slice_spacing_mm']:.2f} mm apart "
        f"({scan['n_slices'] * scan['slice_spacing_mm'] / 10:.1f} cm)",
        "Pixel": f"{scan['column_spacing_mm']:.2f} x {scan['row_spacing_mm']:.2f} mm",
        "Tube voltage": f"{scan['tube_voltage_kvp']:g} kVp" if scan["tube_voltage_kvp"] else "not recorded",
        "Kernel": scan["convolution_kernel"] or "not recorded",
        "Contrast agent": scan["contrast_agent"] or "none recorded",
    }
    if run:
        facts |= {
            "Result": f"version {run['version']}, {run['kind']}" + (f", by {run['author']}" if run["author"] else ""),
            "Network": f"{run['model_name']} {run['model_version']} on the {words.device_text(run['device'])}",
            "Software": f"ThighSeg {run['software_version']} ({run['git_commit']}), label scheme {run['label_scheme']}",
            "HU preset": run["hu_preset"],
        }
    with st.expander("About this scan and its result", icon=":material/info:"):
        st.table({"fact": list(facts), "value": list(facts.values())}, hide_header=True, border="horizontal")
        for note in scan["notes"] or []:
            st.markdown(f"- {shell.sentence(str(note))}")


if __name__ == "__main__":
    page()
