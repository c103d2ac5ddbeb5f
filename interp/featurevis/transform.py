"""Small random movements of the image before each step, so that what is found does not hang on single pixels.

The door to what can be done to an image: `geometry` (where pixels are taken from), `pixelwise` (their values),
`chain` (how several become one) and `presets` (chains by name).
"""

from interp.featurevis.chain import Compose, Geometric, Transform
from interp.featurevis.geometry import Affine, Crop, Flip, Jitter, Pad, RandomCrop, Resize, Rotate, Scale
from interp.featurevis.pixelwise import Blur, Noise
from interp.featurevis.presets import NONE, PRESETS, STANDARD, Lucid, Strong, preset
from interp.featurevis.sampling import rotation, sample, scaling, shearing, translation

__all__ = [
    "NONE",
    "PRESETS",
    "STANDARD",
    "Affine",
    "Blur",
    "Compose",
    "Crop",
    "Flip",
    "Geometric",
    "Jitter",
    "Lucid",
    "Noise",
    "Pad",
    "RandomCrop",
    "Resize",
    "Rotate",
    "Scale",
    "Strong",
    "Transform",
    "preset",
    "rotation",
    "sample",
    "scaling",
    "shearing",
    "translation",
]
