"""``Timeline``: what is known of a network at several moments of its training, of the same layers and probe at each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

MOST_MOMENTS = 48
"""Moments that filters and maps are followed through, evenly over those there are; curves of numbers have them all."""


@dataclass(frozen=True, eq=False)
class Curve:
    """A number at some steps, in order; NaN where it was not finite."""

    name: str
    steps: Int[np.ndarray, " n"]
    values: Float[np.ndarray, " n"]


@dataclass(frozen=True, eq=False)
class Probe:
    """One photograph at every moment.

    ``picture`` in [0, 1], as the network sees it; ``activations`` of one ``unit`` each, by layer, and signed ``gradcam`` by layer, in
    the score's unit; ``explained``: the class that Grad-CAM is of, at each moment.
    """

    name: str
    picture: Float[np.ndarray, "h w 3"]
    activations: Mapping[str, Float[np.ndarray, "moments _ _"]]
    units: Mapping[str, str]
    gradcam: Mapping[str, Float[np.ndarray, "moments _ _"]]
    explained: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class UnitImages:
    """What was optimized for ``units`` at every moment, each image from where that of the moment before had ended.

    ``scores`` are what the ascent reached, in the unit of the activation or score; ``silent``: the unit never fired, so that there was
    nothing to climb.
    """

    units: tuple[str, ...]
    images: UInt8[np.ndarray, "moments units h w 3"]
    scores: Float[np.ndarray, "moments units"]
    silent: Bool[np.ndarray, "moments units"]


@dataclass(frozen=True, eq=False)
class Timeline:
    """A network at ``steps``, which ``names`` stand for in figures; ``axis`` says what they count.

    ``weights`` by layer; ``noise_p`` of the same layers (`interp.kernels.noise`), NaN where it was not asked; ``coloured`` are the layers
    that see red, green and blue. ``summaries``: of every convolution, the means over its filters and shares of them
    (`interp.watching.filters.summed_up`); ``numbers``: what the user gave, such as the loss. ``matched``: units were matched from
    moment to moment, rather than kept by their index. ``images`` of units, where some were optimized.
    ``notes`` are sentences on what is left out, or was done to the units.
    """

    reference: str
    axis: str
    steps: tuple[int, ...]
    names: tuple[str, ...]
    weights: Mapping[str, Float[np.ndarray, "moments _ _ _ _"]]
    noise_p: Mapping[str, Float[np.ndarray, "moments _"]]
    coloured: frozenset[str]
    summaries: Mapping[str, Mapping[str, Curve]]
    numbers: tuple[Curve, ...] = ()
    probe: Probe | None = None
    notes: tuple[str, ...] = ()
    matched: bool = False
    images: UnitImages | None = None

    @property
    def filters(self) -> dict[str, int]:
        """How many filters each layer has."""
        return {layer: weights.shape[1] for layer, weights in self.weights.items()}
