"""Real series measured: what is cut away, what is missing, what is flagged, and a picture of each to look at.

    python -m training.real_check --data ../shared/data --labels runs/labels --output docs/validation

labels: the label map of each series, made before with the network: <series>.npz (canonical axes) or <series>.nii.gz.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from thighseg_core.analyse import measure_only
from thighseg_core.axial import axial_view
from thighseg_core.labels import GROUPS, SIDES, LabelMap, label_value
from thighseg_core.nifti import read_labels
from thighseg_core.overlay import overlay_slice
from thighseg_core.preprocess import canonical_axes
from thighseg_core.reading import find_series, load_series
from thighseg_core.volume import CTVolume

TILE_PX = 220
SIZES = ("volume", "lean_volume", "csa_max")


def check_series(name: str, volume: CTVolume, labels: LabelMap) -> dict[str, object]:
    """One row: the flags raised, and whether a number was given where the structure is cut away."""
    analysis = measure_only(volume, labels)
    view = axial_view(volume.geometry)
    planes = view.slices(labels.labels)
    cut = {
        (group, side)
        for group in GROUPS
        for side in SIDES
        for value in [label_value(group, side)]
        if (planes[[0, -1]] == value).any()
        or (planes[:, [0, -1], :] == value).any()
        or (planes[:, :, [0, -1]] == value).any()
    }
    unmarked = [
        f"{m.region} {m.side} {m.extent} {m.metric}"
        for m in analysis.measurements
        if (m.region, m.side) in cut and m.metric in SIZES and m.extent in ("full", "femur_20_80") and m.status == "ok"
    ]
    whole_leg = [m for m in analysis.measurements if m.extent == "femur_20_80" and m.metric == "volume"]
    codes = Counter(flag.code for flag in analysis.flags)
    return {
        "series": name,
        "slices": view.n_slices,
        "groups cut by the scan": len(cut),
        "sizes of cut groups not marked": len(unmarked),
        "standard volumes given": sum(m.value is not None for m in whole_leg),
        "flags": " ".join(f"{code} {count}" for code, count in sorted(codes.items())),
        "unmarked": "; ".join(unmarked),
    }


def tile(name: str, volume: CTVolume, labels: LabelMap) -> Image.Image:
    """The slice with most muscle, labels drawn in."""
    view = axial_view(volume.geometry)
    muscle = (np.isin(view.slices(labels.labels), range(1, 9))).sum(axis=(1, 2))
    k = int(muscle.argmax()) if muscle.any() else view.n_slices // 2
    picture = overlay_slice(
        view.picture(volume.attenuation_hu, k),
        view.picture(labels.labels, k),
        opacity=0.4,
        window_centre_hu=40,
        window_width_hu=400,
    )
    image = Image.fromarray(picture)
    image.thumbnail((TILE_PX, TILE_PX))
    out = Image.new("RGB", (TILE_PX, TILE_PX + 14))
    out.paste(image, ((TILE_PX - image.width) // 2, 14))
    ImageDraw.Draw(out).text((3, 1), f"{name}, slice {k + 1}", fill="white")
    return out


def contact_sheet(tiles: list[Image.Image], *, columns: int = 6) -> Image.Image:
    """All tiles in rows."""
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * TILE_PX, rows * (TILE_PX + 14)))
    for number, one in enumerate(tiles):
        sheet.paste(one, (number % columns * TILE_PX, number // columns * (TILE_PX + 14)))
    return sheet


def check_all(*, data: Path, labels: Path, output: Path, pictures: Path) -> pd.DataFrame:
    """real_series.csv of every series whose labels are there, and a picture of all of them in `pictures`."""
    rows, tiles = [], []
    for folder in sorted((data / "ct_sarcoma").glob("STS_*")):
        found = [path for path in labels.glob(f"{folder.name}.*") if path.suffix in (".npz", ".gz")]
        if not found:
            continue
        with tempfile.TemporaryDirectory() as work:
            volume = load_series(find_series(folder / "CT", work_dir=Path(work)).series[0])
        if found[0].suffix == ".npz":
            with np.load(found[0]) as stored:
                canonical = stored["labels"]
            source = np.ascontiguousarray(canonical_axes(volume.geometry).undo(canonical))
            label_map = LabelMap(source, volume.geometry)
        else:
            label_map = read_labels(found[0], like=volume.geometry)
        rows.append(check_series(folder.name, volume, label_map))
        tiles.append(tile(folder.name, volume, label_map))
        print(f"{folder.name}: {rows[-1]['flags']}", flush=True)
        pd.DataFrame(rows).to_csv(output / "real_series.csv", index=False, lineterminator="\n")
    pictures.mkdir(parents=True, exist_ok=True)
    contact_sheet(tiles).save(pictures / "real_series.png", optimize=True)
    return pd.DataFrame(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("docs/validation"))
    parser.add_argument("--pictures", type=Path, default=Path("runs/real_check"))
    arguments = parser.parse_args()
    table = check_all(
        data=arguments.data, labels=arguments.labels, output=arguments.output, pictures=arguments.pictures
    )
    print(table.drop(columns="flags").to_string())
