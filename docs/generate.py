"""Writes the parts of the documents that follow from the code: the file tree, the tables of numbers, the figures.

`make docs` rewrites them in place, between their marks; tests/test_documentation.py fails when one is out of date.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thighseg_core.checkpoint import ModelCard

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = ("README.md", "docs/numbers.md", "docs/models.md", "docs/agreement.md")
_BLOCK = re.compile(r"(<!-- generated: (?P<name>[a-z_]+) -->\n).*?\n?(<!-- end -->)", re.DOTALL)

# What a folder or a file that has no docstring is for, in the order of the tree.
PURPOSE = {
    "app.py": "",
    "pages/": "the dashboard; views are what a page shows, parts are what several pages use",
    "pages/assets/": "logo, and what the viewer runs in the browser",
    "pages/assets/niivue/": "NiiVue, the viewer of volumes, as one file with its licences",
    "pages/parts/": "",
    "pages/views/": "",
    "thighseg_core/": "the library: read, segment, measure; knows neither Streamlit nor the database",
    "thighseg_core/weights/": "the trained networks: model.safetensors and model.json each",
    "thighseg_core/export_readers/": "scripts in R, Python and Stata that go into every export and read it",
    "db/": "SQLite through SQLAlchemy, the stored scans, the queue and its worker",
    "db/migrations/": "the steps from one database schema to the next (Alembic)",
    "training/": "how the weights were made and scored, and the demo study",
    "training/readings/": "slices of real CT that AI readers drew for this project, as polygons",
    "training/readings/blind/": "reference slices that readers drew without knowing them",
    "tests/": "one file for each module, and tests of architecture, documents, app and browser",
    "docs/": "how numbers are defined, the networks, installing, operating; generate.py keeps their tables true",
    "requirements.txt": "pinned packages",
    "requirements-dev.txt": "pinned packages for the tests",
    "pyproject.toml": "settings of ruff, mypy and pytest",
    "Makefile": "setup, demo, app, test; `make help` lists all",
    ".streamlit/": "settings and colours of the dashboard's server",
    ".ci/": "what continuous integration runs",
    ".gitignore": "what is never committed",
    "CHANGELOG.md": "what changed, and which changes alter a measured number",
    "LICENSE": "Apache License 2.0",
    "NOTICE": "the data that the weights were made from and tested on",
    "README.md": "this page",
}
LONGEST_LINE = 100
PACKAGES = ("pages", "thighseg_core", "db", "training")


def tracked_files() -> list[str]:
    """Every file of the project, POSIX paths; what git tracks, or everything where there is no git."""
    done = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True)
    if done.returncode == 0 and done.stdout:
        return sorted(name for name in done.stdout.split("\0") if name and (ROOT / name).exists())
    skip = {".git", ".venv", "data", "out", "runs", "__pycache__"}
    found = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in found if not skip & set(path.parts))


def purpose(name: str) -> str:
    """One line on a file or folder: from the table above, or the first sentence of its docstring."""
    if PURPOSE.get(name):
        return PURPOSE[name]
    source = ROOT / (f"{name}__init__.py" if name.endswith("/") else name)
    if source.suffix != ".py" or not source.exists():
        raise SystemExit(f"say in docs/generate.py, PURPOSE, what {name} is for")
    text = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    paragraph = " ".join(re.split(r"\n\s*\n", text.strip())[0].split())
    if not paragraph:
        raise SystemExit(f"{source.relative_to(ROOT)} needs a docstring that says what it is for")
    first = re.split(r"(?<!al)(?<=[.])\s(?=[A-Z`])", paragraph)[0]  # not after "et al."
    return (paragraph if len(paragraph) <= LONGEST_LINE else first).rstrip(".")


def file_tree() -> str:
    """Top-level entries, and below the packages every module, one line each."""
    files = tracked_files()
    entries = {f"{name.split('/')[0]}/" if "/" in name else name for name in files}
    unknown = sorted(entries - set(PURPOSE))
    if unknown:
        raise SystemExit(f"say in docs/generate.py, PURPOSE, what these are for: {', '.join(unknown)}")
    lines: list[tuple[int, str, str]] = []
    for entry in (name for name in PURPOSE if name in entries):
        lines.append((0, entry, purpose(entry)))
        if entry.rstrip("/") in PACKAGES:
            lines += _below(entry, files, depth=1)
    width = max(2 * depth + len(name) for depth, name, _ in lines) + 2
    return "\n".join(["```", *(f"{'  ' * depth + name:<{width}}{text}" for depth, name, text in lines), "```"])


def _below(folder: str, files: list[str], *, depth: int) -> Iterable[tuple[int, str, str]]:
    inside = [name.removeprefix(folder) for name in files if name.startswith(folder)]
    modules = sorted(name for name in inside if "/" not in name and name.endswith(".py") and name != "__init__.py")
    for name in modules:
        yield depth, name, purpose(folder + name)
    for name in sorted({f"{part.split('/')[0]}/" for part in inside if "/" in part}):
        path = folder + name
        if not any(file.endswith((".py", ".json")) for file in files if file.startswith(path)):
            continue  # pictures
        yield depth, name, purpose(path)
        if path not in ("db/migrations/", "thighseg_core/weights/"):
            yield from _below(path, files, depth=depth + 1)


def table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    """A Markdown table."""
    cells = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in cells)


def labels() -> str:
    """Every value of a label map with its name and colour."""
    from thighseg_core.labels import COLOURS, LABELS

    colour = {name: COLOURS.get(re.sub("_(left|right)$", "", name), "") for name in LABELS.values()}
    return table(("value", "label", "colour"), ((v, f"`{n}`", colour[n] or "none") for v, n in LABELS.items()))


def groups() -> str:
    """Which muscles make up which group."""
    from thighseg_core.labels import GROUP_MAP, GROUP_MAP_VERSION

    rows = ((f"`{name}`", ", ".join(muscles)) for name, muscles in GROUP_MAP.items())
    return f"Group map, version {GROUP_MAP_VERSION}:\n\n" + table(("group", "muscles"), rows)


def regions() -> str:
    """What a number can be about."""
    from thighseg_core.metrics import REGION_DESCRIPTIONS, REGION_SHORT, REGIONS

    rows = ((f"`{name}`", f"`{REGION_SHORT[name]}`", REGION_DESCRIPTIONS[name]) for name in REGIONS)
    return table(("region", "in wide columns", "what it is"), rows)


def metrics() -> str:
    """Every metric with its unit and definition."""
    from thighseg_core.metrics import METRICS, Metric

    def sides(metric: Metric) -> str:
        return "" if len(metric.sides) == 3 else f" ({' and '.join(metric.sides)} only)"

    rows = (
        (f"`{m.name}`", m.unit, ", ".join(m.regions) + sides(m), ", ".join(m.extents), m.description)
        for m in METRICS.values()
    )
    return table(("metric", "unit", "regions", "extents", "definition"), rows)


def extents() -> str:
    """Over what a value is taken."""
    from thighseg_core.metrics import EXTENT_DESCRIPTIONS, EXTENT_SHORT

    rows = (
        (f"`{name}`", f"`{EXTENT_SHORT[name]}_`" if EXTENT_SHORT[name] else "nothing", text)
        for name, text in EXTENT_DESCRIPTIONS.items()
    )
    return table(("extent", "in front of wide columns", "what it is"), rows)


def landmarks() -> str:
    """The points that are looked for on each leg."""
    from thighseg_core.landmarks import POINT_DESCRIPTIONS

    return table(("landmark", "what it is"), ((f"`{name}`", text) for name, text in POINT_DESCRIPTIONS.items()))


def divisors() -> str:
    """What sizes are divided by."""
    from thighseg_core.normalise import DIVISORS

    rows = ((f"`{d.name}`", d.suffix, d.description) for d in DIVISORS.values())
    return table(("divisor", "unit becomes", "what it is"), rows)


def histogram_columns() -> str:
    """The columns of histograms.csv."""
    from thighseg_core.histogram import HISTOGRAM_COLUMN_DESCRIPTIONS

    return table(("column", "meaning"), ((f"`{n}`", text) for n, text in HISTOGRAM_COLUMN_DESCRIPTIONS.items()))


def presets() -> str:
    """The Hounsfield ranges."""
    from thighseg_core.tissue import DEFAULT_PRESET, PRESETS

    def row(name: str) -> tuple[object, ...]:
        preset = PRESETS[name]
        ranges = (f"{low} to {high}" for low, high in preset.ranges().values())
        quiet = "as it is" if preset.quiet_hu is None else f"above {preset.quiet_hu:.0f} HU"
        return (f"`{name}`" + (" (default)" if preset == DEFAULT_PRESET else ""), *ranges, quiet, preset.citation)

    names = tuple(DEFAULT_PRESET.ranges())
    header = ("preset", *(f"{name} (HU)" for name in names), "noise smoothed out", "source")
    return table(header, map(row, PRESETS))


def columns() -> str:
    """The columns of the long CSV."""
    from thighseg_core.export import COLUMN_DESCRIPTIONS

    return table(("column", "meaning"), ((f"`{name}`", text) for name, text in COLUMN_DESCRIPTIONS.items()))


def scan_columns() -> str:
    """The columns of the table of scans."""
    from thighseg_core.export_scans import SCAN_COLUMN_DESCRIPTIONS

    return table(("column", "meaning"), ((f"`{name}`", text) for name, text in SCAN_COLUMN_DESCRIPTIONS.items()))


def wide() -> str:
    """The value columns of the wide table: one pattern a metric and region."""
    from thighseg_core.export import wide_name
    from thighseg_core.metrics import METRICS, SIDE_SHORT, Metric

    def names(metric: Metric) -> str:
        return ", ".join(
            "`"
            + wide_name(region, "left", metric.name, extent=extent).replace(f"_{SIDE_SHORT['left']}_", "_*_", 1)
            + "`"
            for extent in metric.extents
            for region in metric.regions
        )

    rows = ((f"`{m.name}`", names(m)) for m in METRICS.values())
    return table(("metric", f"columns, * is one of {', '.join(SIDE_SHORT.values())}"), rows)


def flags() -> str:
    """Every quality flag; those of segmentation, which have no table of their own, are described here."""
    from thighseg_core.quality import FLAG_DESCRIPTIONS
    from thighseg_core.quality_study import STUDY_FLAG_DESCRIPTIONS

    of_segmentation = {
        "not_a_thigh": "The network found no femur with thigh muscles around it; nothing is labelled.",
        "network_disagreement": "The network answers otherwise to the mirror image: a group over the whole scan, or "
        "single slices (limits our convention).",
        "side_check": "Left or right of a leg could not be told for certain, or two cues disagree.",
        "computing": "The run did not go as asked (such as the GPU being short of memory); the result is the same.",
    }
    rows = {**FLAG_DESCRIPTIONS, **STUDY_FLAG_DESCRIPTIONS, **of_segmentation}
    return table(("flag", "meaning"), ((f"`{code}`", text) for code, text in rows.items()))


def _facts(section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """(name, text) of every entry of a model card's section, nested ones with the outer name in front."""
    for key, value in section.items():
        name = f"{prefix}{str(key).replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield from _facts(value, f"{name}, ")
        elif isinstance(value, float):
            yield name, f"{value:.3f}" if abs(value) < 10 else f"{value:g}"
        elif isinstance(value, (list, tuple)):
            yield name, ", ".join(map(str, value))
        else:
            yield name, str(value)


