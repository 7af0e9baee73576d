"""About: what this is, how numbers are defined, limits, licences and how to cite."""

from __future__ import annotations

import streamlit as st

from pages.parts import charts, shell, words
from thighseg_core import __version__
from thighseg_core.labels import GROUP_MAP, GROUP_MAP_VERSION, LABEL_SCHEME, LABELS
from thighseg_core.metrics import METRICS, REGION_DESCRIPTIONS
from thighseg_core.tissue import DEFAULT_PRESET, PRESETS

_PAPER = (
    "Kim YJ, Kim J-E, Park Y, Chai JW, Kim KG, Choi J-Y. *Diagnostics* 2025;15(22):2823. "
    "[doi 10.3390/diagnostics15222823](https://doi.org/10.3390/diagnostics15222823)"
)


def page() -> None:
    """Draw the page."""
    shell.header("About ThighSeg", "Thigh muscle groups from CT: segmented, measured, reviewed, compared, exported.")
    st.warning(f"**{shell.RESEARCH_USE}**", icon=":material/science:")
    definitions, limits, citing = st.tabs(["Definitions", "Limits", "Citing and licences"])
    with definitions:
        _definitions()
    with limits:
        _limits()
    with citing:
        _citing()


def _definitions() -> None:
    st.subheader("Muscle groups", anchor=False)
    st.markdown(
        f"Our convention (group map version {GROUP_MAP_VERSION}). A group's mask includes the fat inside its muscles "
        f"and "
        "excludes the fat, vessels and nerves between them. Left and right are the patient's."
    )
    rows = "".join(
        '<tr><td style="white-space:nowrap">'
        f'<span style="display:inline-block;width:.8rem;height:.8rem;border-radius:2px;'
        f'background:{charts.region_colour(group)}"></span> {words.region_title(group)}</td>'
        f"<td>{', '.join(muscles)}</td></tr>"
        for group, muscles in {**GROUP_MAP, "sartorius": ("sartorius, kept apart",)}.items()
    )
    st.html(f'<table style="border-spacing:1rem .3rem;border-collapse:separate">{rows}</table>')
    st.subheader("Attenuation", anchor=False)
    st.markdown(
        "Both ends of a range count; attenuation that is no whole number is rounded first. Every number carries the "
        f"name of its preset. Results use **{DEFAULT_PRESET.name}**."
    )
    st.table(
        [
            {"Preset": preset.name}
            | {f"{name.capitalize()} (HU)": f"{low} to {high}" for name, (low, high) in preset.ranges().items()}
            | {"Source": preset.citation}
            for preset in PRESETS.values()
        ],
        border="horizontal",
    )
    st.subheader("Measurements", anchor=False)
    st.markdown("Counted on the scan's own voxels, never on a resampled image.")
    st.table(
        [
            {
                "Name": words.metric_title(m.name),
                "Meaning": m.description,
                "Unit": words.unit_text(m.unit),
                "In the CSV": m.name,
            }
            for m in METRICS.values()
        ],
        border="horizontal",
    )
    with st.expander("Regions and label values"):
        st.table(
            [{"Region": words.region_title(name), "Meaning": text} for name, text in REGION_DESCRIPTIONS.items()],
            border="horizontal",
        )
        st.markdown(f"Label scheme `{LABEL_SCHEME}`: " + ", ".join(f"{value} {name}" for value, name in LABELS.items()))


def _limits() -> None:
    st.markdown(
        "- **Nothing here is a diagnosis.** No consensus on sarcopenia gives a cut-off for thigh CT, so none is "
        "shown.\n"
        "- **Volumes depend on the length scanned.** They are comparable only between scans that cover the same part "
        "of "
        "the leg. A structure cut by the end of the scan keeps its value and gets a flag.\n"
        "- **Mid-thigh needs the femur's ends in view.** Where one is missing the place is estimated, some 20 to 40 mm "
        "unsure, and flagged.\n"
        "- **Attenuation shifts with tube voltage, contrast agent and kernel.** The cohort page warns when they are "
        "mixed.\n"
        "- **Fat is the least certain number**, in this as in every method: thin fat between and inside muscles is "
        "lost or "
        "gained with noise and slice thickness.\n"
        "- **Metal, tumours and oedema** are outside of what the network has learned. Look at the overlay before a "
        "number "
        "is believed; that is what the review is for.\n"
        "- A good overlap does not guarantee a good volume: nested outlines with a Dice of 0.96 can differ by 8 % in "
        "volume."
    )


def _citing() -> None:
    st.markdown(
        f"Please cite the study whose task and networks this software follows:\n\n{_PAPER}\n\n"
        "Its weights, code and definitions are not public. The group map, attenuation ranges, networks' sizes and "
        "training "
        "of ThighSeg are our own and are not those of the paper.\n\n"
        f"Software: ThighSeg {__version__}, Apache License 2.0 (`LICENSE`). Sources of the training data and their "
        f"licences "
        "are listed in `NOTICE`."
    )
    st.markdown(
        "Colours: Okabe and Ito, *Color Universal Design*, 2008, told apart with any colour vision. "
        "Numbers: see the tab *Definitions*; every exported row names software version, commit, network, weights and "
        "preset."
    )


if __name__ == "__main__":
    page()
