"""Lets torchvision import beside a CPU build of torch.

PyPI's torchvision is a CUDA build; beside a CPU-only torch its native library does not load and the import dies
with `operator torchvision::nms does not exist` (pytorch/vision issues 9077 and 9085). We use none of its operators:
declaring the two schemas it looks up at import is enough.
"""

from __future__ import annotations

import ctypes
import importlib.util
from functools import cache
from pathlib import Path
from typing import Any


@cache
def make_torchvision_importable() -> Any:
    """Call before the first import of segmentation_models_pytorch, timm or transformers.

    Returns the operator library that must stay alive, or None when torchvision's own library loads.
    """
    import torch

    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        return None
    for native in Path(spec.submodule_search_locations[0]).glob("_C*.so"):
        try:
            ctypes.CDLL(str(native))
            return None
        except OSError:
            continue
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    return library
