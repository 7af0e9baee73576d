"""One module a page; `app.py` lists them for st.navigation."""
