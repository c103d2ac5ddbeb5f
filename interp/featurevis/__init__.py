"""Feature visualization: images optimized for what a unit responds to.

Four nouns: an `Objective` (what is maximised), an `ImageParam` (what is optimized), a `Transform` (how the image is
moved before each step), an `AscentConfig` (the steps). `visualize` brings them together; `quality` says what the
images are worth, and `lucent` runs lucent's objectives, and lucent itself as the baseline.
"""

from interp.featurevis.alpha import Alpha
from interp.featurevis.attention_heads import Head, head, heads
from interp.featurevis.config import AscentConfig, Convergence, Precision, Weighted
from interp.featurevis.cppn import Cppn
from interp.featurevis.directions import Direction, Kind
from interp.featurevis.feature import Feature
from interp.featurevis.fixed import Fixed
from interp.featurevis.joint import Alignment, Diversity, Interpolation
from interp.featurevis.maco import Maco
from interp.featurevis.magnitude import Magnitude, magnitude_of, sample_magnitude
from interp.featurevis.objective import Objective
from interp.featurevis.optimizer import Adam, Optimizer, Torch
from interp.featurevis.param import Fourier, ImageParam, Pixels
from interp.featurevis.photograph import Started
from interp.featurevis.presets import NONE, PRESETS, STANDARD, preset
from interp.featurevis.pyramid import Pyramid
from interp.featurevis.regularizers import L1, L2, LInfinity, Opacity, TotalVariation
from interp.featurevis.schedule import Cosine, Linear, Schedule
from interp.featurevis.shared import Shared
from interp.featurevis.store import FeatureStore
from interp.featurevis.targets import (
    Caricature,
    DeepDream,
    Inversion,
    SpatialTarget,
    Style,
    activation_grid,
    caricature,
    inversion,
    style,
)
from interp.featurevis.transform import (
    Affine,
    Compose,
    Crop,
    Flip,
    Jitter,
    Noise,
    Pad,
    RandomCrop,
    Resize,
    Rotate,
    Scale,
    Transform,
)
from interp.featurevis.units import Channel, Logit, Neuron, Probability, Token, objective_of
from interp.featurevis.visualization import visualize

__all__ = [
    "L1",
    "L2",
    "NONE",
    "PRESETS",
    "STANDARD",
    "Adam",
    "Affine",
    "Alignment",
    "Alpha",
    "AscentConfig",
    "Caricature",
    "Channel",
    "Compose",
    "Convergence",
    "Cosine",
    "Cppn",
    "Crop",
    "DeepDream",
    "Direction",
    "Diversity",
    "Feature",
    "FeatureStore",
    "Fixed",
    "Flip",
    "Fourier",
    "Head",
    "ImageParam",
    "Interpolation",
    "Inversion",
    "Jitter",
    "Kind",
    "LInfinity",
    "Linear",
    "Logit",
    "Maco",
    "Magnitude",
    "Neuron",
    "Noise",
    "Objective",
    "Opacity",
    "Optimizer",
    "Pad",
    "Pixels",
    "Precision",
    "Probability",
    "Pyramid",
    "RandomCrop",
    "Resize",
    "Rotate",
    "Scale",
    "Schedule",
    "Shared",
    "SpatialTarget",
    "Started",
    "Style",
    "Token",
    "Torch",
    "TotalVariation",
    "Transform",
    "Weighted",
    "activation_grid",
    "caricature",
    "head",
    "heads",
    "inversion",
    "magnitude_of",
    "objective_of",
    "preset",
    "sample_magnitude",
    "style",
    "visualize",
]
