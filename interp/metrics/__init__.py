"""Metrics: what an attribution map is worth. Pure functions on arrays, and thin classes that ask models and methods.

A metric is a frozen dataclass that is called with `Evidence` and gives one number per image; ``METRICS`` has them by name.
Functions on arrays stand in the modules: `localization`, `complexity`, `agreement`, `deletion`, `road`, `infidelity`,
`sensitivity`, `confidence`, `statistics`.
"""

from interp.metrics import agreement, complexity, confidence, deletion, infidelity, localization, road, sensitivity, statistics
from interp.metrics.cascade import Order, randomization_curve
from interp.metrics.complexity import Complexity, Sparseness
from interp.metrics.confidence import AverageDrop, AverageIncrease
from interp.metrics.deletion import Deletion, Insertion
from interp.metrics.evidence import Better, Evidence, Metric
from interp.metrics.grid_pointing import GridPointingGame
from interp.metrics.infidelity import Infidelity
from interp.metrics.localization import MaskAUC, PointingGame, RelevanceMass, RelevanceRank
from interp.metrics.randomization import EfficientRandomization, Randomization, SmoothRandomization
from interp.metrics.registry import METRICS
from interp.metrics.road import Road, RoadLeRF, RoadMoRF
from interp.metrics.sensitivity import SensitivityMax

__all__ = [
    "METRICS",
    "AverageDrop",
    "AverageIncrease",
    "Better",
    "Complexity",
    "Deletion",
    "EfficientRandomization",
    "Evidence",
    "GridPointingGame",
    "Infidelity",
    "Insertion",
    "MaskAUC",
    "Metric",
    "Order",
    "PointingGame",
    "Randomization",
    "RelevanceMass",
    "RelevanceRank",
    "Road",
    "RoadLeRF",
    "RoadMoRF",
    "SensitivityMax",
    "SmoothRandomization",
    "Sparseness",
    "agreement",
    "complexity",
    "confidence",
    "deletion",
    "infidelity",
    "localization",
    "randomization_curve",
    "road",
    "sensitivity",
    "statistics",
]
