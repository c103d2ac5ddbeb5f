"""All attribution methods by their names on the command line, and the controls that stand beside them."""

from __future__ import annotations

from interp.attribution.attention import AttentionMap, AttentionRollout, GradientRollout
from interp.attribution.cams import EigenCAM, GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, XGradCAM
from interp.attribution.channel_masks import AblationCAM, ScoreCAM
from interp.attribution.controls import CentreGaussian, InputMagnitude, RandomMap, SobelEdges
from interp.attribution.deeplift import DeepLift, DeepLiftShap
from interp.attribution.gradients import InputXGradient, Saliency
from interp.attribution.guided import Deconvolution, GuidedBackprop, GuidedGradCam
from interp.attribution.integrated import IntegratedGradients
from interp.attribution.layerwise import Conductance, InternalInfluence, LayerIntegratedGradients
from interp.attribution.lrp import LRP
from interp.attribution.occlusion import Occlusion
from interp.attribution.rise import RISE
from interp.attribution.shap import GradientShap
from interp.attribution.smoothing import SmoothGrad, SmoothGradSquared, VarGrad
from interp.attribution.superpixels import FeatureAblation, KernelShap, Lime
from interp.core.choices import Choice, choice
from interp.core.method import Method

CONTROLS: tuple[type[Method], ...] = (RandomMap, InputMagnitude, SobelEdges, CentreGaussian)
"""What knows nothing of the network (or, as |input|, nothing of the unit): in every table."""

_ALL: tuple[type[Method], ...] = (
    Saliency,
    InputXGradient,
    IntegratedGradients,
    GradientShap,
    SmoothGrad,
    SmoothGradSquared,
    VarGrad,
    DeepLift,
    DeepLiftShap,
    LRP,
    GuidedBackprop,
    Deconvolution,
    GuidedGradCam,
    LayerIntegratedGradients,
    Conductance,
    InternalInfluence,
    Occlusion,
    FeatureAblation,
    Lime,
    KernelShap,
    RISE,
    GradCAM,
    GradCAMPlusPlus,
    HiResCAM,
    XGradCAM,
    LayerCAM,
    EigenCAM,
    ScoreCAM,
    AblationCAM,
    AttentionMap,
    AttentionRollout,
    GradientRollout,
)

METHODS: dict[str, type[Method]] = {kind.name: kind for kind in (*_ALL, *CONTROLS)}
"""Name on the command line -> the method's class, by family."""


def method(text: str) -> Choice[Method]:
    """``name`` or ``name:option=value,...`` as a `Choice`; raises UnknownName or InterpError where there is no such method or option."""
    return choice(text, METHODS, "method")
