"""What tests of objectives share: activations of a model as objectives read them, and a short ascent that must raise scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from interp.core.model import Model
from interp.core.unit import Unit
from interp.featurevis import NONE, AscentConfig, Objective, Pixels, visualize
from interp.featurevis.config import Precision
from interp.featurevis.objective import ALPHA, IMAGE, layer_of, source_of

# Small steps: a target is soon overshot.
FEW = AscentConfig(steps=5, rate=0.05, transform=NONE, precision=Precision.FLOAT32)
# From noise with contrast: penalties are nearly nothing on the usual near-grey start.
LOUD = replace(FEW, param=Pixels(sd=2.0))


def noise(count: int, size: tuple[int, int] = (32, 32), seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(seed))


def seen(model: Model, objective: Objective, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """What ``objective`` reads of ``images``, each key captured by itself."""
    found = {IMAGE: images, ALPHA: torch.ones_like(images[:, :1])}
    for key in objective.layers:
        source = source_of(key)
        if source is not None:
            output = model.capture([source], images)[0][source]
            found[key] = model.maps(key, output) if key == layer_of(key) else output
    return found


def check_raised(model: Model, wanted: Sequence[Unit | Objective], config: AscentConfig = FEW) -> None:
    """Five steps of gradient ascent raise each score, summed over the images that belong together."""
    features = iter(visualize(model, wanted, config, 0))
    for item in wanted:
        together = [next(features) for _ in range(item.images if isinstance(item, Objective) else 1)]
        before, after = sum(f.scores[0] for f in together), sum(f.final for f in together)
        assert after > before, f"{item}: {before} -> {after}"
        assert not any(f.dead for f in together)
