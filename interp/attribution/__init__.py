"""Attribution: which places of an image speak for a unit.

Every method is a frozen dataclass that is called with a model, [0, 1] images and one unit per image, and gives one signed
`Heatmap` per image: ``IntegratedGradients(n_steps=64)(model, images, units)``. ``METHODS`` has them by name.

``gradcam.of(model, images, units, layers)`` and ``cams.of(..., kinds)`` give maps of many layers and kinds from one backward
pass; ``attention.of`` the attention of every head; ``export`` what other tools read.
"""

from interp.attribution import attention, cams, export, gradcam
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
from interp.attribution.registry import CONTROLS, METHODS
from interp.attribution.rise import RISE
from interp.attribution.shap import GradientShap
from interp.attribution.smoothing import SmoothGrad, SmoothGradSquared, VarGrad
from interp.attribution.superpixels import FeatureAblation, KernelShap, Lime

__all__ = [
    "CONTROLS",
    "LRP",
    "METHODS",
    "RISE",
    "AblationCAM",
    "AttentionMap",
    "AttentionRollout",
    "CentreGaussian",
    "Conductance",
    "Deconvolution",
    "DeepLift",
    "DeepLiftShap",
    "EigenCAM",
    "FeatureAblation",
    "GradCAM",
    "GradCAMPlusPlus",
    "GradientRollout",
    "GradientShap",
    "GuidedBackprop",
    "GuidedGradCam",
    "HiResCAM",
    "InputMagnitude",
    "InputXGradient",
    "IntegratedGradients",
    "InternalInfluence",
    "KernelShap",
    "LayerCAM",
    "LayerIntegratedGradients",
    "Lime",
    "Occlusion",
    "RandomMap",
    "Saliency",
    "ScoreCAM",
    "SmoothGrad",
    "SmoothGradSquared",
    "SobelEdges",
    "VarGrad",
    "XGradCAM",
    "attention",
    "cams",
    "export",
    "gradcam",
]
