"""Attribution: which places of an image speak for a unit.

``gradcam.of(model, images, units, layers)`` gives signed `Heatmap` values for many layers from one backward pass.
"""

from interp.attribution import gradcam
from interp.attribution.gradcam import GradCAM

__all__ = ["GradCAM", "gradcam"]
