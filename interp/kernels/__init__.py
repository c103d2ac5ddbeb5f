"""Kernels: what a layer's filters look like, as arrays.

``kernels.of(model, "conv1")`` gives a `Kernels` value; drawing it is the business of `interp.figures`.
"""

from interp.kernels.weights import Kernels, Order, Scale, of

__all__ = ["Kernels", "Order", "Scale", "of"]
