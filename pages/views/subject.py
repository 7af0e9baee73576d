"""Subject: visits side by side."""

from __future__ import annotations

from pages.parts import shell


def page() -> None:
    """Draw the page."""
    shell.header("Subject", "Visits side by side.")


if __name__ == "__main__":
    page()
