"""How good an optimized image is, in numbers with their baselines.

`measure` puts everything together; pure functions of images live in `spectra`, `similarity`, `moved` and `numbers`, those
that ask a model in `scoring`, `natural`, `path`, `randomized` and `transfer`; `result` holds the thresholds.
"""

from interp.featurevis.quality.checks import ALL, CHEAP, Check, Checks
from interp.featurevis.quality.measuring import measure
from interp.featurevis.quality.natural import Natural, Views, maxima, natural_ratio, views
from interp.featurevis.quality.path import path_similarity, spearman
from interp.featurevis.quality.randomized import randomized
from interp.featurevis.quality.result import Control, Quality, Robustness, Spectrum
from interp.featurevis.quality.scoring import own_scores, rounded, score_of, table
from interp.featurevis.quality.similarity import Similarity, seed_similarity, similarity
from interp.featurevis.quality.spectra import Radial, checkerboard, radial, random_phases, slope, spectrum_distance
from interp.featurevis.quality.transfer import Transfer, transfer

__all__ = [
    "ALL",
    "CHEAP",
    "Check",
    "Checks",
    "Control",
    "Natural",
    "Quality",
    "Radial",
    "Robustness",
    "Similarity",
    "Spectrum",
    "Transfer",
    "Views",
    "checkerboard",
    "maxima",
    "measure",
    "natural_ratio",
    "own_scores",
    "path_similarity",
    "radial",
    "random_phases",
    "randomized",
    "rounded",
    "score_of",
    "seed_similarity",
    "similarity",
    "slope",
    "spearman",
    "spectrum_distance",
    "table",
    "transfer",
    "views",
]
