"""ThighSeg's dashboard. Start it with `streamlit run app.py` (or `make app`).

The same file is the web application (`app`, imported once by the server) and the script that draws each page.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import streamlit as st
from starlette.middleware import Middleware
from streamlit.runtime.pages_manager import PagesManager

from pages.parts import cache, ending, navigation, receiving, scan_routes, shell, staging

# Streamlit takes a folder called `pages` for its old multipage layout until st.navigation has run once: the first deep
# link after a start (/viewer?scan=3) would be answered with "page does not exist". Ours is an ordinary package.
PagesManager.uses_pages_directory = False


@asynccontextmanager
async def lifespan(app: st.App) -> AsyncIterator[None]:
    """What the server does before its first page."""
    del app
    ending.in_time()
    cache.read_ahead()
    yield


app = st.App(__file__, routes=scan_routes.routes(), middleware=[Middleware(receiving.ToDisk)], lifespan=lifespan)


def main() -> None:
    """One run of the script: the frame, then the page that the address asks for."""
    shell.configure()
    pages = navigation.sections()
    page = st.navigation(pages, position="hidden")
    shell.sidebar(pages)
    staging.prepare(to_disk=page.url_path == "upload")
    if shell.data_folder_is_ready():
        cache.start_worker()
        page.run()
        cache.settle(page.url_path)


if __name__ == "__main__":
    main()