def _cards() -> list[ModelCard]:
    from thighseg_core.checkpoint import available_models, read_card

    return [read_card(name) for name in available_models()]


def validation() -> str:
    """What the shipped networks reach on real scans, from their model cards (`training.evaluate` writes them)."""
    parts = []
    for card in _cards():
        real = card.validation.get("real")
        if not real:
            parts.append(f"`{card.network}` {card.version}: not tested on real scans, only on synthetic ones.")
            continue
        rows = [
            (level, name, score["n"], f"{score['dice_mean']:.3f}", f"{score['dice_worst']:.3f}", score["worst_case"],
             f"{score['area_error_percent']:+.1f} %")
            for level in ("shaft", "all")
            for name, score in real[level].items()
        ]  # fmt: skip
        head = ("level", "structure", "slices", "Dice, mean", "Dice, worst", "worst slice", "area error, mean")
        parts.append(
            f"`{card.network}` {card.tested_version}, {real['slices']} slices of {real['scans']} scans; "
            f"reference: {real['reference']}.\n\n" + table(head, rows)
        )
    return "\n\n".join(parts) or "No trained network is shipped yet."


def drawn_slices() -> str:
    """Everything that was measured on the drawn slices, from the model cards."""
    means = ("sensitivity", "specificity", "accuracy", "hd95_mm", "assd_mm", "surface_dice_1mm", "surface_dice_2mm")
    head = ("slices", "structure", "n", "Dice", "sensitivity", "specificity", "accuracy", "HD95, mm", "ASSD, mm",
            "surface Dice 1 mm", "2 mm", "area ICC(A,1)", "area bias, %", "limits of agreement, %")  # fmt: skip

    def number(facts: Mapping[str, Any], name: str, digits: int = 3) -> str:
        value = facts.get(name)
        return "NA" if value is None else f"{value:.{digits}f}"

    def ranged(facts: Mapping[str, Any], name: str, digits: int) -> str:
        value, low, high = (number(facts, f"{name}{end}", digits) for end in ("", "_low", "_high"))
        return value if low == "NA" else f"{value} ({low} to {high})"

    parts = []
    for card in _cards():
        real = card.validation.get("real", {})
        rows = [
            (level, name, facts["n"], ranged(facts, "dice_mean", 3),
             *(number(facts, key, 2 if key.endswith("_mm") else 3) for key in means),
             ranged(facts, "icc_a1", 3), ranged(facts, "bias_percent", 1),
             f"{number(facts, 'loa_lower_percent', 1)} to {number(facts, 'loa_upper_percent', 1)}")
            for level in ("shaft", "all", "female", "male")
            for name, facts in real.get(level, {}).items()
        ]  # fmt: skip
        if rows:
            parts.append(f"`{card.network}` {card.tested_version}:\n\n" + table(head, rows))
    return "\n\n".join(parts) or "No network was scored on drawn slices yet."


