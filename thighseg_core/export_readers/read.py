"""Reads an export of ThighSeg with pandas: python read.py FOLDER."""

import sys
from pathlib import Path

import pandas as pd


def read_thighseg(folder: str, table: str) -> pd.DataFrame:
    """One table of the unpacked export; NA is missing, the subject's code stays text."""
    return pd.read_csv(
        Path(folder) / f"{table}.csv",
        na_values=["NA"],
        keep_default_na=False,
        dtype={"subject_id": str},
        low_memory=False,
    )


if __name__ == "__main__" and len(sys.argv) > 1:
    long, wide, scans = (read_thighseg(sys.argv[1], table) for table in ("long", "wide", "scans"))
    lean = long[(long["metric"] == "lean_volume") & (long["side"] == "both") & (long["extent"] == "full")]
    sys.stdout.write(f"long {len(long)} wide {len(wide)} scans {len(scans)}\n")
    sys.stdout.write(lean.groupby("region")["value"].describe()[["count", "mean", "std"]].to_string() + "\n")
