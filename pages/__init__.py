"""The screens. Only packages live here: Streamlit would serve a module lying flat in `pages/` without app.py."""
