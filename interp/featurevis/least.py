"""Which image sizes a network can be looked at with, asked before the first step."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from interp.core.model import Model
from interp.errors import InterpError, Unsupported
from interp.featurevis.batching import keys_of, layers_of
from interp.featurevis.config import AscentConfig, Precision
from interp.featurevis.engine import Engine
from interp.featurevis.objective import Objective
from interp.featurevis.seeing import image_activations, read

Size = tuple[int, int]


@torch.no_grad()
def check_sizes(model: Model, objectives: Sequence[Objective], config: AscentConfig, sizes: Sequence[Size]) -> None:
    """Raise Unsupported where the model does not take images of ``sizes``, naming the least that work; UnknownName for a missing place."""
    made = Engine(model, Precision.FLOAT32)
    keys = keys_of(objectives, config)
    if not layers_of(keys):
        return
    for size in dict.fromkeys(sizes):
        try:
            read(made, keys, _grey(model, size))
        except Unsupported as error:
            least = least_side(made, keys, model.preprocess.size)
            if least is None or min(size) >= least:
                raise
            layers = ", ".join(f"'{name}'" for name in layers_of(keys))
            raise Unsupported(
                f"images of {size[0]} x {size[1]} px (rows x cols) are too small for {layers} of '{model.spec.reference}': "
                f"the least square ones that work have {least} x {least} px"
            ) from error
        every = list(dict.fromkeys((*objectives, *(w.objective for w in config.regularizers))))
        for count in {objective.images for objective in every}:
            grey = _grey(model, size).expand(count, -1, -1, -1)
            seen = image_activations(grey) | read(made, keys, grey)
            for objective in every:
                if objective.images == count:
                    objective(seen)


def least_side(made: Engine, keys: Sequence[str], own: Size) -> int | None:
    """The side of the smallest square images that give all ``keys``, up to the model's own size.

    None where not even these do, or a network takes single sizes only. Found by halving: what works for a size is taken
    to work for all larger ones.
    """

    def works(side: int) -> bool:
        try:
            read(made, keys, _grey(made.model, (side, side)))
        except (InterpError, RuntimeError, ValueError):
            return False
        return True

    low, high = 0, max(own)
    if not works(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if works(middle) else (middle, high)
    return high if works(high + 1) else None


def _grey(model: Model, size: Size) -> torch.Tensor:
    return torch.full((1, len(model.preprocess.mean), *size), 0.5, device=model.device)
