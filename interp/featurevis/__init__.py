"""Feature visualization: images optimized for what a unit responds to.

Four nouns: `objective` (what is maximised), `param` (what is optimized), `transform` (how the image is moved
before each step), `ascent` (the steps).
"""

from interp.featurevis.ascent import AscentConfig, Feature, visualize
from interp.featurevis.objective import Objective
from interp.featurevis.param import Fourier, ImageParam, Pixels
from interp.featurevis.regularizers import L1, L2, TotalVariation
from interp.featurevis.transform import NONE, STANDARD, Compose, Jitter, Pad, Rotate, Scale, Transform
from interp.featurevis.units import Channel, Logit, Neuron, objective_of

__all__ = [
    "L1",
    "L2",
    "NONE",
    "STANDARD",
    "AscentConfig",
    "Channel",
    "Compose",
    "Feature",
    "Fourier",
    "ImageParam",
    "Jitter",
    "Logit",
    "Neuron",
    "Objective",
    "Pad",
    "Pixels",
    "Rotate",
    "Scale",
    "TotalVariation",
    "Transform",
    "objective_of",
    "visualize",
]
