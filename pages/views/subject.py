"""Subject: one person's visits side by side, what changed between them, the table, the facts of a visit, the report."""

from __future__ import annotations

import streamlit as st

from db import cohort as database_cohort
from db import queries
from db.subject import subject_measurements, subject_scans
from pages.parts import cache, shell, subject_download, subject_facts, subject_sections, words
from pages.parts.subject_sections import Person
from pages.parts.subject_visits import one_scan_a_visit

_LIST_UP_TO = 2_000  # subjects; above it the code is typed


def page() -> None:
    """Draw the page."""
    shell.header("Subject", "One person's visits side by side, and what changed between them.")
    with cache.database().read() as session:
        revision = database_cohort.revision(session)
    people = cache.subjects(revision)
    if not people:
        shell.empty("No subject yet", "Upload a scan first.", page="pages/views/upload.py", label="Upload a scan")
        return
    person = _choose(people)
    if person is None:
        return
    with cache.database().read() as session:
        scans = queries.rows(session, subject_scans(person["subject_id"]))
        rows = queries.rows(session, subject_measurements(person["subject_id"]))
    visits = one_scan_a_visit(scans)
    if not visits:
        shell.empty("No scan", "This subject has no scan.", page="pages/views/upload.py", label="Upload a scan")
        return
    _draw(Person(code=person["subject"], visits=visits, rows=rows))


def _draw(person: Person) -> None:
    first = person.visits[0]
    born = f"born {first['birth_year']}" if first["birth_year"] else "birth year not recorded"
    st.markdown(f"**{words.plain(person.code)}** · {first['sex']} · {born} · study {words.plain(first['study'])}")
    subject_sections.side_by_side(person)
    if len(person.done) >= 2:
        subject_sections.change(person)
    if person.done:
        part = subject_sections.ask_part(person)
        subject_sections.numbers(person, part)
        subject_download.button(person, part)
    subject_facts.panel(person.visits)


def _choose(people: list[queries.Row]) -> queries.Row | None:
    """The subject of the address, or of the chooser, which writes it into the address."""
    by_id = {person["subject_id"]: person for person in people}
    asked = st.query_params.get("subject", "")
    if asked and not (asked.isdigit() and int(asked) in by_id):
        st.warning(f"There is no subject {asked[:20]!r}; choose one below.", icon=":material/warning:")
        asked = ""
    current = int(asked) if asked else None
    shown = people
    if len(people) > _LIST_UP_TO:
        typed = st.text_input("Subject code, or a part of it", key="code").strip().lower()
        shown = [person for person in people if typed in person["subject"].lower()][:_LIST_UP_TO]
    ids = [person["subject_id"] for person in shown]
    if current is None:
        current = ids[0] if ids else None
    if current is None:
        st.info("No subject has such a code.")
        return None
    if current not in ids:
        ids.insert(0, current)
    several = len({person["study"] for person in people}) > 1
    chosen = st.selectbox(
        "Subject",
        ids,
        index=ids.index(current),
        format_func=lambda one: _person_words(by_id[one], with_study=several),
        key=f"subject-{current}",
        width=460,
    )
    if chosen != current:
        st.query_params["subject"] = str(chosen)
        st.rerun()
    return by_id[current]


def _person_words(person: queries.Row, *, with_study: bool) -> str:
    n = person["visits"]
    study = f" · {person['study']}" if with_study else ""
    return f"{person['subject']} · {n} visit{'s' if n != 1 else ''}{study}"


if __name__ == "__main__":
    page()
