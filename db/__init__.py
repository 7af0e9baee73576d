"""The database, the files beside it and the queue: everything that outlives a page or a process.

`engine.open_database` gives the engines; the caller owns the transaction (`engine.session_scope`).
Nothing here imports streamlit; importing does nothing.
"""
