"""When a map can be no evidence: what can be told from its values alone."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from interp.core.method import Degeneration, Fault
from interp.core.unit import Unit

# Below this many places a map that sits at its extreme is nothing unusual: a grid of 3 x 3 has few places to choose from.
_ENOUGH_PLACES = 16

# Differences below this share of the largest magnitude are rounding.
_ROUNDING = 1e-6


def of_values(values: Float[np.ndarray, "rows cols"]) -> tuple[Degeneration, ...]:
    """What is wrong with a map's ``values``: not finite, all zero, or saturated; () where nothing is.

    At most one is reported, in this order. A map is saturated where its two or more places hold one value other than
    zero, up to rounding, or where more than half of 16 or more places hold exactly the largest magnitude.
    """
    bad = int((~np.isfinite(values)).sum())
    if bad:
        sentence = f"{bad} of {values.size} values are NaN or infinite: check the weights, the images and the precision"
        return (Degeneration(Fault.NOT_FINITE, "not finite", sentence),)
    if not np.any(values):
        sentence = "every value is exactly zero: no place speaks for or against the unit, so the map is no evidence"
        return (Degeneration(Fault.ZERO, "zero map", sentence),)
    magnitude = np.abs(values)
    largest = magnitude.max()
    if values.size > 1 and values.max() - values.min() <= _ROUNDING * largest:
        sentence = "every place has the same value: the map tells no places apart"
        return (Degeneration(Fault.SATURATED, "constant map", sentence),)
    extreme = int((magnitude == largest).sum())
    if values.size >= _ENOUGH_PLACES and 2 * extreme > values.size:
        sentence = f"{extreme} of {values.size} places have the largest magnitude: the map cannot rank them"
        return (Degeneration(Fault.SATURATED, "saturated", sentence),)
    return ()


def class_token_only(name: str) -> Degeneration:
    """Of a layer of tokens whose gradient is on its class or register tokens alone."""
    sentence = (
        f"the score reaches the class or register tokens of '{name}' alone, so its places have no gradient: "
        "choose a layer before the last attention, such as the last block's first norm or the output of the block before"
    )
    return Degeneration(Fault.CLASS_TOKEN_ONLY, "class token only", sentence)


def beyond_place(unit: Unit) -> Degeneration:
    """Of a map whose channels have one weight each, where ``unit`` is one place of its layer."""
    assert unit.at is not None
    sentence = (
        f"each channel has one weight, over all places, so the map of '{unit}' is not kept to what is seen at row {unit.at[0]}, column "
        f"{unit.at[1]}: methods that weigh place by place are, such as hirescam, layercam and saliency"
    )
    return Degeneration(Fault.BEYOND_PLACE, "not kept to the place", sentence)
