"""ThighSeg's dashboard. Start it with `streamlit run app.py` (or `make app`)."""

import streamlit as st

from pages.parts import cache, shell

shell.configure()
page = st.navigation(
    {
        "Scans": [
            st.Page("pages/views/home.py", title="Home", icon=":material/home:", default=True),
            st.Page("pages/views/upload.py", title="Upload", icon=":material/upload:", url_path="upload"),
            st.Page("pages/views/queue.py", title="Queue", icon=":material/pending_actions:", url_path="queue"),
            st.Page("pages/views/viewer.py", title="Viewer", icon=":material/radiology:", url_path="viewer"),
        ],
        "Study": [
            st.Page("pages/views/cohort.py", title="Cohort", icon=":material/groups:", url_path="cohort"),
            st.Page("pages/views/export.py", title="Export", icon=":material/download:", url_path="export"),
            st.Page("pages/views/about.py", title="About", icon=":material/info:", url_path="about"),
        ],
    }
)
shell.sidebar()
if shell.data_folder_is_ready():
    cache.start_worker()
    page.run()
