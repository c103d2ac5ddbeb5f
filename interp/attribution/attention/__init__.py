"""The attention of a transformer: maps per head, attention rollout, gradient rollout.

``attention.layers(model)`` names the layers whose attention can be followed; ``attention.of(model, images)`` gives
their maps as plain values; `AttentionMap`, `AttentionRollout` and `GradientRollout` are attribution methods.

No kind of network is known by name. Probabilities are read where they are computed (`interception`); to which place
of the grid each of them belongs, in windows, shifted windows or strided ones, is told by the network's own gradient
(`places`). What cannot be told is refused.
"""

from interp.attribution.attention.maps import AttentionMap, AttentionMaps, layers, of
from interp.attribution.attention.rollout import AttentionRollout, GradientRollout, HeadFusion

__all__ = ["AttentionMap", "AttentionMaps", "AttentionRollout", "GradientRollout", "HeadFusion", "layers", "of"]
