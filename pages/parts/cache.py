"""The only module that caches. Keys are primary keys, digests and plain settings, never arrays or rows."""

from __future__ import annotations

import streamlit as st

from db.engine import Database, open_database
from db.settings import Settings, read_settings
from thighseg_core.checkpoint import ModelCard, available_models, read_card


@st.cache_resource(show_spinner=False)
def settings() -> Settings:
    """The process's settings, read from the environment once."""
    return read_settings()


@st.cache_resource(show_spinner=False)
def database() -> Database:
    """The open database; created or brought up to date at the first call. Raises DatabaseError, which is not cached."""
    return open_database(settings().database_path)


@st.cache_resource(show_spinner=False)
def model_cards() -> tuple[ModelCard, ...]:
    """Cards of the networks shipped with trained weights."""
    return tuple(read_card(name) for name in available_models())
