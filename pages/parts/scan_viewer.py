"""The viewer as a component of our own around NiiVue: what the page hands it, and what it hands back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from pages.parts import cache, picture, scan_routes, tickets, viewer_facts, words
from thighseg_core.labels import CLASSES

_HTML = '<div class="thighseg-viewer"></div>'
# The script itself comes from our route: a component's own script has no address that it could import others from.
_JS = """
export default function (component) {
  const host = component.parentElement.querySelector(".thighseg-viewer");
  const address = new URL(component.data.scripts_url, document.baseURI).href;
  host.viewer ??= import(address).then((script) => script.mount(host));
  host.viewer.then((viewer) => viewer.update(component));
  return () => {
    setTimeout(() => { if (!host.isConnected) host.viewer?.then((viewer) => viewer.destroy()); }, 1000);
  };
}
"""


@dataclass(frozen=True)
class Answer:
    """What the browser says: that it has no WebGL2, or that what was painted was stored, and by whom."""

    without_webgl: bool
    saved: bool
    author: str


def show(scan: dict[str, Any], run: dict[str, Any] | None, *, brush: Literal["correct", "reading"] | None) -> Answer:
    """Draw the viewer of a scan with one of its results.

    brush: what is stored of what is painted: the next version of the result, or a reading of its own beside it; None
    offers no brush.
    """
    component = st.components.v2.component("thighseg_viewer", html=_HTML, css=_css(), js=_JS)
    result = component(
        key=f"viewer-{scan['scan_id']}",
        data=_data(scan, run, brush=brush),
        on_saved_change=_nothing,
        on_webgl_change=_nothing,
    )
    saved = result.get("saved") or {}
    return Answer(
        without_webgl=result.get("webgl") == "no",
        saved=bool(saved),
        author=str(saved.get("author", "")),
    )


def _nothing() -> None:
    """Streamlit wants a callback for every value that the component may send."""


def _data(scan: dict[str, Any], run: dict[str, Any] | None, *, brush: str | None) -> dict[str, Any]:
    labels = run["label_map_path"] if run else ""
    facts = cache.facts(scan["storage_path"], labels or None)
    titles = {name: words.region_title(name) for name in CLASSES[1:]}
    marks = viewer_facts.marks(run["landmarks"] if run else {}, facts)
    save_url, save_label = "", ""
    if run and brush == "correct":
        save_url, save_label = f"correction/{_ticket('correct', scan, run)}", f"Save as version {run['version'] + 1}"
    elif run and brush == "reading":
        save_url, save_label = f"reading/{_ticket('reading', scan, run)}", "Save as my reading"
    return {
        "scripts_url": f"{scan_routes.PREFIX}/scripts/{scan_routes.scripts_version()}/viewer.js",
        "scan_key": f"scan-{scan['scan_id']}",
        "run_key": f"run-{run['run_id']}" if run else "no-run",
        "image_url": f"{scan_routes.PREFIX}/image/{_ticket('image', scan, run)}/image.nii.gz",
        "labels_url": f"{scan_routes.PREFIX}/labels/{_ticket('labels', scan, run)}/labels.nii.gz" if run else "",
        "save_url": f"{scan_routes.PREFIX}/{save_url}" if save_url else "",
        "save_label": save_label,
        "author": st.session_state.get("reviewer", ""),
        "n_slices": facts.n_slices,
        "z_mm": list(facts.z_mm),
        "step_mm": facts.step_mm,
        "voxel_cm3": facts.voxel_cm3,
        "start_slice": viewer_facts.start_slice(facts),
        "windows": {name: list(window) for name, window in picture.WINDOWS.items()},
        "classes": viewer_facts.classes(titles),
        "profile": viewer_facts.profile(facts, titles=titles, marks=marks),
    }


def _ticket(purpose: tickets.Purpose, scan: dict[str, Any], run: dict[str, Any] | None) -> str:
    return tickets.issue(
        cache.ticket_key(),
        purpose=purpose,
        scan_id=scan["scan_id"],
        storage_path=scan["storage_path"],
        label_map_path=run["label_map_path"] if run else "",
        run_id=run["run_id"] if run else 0,
    )


def _css() -> str:
    return Path(scan_routes.ASSETS / "viewer" / "viewer.css").read_text(encoding="utf-8")
