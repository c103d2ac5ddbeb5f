"""``Quality``: what was measured of one optimized image, and which checks it fails."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from interp.featurevis.quality.natural import Natural
from interp.featurevis.quality.numbers import ROUNDING
from interp.featurevis.quality.path import Curve
from interp.featurevis.quality.similarity import Similarity
from interp.featurevis.quality.transfer import Transfer

# The least share of the natural maximum: research practice demands that no image is less to a unit's liking than a photograph.
LEAST_NATURAL_RATIO = 1.0
# The least score above random images of the same spectrum, in units of their spread.
LEAST_CONTROL_Z = 3.0
# The least share of the score kept, by shifts and by JPEG.
LEAST_ROBUSTNESS = 0.5
# The least standard deviation of the pixel values: below, the image is grey (5 of 255).
LEAST_CONTRAST = 0.02
# The most pixel values that may lie within 2 / 255 of 0 or 1: natural photographs are far below.
MOST_SATURATION = 0.25
# The most power at the highest frequency over its surroundings. Measured: noise stays below 4, photographs and their enlarged
# crops below 9.5; a checkerboard of 1 / 255 over a photograph is above 100.
MOST_CHECKERBOARD = 10.0
# For random weights an image must not look the same: neither in itself nor by more than chance above another seed's.
MOST_RANDOMIZED_SSIM, MOST_ABOVE_SEEDS = 0.5, 0.1
# The least median path similarity: half way between natural images of other units (0) and of this one (1).
LEAST_PATH = 0.5
# The lowest place of the class among a held-out model's: "top 5".
MOST_RANK = 5


@dataclass(frozen=True)
class Control:
    """Scores of random images of the same spectrum: their ``mean`` and ``spread`` (standard deviation, n - 1).

    ``z``: (score - mean) / spread; ``ratio``: score / mean. None where not defined.
    """

    mean: float
    spread: float
    z: float | None
    ratio: float | None


@dataclass(frozen=True)
class Spectrum:
    """``distance`` to the mean spectrum of natural images (natural logarithms, RMS); the ``slope`` of each."""

    distance: float
    slope: float
    natural_slope: float


@dataclass(frozen=True)
class Robustness:
    """Mean share of the score kept under ``shifts``, and under ``jpeg``."""

    shifts: float
    jpeg: float

    @property
    def worst(self) -> float:
        return min(self.shifts, self.jpeg)


@dataclass(frozen=True)
class Quality:
    """What was measured of the image of ``unit`` (the feature's name).

    ``score``: the objective of the image rounded to 8 bits, not transformed, in float32. ``dead``: its unit never fired.
    ``contrast``: standard deviation of the pixel values; ``saturation``: share of them within 2 / 255 of 0 or 1;
    ``checkerboard``: peak at the highest frequency (see `spectra.checkerboard`). The others are None where they were not
    measured or are not defined: ``reasons`` says why, (name, reason), "natural.ratio" being the ratio in ``natural``.

    ``seeds``: likeness to the image of the unit from another seed; ``randomized``: to that found for random weights.
    ``path``: path similarity by layer; ``transfer``: what a held-out model says.
    """

    unit: str
    score: float
    dead: bool
    contrast: float
    saturation: float
    checkerboard: float | None = None
    natural: Natural | None = None
    control: Control | None = None
    spectrum: Spectrum | None = None
    robustness: Robustness | None = None
    seeds: Similarity | None = None
    randomized: Similarity | None = None
    path: Curve | None = None
    transfer: Transfer | None = None
    reasons: tuple[tuple[str, str], ...] = ()

    @property
    def natural_ratio(self) -> float | None:
        """Score over the maximum of natural images; None where it was not measured or is not defined."""
        return None if self.natural is None else self.natural.ratio

    @property
    def path_median(self) -> float | None:
        """The median path similarity over the layers where it is defined: a layer whose anchors are close may be far off."""
        values = [value for _, value in self.path or () if value is not None]
        return median(values) if values else None

    @property
    def flags(self) -> tuple[str, ...]:
        """The checks that it fails, by short names; what was not measured fails nothing. Thresholds are this module's constants."""
        failed = {
            "dead": self.dead,
            "grey": self.contrast < LEAST_CONTRAST,
            "saturated": self.saturation > MOST_SATURATION,
            "checkerboard": _above(self.checkerboard, MOST_CHECKERBOARD),
            "natural": _below(self.natural_ratio, LEAST_NATURAL_RATIO),
            "control": self.control is not None and not stands_out(self.score, self.control),
            "fragile": _below(None if self.robustness is None else self.robustness.worst, LEAST_ROBUSTNESS),
            "randomization": looks_the_same(self.randomized, self.seeds),
            "path": _below(self.path_median, LEAST_PATH),
            "transfer": self.transfer is not None and self.transfer.rank > MOST_RANK,
        }
        return tuple(name for name, fails in failed.items() if fails)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: numbers, strings, None, dictionaries and lists; ``flags`` among them."""
        plain = asdict(self)
        plain["path"] = None if self.path is None else dict(self.path)
        plain["reasons"] = dict(self.reasons)
        return plain | {"path_median": self.path_median, "flags": list(self.flags)}


def stands_out(score: float, control: Control) -> bool:
    """Whether a score is far above those of random images; where these are all alike, above them."""
    return score > control.mean + ROUNDING * abs(control.mean) if control.z is None else control.z >= LEAST_CONTROL_Z


def looks_the_same(randomized: Similarity | None, seeds: Similarity | None) -> bool:
    """Whether the image for random weights looks too much like that for the trained ones; False where it was not measured."""
    if randomized is None:
        return False
    return randomized.ssim > MOST_RANDOMIZED_SSIM or (seeds is not None and randomized.ssim > seeds.ssim + MOST_ABOVE_SEEDS)


def _below(value: float | None, least: float) -> bool:
    return value is not None and value < least


def _above(value: float | None, most: float) -> bool:
    return value is not None and value > most
