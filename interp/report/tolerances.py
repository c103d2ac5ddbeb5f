"""How far each product may be from itself where it is made again on another machine: patterns for `Product.tolerances`.

Measured between processors (AVX-512, AVX2, SSE), threads and precisions. What no pattern names is `Tolerance.COMPUTED`: activations and
maps at layers repeat within 2e-6 of their largest magnitude.
"""

from __future__ import annotations

from collections.abc import Mapping

from interp.runs import Tolerance

EXACT, COMPUTED, DERIVED, OPTIMIZED, TOLD = Tolerance
Declared = Mapping[str, Tolerance]

KERNELS: Declared = {"kernels/*": EXACT, "kernels_shown/*": EXACT, "figures/kernels": EXACT}
"""Weights as they are stored."""

ACTIVATIONS: Declared = {"activations/*/channels": EXACT}
"""Which channels are the strongest is a choice; the maps are `Tolerance.COMPUTED`."""

GRADCAM: Declared = {"metrics/spearman_trained_random/*": DERIVED}

FEATURES: Declared = {
    "features/*": OPTIMIZED,
    "figures/features*": OPTIMIZED,
    "metrics/features/*": TOLD,
    "metrics/features/*/final": OPTIMIZED,
    "metrics/features/*/dead": OPTIMIZED,
    "metrics/features/*/steps": OPTIMIZED,
}
"""Images of single units or objectives: their scores are judged, what else was measured of them hangs on their pixels."""

REPORT: Declared = {**KERNELS, **ACTIVATIONS, **FEATURES, "figures/overview": OPTIMIZED}

MAPS: Declared = {
    "maps/*": DERIVED,
    "maps/*@*": COMPUTED,
    "maps/*/occlusion*": COMPUTED,
    "maps/*/feature-ablation*": COMPUTED,
    "metrics/maps/*": DERIVED,
}
"""Attribution maps. The gradient to the picture jumps where a ReLU opens, so a rounding may move it: by 0.3 % of the largest value in
a map of integrated gradients. Maps at a layer, and of what is only computed forwards, repeat within 1e-5.
"""

SCORED: Declared = {
    **MAPS,
    "metrics/*": DERIVED,
    "metrics/predictions/*": COMPUTED,
    "figures/ranking": DERIVED,
    "figures/agreement*": DERIVED,
    "figures/depth": DERIVED,
}
"""What metrics say of attribution maps: areas under curves, ranks, intervals. Arrays and numbers are both called ``metrics/``."""

SANITY: Declared = {**MAPS, "alike/*": DERIVED, "metrics/*": DERIVED, "metrics/predictions/*": COMPUTED, "figures/randomization-*": DERIVED}
"""Likeness of maps as weights are randomized: correlations of ranks."""

TRUTH: Declared = {**SCORED}
"""Maps of a network that is trained within the run: training sums in another order, and so finds another network."""

NETWORKS: Declared = {**SCORED, "*/metrics/*": DERIVED, "*/maps/*": DERIVED, "masks/*": EXACT}
"""Several networks that are trained within the run."""

DEPTH: Declared = {**FEATURES, "metrics/ratio_to_photographs/*": OPTIMIZED}
ABLATION: Declared = {
    **FEATURES,
    "metrics/table/*": TOLD,
    "metrics/table/*/score": OPTIMIZED,
    "figures/ablation": OPTIMIZED,
    "figures/spectra": OPTIMIZED,
}
RACE: Declared = {**FEATURES, "metrics/*": TOLD, "figures/*": OPTIMIZED}
ENGINES: Declared = {**FEATURES, "metrics/engines/*": TOLD, "metrics/engines/*/median_score": OPTIMIZED, "figures/engines": OPTIMIZED}
FACES: Declared = {**FEATURES, "metrics/faces/*": TOLD, "metrics/faces/*/mean_score": OPTIMIZED, "figures/faces-*": OPTIMIZED}
ACCENTUATED: Declared = {
    "*/image": OPTIMIZED,
    "*/logits": OPTIMIZED,
    "metrics/accentuated/*": TOLD,
    "metrics/accentuated/*/logit": OPTIMIZED,
    "metrics/accentuated/*/photograph/*": COMPUTED,
    "figures/accentuated": OPTIMIZED,
}
DREAMS: Declared = {
    "*/DeepDream/*": OPTIMIZED,
    "*/inversion/*": OPTIMIZED,
    "*/caricature/*": OPTIMIZED,
    "metrics/dreams/*": TOLD,
    "metrics/dreams/*/value": OPTIMIZED,
    "figures/dreams-*": OPTIMIZED,
}
INTERPOLATED: Declared = {
    "*/images": OPTIMIZED,
    "*/activations": OPTIMIZED,
    "metrics/interpolation/*": TOLD,
    "metrics/interpolation/*/units/*": EXACT,
    "figures/interpolation-*": OPTIMIZED,
}
"""The experiments that compare optimized images, each by its own names."""
