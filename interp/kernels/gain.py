"""How strongly a layer's channels answer to noise in the picture, beside how much they vary from picture to picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.model import Model
from interp.core.rng import content, generator

NOISE = 0.02
"""Standard deviation of the noise, of pixels in [0, 1]: about five steps of an 8-bit picture."""


def noise_gains(
    model: Model, images: Sequence[Float[Tensor, "c h w"]], layers: Sequence[str], seed: int, step_done: Callable[[int, int], None]
) -> Mapping[str, Float[np.ndarray, " channels"]]:
    """For each channel of each layer: root mean square change under noise / natural standard deviation, over pictures and places.

    A gain of 1: noise of `NOISE` moves the channel as far as going from place to place and picture to picture does. NaN where a channel
    does not vary. The noise of a picture depends on the picture and ``seed`` alone. A definition of this package, in the spirit of
    noise sensitivity (Arora, Ge, Neyshabur & Zhang 2018, arXiv 1802.05296), with the natural spread in place of the norm of the answer.
    """
    total: dict[str, np.ndarray] = {}
    places: dict[str, int] = {}
    for done, image in enumerate(images):
        step_done(done, len(images))
        noise = NOISE * torch.randn(image.shape, generator=generator(seed, "noise gain", content(image)))
        both = torch.stack([image.cpu(), image.cpu() + noise])
        with torch.no_grad():
            outputs, _ = model.capture(layers, both, truncate=True)
        for name in layers:
            calm, shaken = model.maps(name, outputs[name]).double().flatten(2).cpu().numpy()
            sums = np.stack([calm.sum(1), np.square(calm).sum(1), np.square(shaken - calm).sum(1)])
            total[name] = total.get(name, 0) + sums
            places[name] = places.get(name, 0) + calm.shape[1]
    step_done(len(images), len(images))
    return {name: _gain(total[name][0], total[name][1], total[name][2], places[name]) for name in layers}


def _gain(sums: np.ndarray, squares: np.ndarray, changes: np.ndarray, places: int) -> Float[np.ndarray, " channels"]:
    variance = squares / places - np.square(sums / places)
    # What is below this is the rounding of a mean.
    varied = variance > 1e-10 * squares / places
    result: np.ndarray = np.sqrt(np.divide(changes / places, variance, out=np.full_like(sums, np.nan), where=varied))
    return result
