"""What chance would do: random images that are as far from a photograph as an optimized one is."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float

from interp.featurevis.quality import random_phases, rounded

DRAWS = 8


def scrambled(
    photo: Float[np.ndarray, "h w 3"], image: Float[np.ndarray, "h w 3"], generator: torch.Generator, draws: int = DRAWS
) -> Float[np.ndarray, "draws h w 3"]:
    """``photo`` plus what leads from it to ``image`` with random phases: a change of the same spectrum that means nothing.

    All are [0, 1] RGB; what leaves that range is clipped, and the images hold 8 bits.
    """
    return rounded(photo + random_phases(image - photo, draws, generator))


def noise_like(photo: Float[np.ndarray, "h w 3"], generator: torch.Generator, draws: int = DRAWS) -> Float[np.ndarray, "draws h w 3"]:
    """Random images with the spectrum and the mean colour of ``photo``, in 8 bits; what leaves [0, 1] is clipped."""
    return rounded(random_phases(photo, draws, generator))
