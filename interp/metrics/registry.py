"""All metrics by their names on the command line."""

from __future__ import annotations

from interp.core.choices import Choice, choice
from interp.metrics.complexity import Complexity, Sparseness
from interp.metrics.confidence import AverageDrop, AverageIncrease
from interp.metrics.deletion import Deletion, Insertion
from interp.metrics.evidence import Metric
from interp.metrics.grid_pointing import GridPointingGame
from interp.metrics.infidelity import Infidelity
from interp.metrics.localization import MaskAUC, PointingGame, RelevanceMass, RelevanceRank
from interp.metrics.randomization import EfficientRandomization, Randomization, SmoothRandomization
from interp.metrics.road import Road, RoadLeRF, RoadMoRF
from interp.metrics.sensitivity import SensitivityMax

_ALL: tuple[type[Metric], ...] = (
    Deletion,
    Insertion,
    Road,
    RoadMoRF,
    RoadLeRF,
    AverageDrop,
    AverageIncrease,
    Infidelity,
    SensitivityMax,
    Randomization,
    SmoothRandomization,
    EfficientRandomization,
    PointingGame,
    RelevanceMass,
    RelevanceRank,
    MaskAUC,
    GridPointingGame,
    Sparseness,
    Complexity,
)

METRICS: dict[str, type[Metric]] = {kind.name: kind for kind in _ALL}
"""Name on the command line -> the metric's class: faithfulness, robustness, sanity, localization, complexity."""

# What tells methods apart at a price that a laptop can pay; those of localization join where masks are given.
DEFAULT = ("deletion", "insertion", "road", "infidelity", "randomization", "sparseness")
LOCALIZING = ("pointing-game", "relevance-mass", "relevance-rank")


def metric(text: str) -> Choice[Metric]:
    """``name`` or ``name:option=value,...`` as a `Choice`; raises UnknownName or InterpError where there is no such metric or option."""
    return choice(text, METRICS, "metric")
