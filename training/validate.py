"""Validation on phantoms with known truth: writes docs/validation.md and the tables beneath it.

    python -m training.validate --output docs/validation                 the tables of measuring (true labels)
    python -m training.validate --output docs/validation --network manet also test and retest with a network's labels

The made-up people are kept in cache/phantoms; making one takes a minute or more.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from training.validate_flags import flag_table
from training.validate_retest import kernel_effect, precision, retest_table
from training.validate_truth import truth_table
from training.validation_people import PEOPLE, validation_person

FILES = {"kernel": "retest"}  # tables made from another one's values


def truth_summary(table: pd.DataFrame) -> pd.DataFrame:
    """By quantity, region and way of scanning: values, how many are missing, mean and largest error of the others."""
    given = table.assign(missing=table["measured"].isna(), size=table["error"].abs().where(table["measured"].notna()))
    given["signed"] = table["error"].where(table["measured"].notna())
    kinds = given["region"].where(given["region"].isin(["sartorius", "femur"]), "groups and total")
    by = given.groupby(["quantity", kinds.rename("of"), "case"], sort=False)
    out = by.agg(values=("size", "size"), missing=("missing", "sum"), mean=("signed", "mean"), largest=("size", "max"))
    return out.reset_index().sort_values(["quantity", "of"], kind="stable")


def as_table(frame: pd.DataFrame, *, digits: int = 2) -> str:
    """A Markdown table; numbers with `digits` decimals."""

    def cell(value: object) -> str:
        if isinstance(value, float):
            return "none" if pd.isna(value) else f"{value:.{digits}f}"
        return str(value)

    rows = [[str(name) for name in frame.columns], ["---"] * len(frame.columns)]
    rows += [[cell(value) for value in row] for row in frame.itertuples(index=False)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def write_page(folder: Path, page: Path) -> None:
    """Put the tables of `folder` into the marked places of the page; a table that is not there is left as it is."""
    text = page.read_text(encoding="utf-8")
    tables = {
        "truth": lambda: as_table(truth_summary(pd.read_csv(folder / "truth.csv"))),
        "flags": lambda: as_table(pd.read_csv(folder / "flags.csv")),
        "retest": lambda: as_table(precision(pd.read_csv(folder / "retest.csv"))),
        "kernel": lambda: as_table(kernel_effect(pd.read_csv(folder / "retest.csv"))),
        "retest_network": lambda: as_table(precision(pd.read_csv(folder / "retest_network.csv"))),
        "real_series": lambda: as_table(pd.read_csv(folder / "real_series.csv").drop(columns="unmarked")),
        "predicted_quality": lambda: _predicted(folder / "predicted_quality.csv"),
    }
    for name, made in tables.items():
        start, end = f"<!-- table: {name} -->\n", "<!-- end table -->"
        if start in text and (folder / f"{FILES.get(name, name)}.csv").exists():
            head, rest = text.split(start, 1)
            text = head + start + made() + "\n" + end + rest.split(end, 1)[1]
    page.write_text(text, encoding="utf-8")


def _predicted(path: Path) -> str:
    from training.calibrate_quality import summary

    wide = summary(pd.read_csv(path)).set_index("source").T.reset_index(names="")
    return as_table(wide.map(lambda value: f"{value:.2f}" if isinstance(value, float) else str(value)))


def main(output: Path, *, network: str | None, people: tuple[str, ...]) -> None:
    """All tables, then the page."""
    output.mkdir(parents=True, exist_ok=True)
    for name in people:
        validation_person(name)
    truth_table(people=people, output=output / "truth.csv")
    retest_table(people=people, output=output / "retest.csv")
    table = flag_table(people=people, output=output / "flags.csv")
    wrong = table[table["planted"] != table["raised"]]
    print(wrong.to_string() if len(wrong) else "every flag as planted")
    if network is not None:
        from thighseg_core.checkpoint import load_checkpoint
        from thighseg_core.segment import segment_with

        model = load_checkpoint(network, device="cpu")
        retest_table(
            people=people,
            label=lambda volume, _: segment_with(volume, model, device="cpu").label_map,
            output=output / "retest_network.csv",
        )
    write_page(output, output.with_suffix(".md"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("docs/validation"))
    parser.add_argument("--network", default=None)
    parser.add_argument("--people", nargs="+", choices=tuple(PEOPLE), default=tuple(PEOPLE))
    arguments = parser.parse_args()
    main(arguments.output, network=arguments.network, people=tuple(arguments.people))
