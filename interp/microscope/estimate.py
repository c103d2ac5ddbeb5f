"""How long a build will take and how large the site will be, from a few measured steps before anything else is done."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import torch

from interp.core.model import Model
from interp.core.repeatable import on_threads
from interp.core.unit import Unit
from interp.featurevis import AscentConfig, Channel, Objective, visualize
from interp.microscope.optimizing import Kind
from interp.microscope.plan import Plan
from interp.microscope.store import Store

# Layers whose speed is measured, evenly over the depth; between them it is taken to change evenly.
_PROBED = 3
_STEPS = 4
# Of the time of the ascent: what is measured of the images and how the sheets of examples are drawn. Measured on the embedded network.
_BESIDE = 1.15
# What a pass takes beside the forward, as a share of it, where every convolution is looked at once.
_REDUCED = 0.3
# Bytes, measured on the embedded network: a page, a pixel of a sheet of photographs, a pixel of optimized images.
_PAGE, _SEEN, _MADE = 22_000, 0.17, 0.6


@dataclass(frozen=True)
class Estimate:
    """Seconds of the pass and of the units that are left, on so many workers; how many of the images are finished; bytes of the site."""

    layers: int
    units: int
    pictures: int
    seconds: float
    finished: int
    images: int
    size: int


def estimate(plan: Plan, pictures: int, workers: int, store: Store) -> Estimate:
    """What `build` will take for this plan; a few seconds. Raises InterpError where images of this size cannot be optimized at all."""
    model, layers = plan.model, plan.layers
    units = [plan.channels(layer) for layer in layers]
    with on_threads(plan.options.threads):
        rates = _rates(plan) if plan.optimizes else [0.0] * len(layers)
    with on_threads(plan.options.scan_threads):
        seconds = _forward(model) * pictures * (1 + _REDUCED * len(plan.points) / len(layers))
    finished = images = 0
    for layer, rate in zip(layers, rates, strict=True):
        for kind in plan.kinds_of(layer):
            faces = plan.options.faces if kind is Kind.DIVERSE else 1
            for channels in plan.chunks(layer):
                count = faces * len(channels)
                images += count
                # How far faces are held apart depends on the photographs, so theirs are not known yet.
                if kind is not Kind.DIVERSE and store.path(plan.optimize(layer, channels, kind, ()).key).is_file():
                    finished += count
                else:
                    seconds += _BESIDE * count * rate * plan.options.steps / max(1, workers)
    return Estimate(len(layers), sum(units), pictures, seconds, finished, images, _size(plan, sum(units)))


def _rates(plan: Plan) -> list[float]:
    """Seconds per image and step of each layer, on one worker."""
    places = sorted({int(k) for k in np.linspace(0, len(plan.layers) - 1, min(_PROBED, len(plan.layers))).round()})
    config = replace(plan.config, steps=_STEPS)
    measured = [_rate(plan.model, plan.layers[place], config, plan.options.chunk) for place in places]
    return [float(rate) for rate in np.interp(np.arange(len(plan.layers)), places, measured)]


def _rate(model: Model, layer: str, config: AscentConfig, chunk: int) -> float:
    wanted: list[Objective] = [Channel(Unit(layer, channel)) for channel in range(min(chunk, model.layer(layer).channels))]
    visualize(model, wanted, replace(config, steps=1), 0)
    since = time.perf_counter()
    visualize(model, wanted, config, 0)
    return (time.perf_counter() - since) / (_STEPS * len(wanted))


def _forward(model: Model, count: int = 8) -> float:
    """Seconds per picture of a plain forward."""
    images = torch.full((count, len(model.preprocess.mean), *model.preprocess.size), 0.5, device=model.device)
    with torch.no_grad():
        model(images[:1])
        since = time.perf_counter()
        model(images)
    return (time.perf_counter() - since) / count


def _size(plan: Plan, units: int) -> int:
    rows, cols = plan.tile
    options = plan.options
    tiles = 2 * options.top + options.maps + 2 * options.bottom
    made = sum(options.faces if kind is Kind.DIVERSE else 1 for kind in plan.kinds) * plan.size[0] * plan.size[1]
    return round(units * (_PAGE + _SEEN * tiles * rows * cols + _MADE * (made + 64 * 64)))