def comparison_metrics() -> str:
    """What two label maps are compared by."""
    from thighseg_core.comparison import DESCRIPTIONS, OVERLAP_METRICS, QUANTITY_METRICS

    units = {**OVERLAP_METRICS, **QUANTITY_METRICS}
    return table(
        ("metric", "unit", "meaning"), ((f"`{name}`", units[name], text) for name, text in DESCRIPTIONS.items())
    )


def agreement_columns() -> str:
    """The columns of agreement.csv."""
    from db.agreement import AGREEMENT_COLUMNS

    return table(("column", "meaning"), ((f"`{name}`", text) for name, text in AGREEMENT_COLUMNS.items()))


def model_cards() -> str:
    """Everything that the model cards say."""
    parts = []
    for card in _cards():
        facts = [
            ("version", card.version),
            ("weights, SHA-256", f"`{card.weights_sha256}`"),
            ("pixel size", f"{card.preprocessing.spacing_mm} mm"),
            ("attenuation clipped to", "{:g} to {:g} HU".format(*card.preprocessing.clip_hu)),
            *_facts(card.training),
            *_facts({name: part for name, part in card.validation.items() if name != "real"}),  # has tables of its own
        ]
        parts.append(f"### {card.network}\n\n" + table(("", ""), facts))
    return "\n\n".join(parts) or "No trained network is shipped yet."


BLOCKS: dict[str, Callable[[], str]] = {
    "file_tree": file_tree,
    "labels": labels,
    "groups": groups,
    "regions": regions,
    "metrics": metrics,
    "extents": extents,
    "landmarks": landmarks,
    "divisors": divisors,
    "histogram_columns": histogram_columns,
    "presets": presets,
    "columns": columns,
    "scan_columns": scan_columns,
    "wide": wide,
    "validation": validation,
    "model_cards": model_cards,
    "drawn_slices": drawn_slices,
    "comparison_metrics": comparison_metrics,
    "agreement_columns": agreement_columns,
    "flags": flags,
}


def regenerated(text: str) -> str:
    """The text with every generated block made anew."""
    return _BLOCK.sub(lambda match: match[1] + BLOCKS[match["name"]]() + "\n" + match[3], text)


def main() -> None:
    """Rewrite the documents that changed."""
    for name in DOCUMENTS:
        path = ROOT / name
        before = path.read_text(encoding="utf-8")
        after = regenerated(before)
        if after != before:
            path.write_text(after, encoding="utf-8")
            sys.stdout.write(f"rewrote {name}\n")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
