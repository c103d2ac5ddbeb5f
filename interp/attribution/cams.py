"""The kinds of class activation map that one forward and one backward give, beside Grad-CAM itself.

Each is a formula over a layer's maps A and the gradient g of the unit's score there; `of` computes any of them at any
layers together. Maps are raw and signed: the ReLU that most papers put last is ``heatmap.positive``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from scipy.linalg import eigh
from torch import Tensor

from interp.attribution.gradcam import GradCAM
from interp.attribution.onepass import CAM, of
from interp.core.method import Degeneration, Fault

__all__ = ["CAM", "FAMILY", "EigenCAM", "GradCAM", "GradCAMPlusPlus", "HiResCAM", "LayerCAM", "XGradCAM", "of"]


# A sum below this share of its terms is single-precision rounding, and the small number in a LayerNorm's denominator.
_CANCELLED = 1e-4


@dataclass(frozen=True)
class GradCAMPlusPlus(CAM):
    """Grad-CAM++ at one layer: ``sum_k w_k A_k``, ``w_k = sum alpha relu(g)``, ``alpha = g^2 / (2 g^2 + sum(A) g^3)``.

    That closed form of alpha (Chattopadhay et al. 2018, eq. 19) holds for a class score ``exp(score)``, whose derivatives of
    higher order are powers of g, in a network that is piecewise linear up to ``score``; the factor ``exp(score)``, one
    positive number per image, is left out of the map. alpha is 0 where its denominator is. Where A has negative values (a
    layer before its ReLU), the denominator can come close to zero and single weights can be huge: prefer layers behind a ReLU.
    """

    name: ClassVar[str] = "gradcam++"
    title: ClassVar[str] = "Grad-CAM++"
    source: ClassVar[str] = "Chattopadhay et al. 2018, eq. 19"
    by_channel: ClassVar[bool] = True

    @staticmethod
    def values(activations: Float[Tensor, "n c rows cols"], gradient: Float[Tensor, "n c rows cols"]) -> Float[Tensor, "n rows cols"]:
        # g^2 is cancelled, as the powers of a small gradient would vanish in single precision.
        denominator = 2 + activations.sum(dim=(2, 3), keepdim=True) * gradient
        alpha_g = gradient.clamp(min=0) / denominator
        weights = torch.where(denominator == 0, 0, alpha_g).sum(dim=(2, 3), keepdim=True)
        return (weights * activations).sum(dim=1)


@dataclass(frozen=True)
class HiResCAM(CAM):
    """HiResCAM at one layer: ``sum_k g_k A_k`` place by place; in the score's unit.

    Its sum over places is the score where the rest of the network has ReLUs and no bias. Where a LayerNorm alone reads the
    layer, as in a vision transformer before its last attention, scaling a place's channels does not change the score, so
    that the products cancel to rounding: the map then carries `Fault.ZERO`.
    """

    name: ClassVar[str] = "hirescam"
    title: ClassVar[str] = "HiResCAM"
    source: ClassVar[str] = "Draelos & Carin 2020"

    @staticmethod
    def values(activations: Float[Tensor, "n c rows cols"], gradient: Float[Tensor, "n c rows cols"]) -> Float[Tensor, "n rows cols"]:
        return (gradient * activations).sum(dim=1)

    @staticmethod
    def cancels(activations: Float[Tensor, "c rows cols"], gradient: Float[Tensor, "c rows cols"]) -> Degeneration | None:
        products = gradient * activations
        if float(products.sum(dim=0).abs().max()) > _CANCELLED * float(products.abs().sum(dim=0).max()):
            return None
        sentence = (
            "gradient times activation cancels over the channels at every place, as the score does not change when they are scaled: "
            "choose a layer that more than a normalization reads, or Grad-CAM"
        )
        return Degeneration(Fault.ZERO, "zero up to rounding", sentence)


@dataclass(frozen=True)
class XGradCAM(CAM):
    """XGrad-CAM at one layer: ``sum_k w_k A_k``, ``w_k = sum(g A_k) / sum(A_k)``; in the score's unit.

    A channel whose sum is exactly zero has no weight. Where A has negative values, sums can come close to zero and
    single weights can be huge: prefer layers behind a ReLU.
    """

    name: ClassVar[str] = "xgradcam"
    title: ClassVar[str] = "XGrad-CAM"
    source: ClassVar[str] = "Fu et al. 2020"
    by_channel: ClassVar[bool] = True

    @staticmethod
    def values(activations: Float[Tensor, "n c rows cols"], gradient: Float[Tensor, "n c rows cols"]) -> Float[Tensor, "n rows cols"]:
        sums = activations.sum(dim=(2, 3), keepdim=True)
        weights = (gradient * activations).sum(dim=(2, 3), keepdim=True) / sums
        return (torch.where(sums == 0, 0, weights) * activations).sum(dim=1)


@dataclass(frozen=True)
class LayerCAM(CAM):
    """LayerCAM at one layer: ``sum_k relu(g_k) A_k`` place by place; negative only where A is."""

    name: ClassVar[str] = "layercam"
    title: ClassVar[str] = "LayerCAM"
    source: ClassVar[str] = "Jiang et al. 2021"

    @staticmethod
    def values(activations: Float[Tensor, "n c rows cols"], gradient: Float[Tensor, "n c rows cols"]) -> Float[Tensor, "n rows cols"]:
        return (gradient.clamp(min=0) * activations).sum(dim=1)


@dataclass(frozen=True)
class EigenCAM(CAM):
    """Eigen-CAM at one layer: the places' coordinate along the first principal component of the channels; no gradient.

    The map is the same for every unit: it shows what the layer responds to, not what the unit looks at. Channels are
    centred over places, as in a principal component analysis and in pytorch-grad-cam; the paper's singular value
    decomposition is not centred. The sign, which the paper leaves open, is that of a positive covariance with the mean
    over channels, so that strong responses are positive; where that is zero, the largest magnitude is positive. Computed in
    double precision; a layer that is constant over places gives zeros.
    """

    name: ClassVar[str] = "eigencam"
    title: ClassVar[str] = "Eigen-CAM"
    source: ClassVar[str] = "Muhammad & Yeasin 2020"
    needs_gradient: ClassVar[bool] = False

    @staticmethod
    def values(activations: Float[Tensor, "n c rows cols"], gradient: Float[Tensor, "n c rows cols"]) -> Float[Tensor, "n rows cols"]:
        rows, cols = activations.shape[2:]
        return torch.stack([_first_component(one.flatten(1)).view(rows, cols) for one in activations])


FAMILY: tuple[type[CAM], ...] = (GradCAM, GradCAMPlusPlus, HiResCAM, XGradCAM, LayerCAM, EigenCAM)
"""All kinds that `of` computes in one pass."""


def _first_component(channels: Float[Tensor, "c places"]) -> Float[Tensor, " places"]:
    if not bool(torch.isfinite(channels).all()):
        return torch.full_like(channels[0], torch.nan)
    exact = channels.double().cpu().numpy()
    centred = exact - exact.mean(axis=1, keepdims=True)
    # The smaller of the two Gram matrices has the same leading eigenvalue.
    across = centred.shape[0] <= centred.shape[1]
    gram = centred @ centred.T if across else centred.T @ centred
    last = len(gram) - 1
    variance, vector = eigh(gram, subset_by_index=(last, last))
    along = vector[:, 0] @ centred if across else vector[:, 0] * np.sqrt(max(float(variance[0]), 0.0))
    mean = centred.mean(axis=0)
    covariance = float(along @ mean)
    if abs(covariance) <= 1e-12 * float(np.linalg.norm(along) * np.linalg.norm(mean)):
        covariance = float(along[np.abs(along).argmax()])
    return torch.from_numpy(along if covariance >= 0 else -along).to(channels)
