"""Activations: what a network's layers answer to images, as arrays.

``activations.of(model, images, ["layer1", "layer4"])`` gives one `Activations` value per layer, from one
call of Captum's ``LayerActivation``.
"""

from interp.activations.capture import Activations, Rank, of

__all__ = ["Activations", "Rank", "of"]
