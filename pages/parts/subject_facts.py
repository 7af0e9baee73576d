"""The form on the subject page for what was measured beside the scan: body size, strength, gait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import pandas as pd
import streamlit as st

from db.visit_facts import VisitFacts, record_visit_facts
from pages.parts import cache, shell
from thighseg_core.errors import ThighSegError

_NAMES = {
    "height_cm": ("Height (cm)", "%.1f"),
    "weight_kg": ("Weight (kg)", "%.1f"),
    "grip_strength_kg": ("Grip strength (kg)", "%.1f"),
    "gait_speed_m_s": ("Gait speed (m/s)", "%.2f"),
    "knee_extension_torque_nm": ("Knee extension torque (Nm)", "%.0f"),
}


def panel(visits: Sequence[Mapping[str, Any]]) -> None:
    """A table to type into, one row a visit; nothing is stored before the button is pressed."""
    with st.expander("Body size, strength and gait", icon=":material/edit_note:"):
        before = pd.DataFrame(
            [{"Visit": int(visit["visit"]), **{name: visit[name] for name in _NAMES}} for visit in visits]
        ).astype(dict.fromkeys(_NAMES, "float64"))
        with st.form("visit-facts", border=False):
            after = st.data_editor(
                before,
                hide_index=True,
                num_rows="fixed",
                disabled=["Visit"],
                column_config={
                    name: st.column_config.NumberColumn(title, format=form, min_value=0.0)
                    for name, (title, form) in _NAMES.items()
                },
                key=f"facts-{visits[0]['subject_id']}",
            )
            if st.form_submit_button("Save", icon=":material/save:"):
                _save(visits, before, after)
        st.caption("Used on the cohort page, to divide by body size and to compare with strength. Empty: not known.")


def _save(visits: Sequence[Mapping[str, Any]], before: pd.DataFrame, after: pd.DataFrame) -> None:
    """Store the rows that changed, all of them or none."""
    try:
        changed = [
            (visit["visit_id"], facts_of(row))
            for visit, old, row in zip(visits, before.to_dict("records"), after.to_dict("records"), strict=True)
            if facts_of(old) != facts_of(row)
        ]
        with cache.database().write() as session:
            for visit_id, facts in changed:
                record_visit_facts(session, facts, visit_id=visit_id)
    except ThighSegError as error:
        shell.cannot("Nothing was saved", error)
        return
    st.toast(f"{len(changed)} visit{'s' if len(changed) != 1 else ''} changed.", icon=":material/check:")


def facts_of(row: Mapping[Any, Any]) -> VisitFacts:
    """The facts of a row of the table; an empty cell is not known. Raises InputError when one is implausible."""
    return VisitFacts(
        **{field.name: None if pd.isna(row[field.name]) else float(row[field.name]) for field in fields(VisitFacts)}
    )
