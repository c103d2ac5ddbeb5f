"""interp looks inside vision networks and proves what it shows.

    import interp
    model = interp.load("resnet18")
    interp.kernels.of(model, "conv1")

Everything is loaded on first use: importing this package loads no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interp import (
        activations,
        attribution,
        comparisons,
        editing,
        featurevis,
        figures,
        kernels,
        masks,
        metrics,
        runs,
        site,
        synthetic,
        watching,
        zoo,
    )
    from interp.attribution import gradcam
    from interp.core.method import Heatmap
    from interp.core.model import Layer, Model
    from interp.core.unit import Unit
    from interp.editing import edited
    from interp.errors import InterpError
    from interp.images import Photo, Preprocess
    from interp.images import load as photos
    from interp.watching import watch
    from interp.zoo.loading import load

__version__ = "0.4.0"

# public name -> (module, attribute); an attribute of None is the module itself
_PUBLIC: dict[str, tuple[str, str | None]] = {
    "load": ("interp.zoo.loading", "load"),
    "photos": ("interp.images", "load"),
    "Photo": ("interp.images", "Photo"),
    "Preprocess": ("interp.images", "Preprocess"),
    "Unit": ("interp.core.unit", "Unit"),
    "Layer": ("interp.core.model", "Layer"),
    "Model": ("interp.core.model", "Model"),
    "Heatmap": ("interp.core.method", "Heatmap"),
    "InterpError": ("interp.errors", "InterpError"),
    "edited": ("interp.editing", "edited"),
    "watch": ("interp.watching", "watch"),
    "gradcam": ("interp.attribution.gradcam", None),
    **{
        name: (f"interp.{name}", None)
        for name in (
            "kernels",
            "activations",
            "featurevis",
            "attribution",
            "metrics",
            "synthetic",
            "masks",
            "comparisons",
            "editing",
            "figures",
            "runs",
            "site",
            "watching",
            "zoo",
        )
    },
}

__all__ = [
    "Heatmap",
    "InterpError",
    "Layer",
    "Model",
    "Photo",
    "Preprocess",
    "Unit",
    "activations",
    "attribution",
    "comparisons",
    "edited",
    "editing",
    "featurevis",
    "figures",
    "gradcam",
    "kernels",
    "load",
    "masks",
    "metrics",
    "photos",
    "runs",
    "site",
    "synthetic",
    "watch",
    "watching",
    "zoo",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'interp' has no attribute '{name}'")
    module, attribute = _PUBLIC[name]
    value = importlib.import_module(module)
    value = value if attribute is None else getattr(value, attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
