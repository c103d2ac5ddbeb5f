"""DeepLIFT with the rescale rule: differences from a baseline, propagated through non-linear modules as quotients.

Captum attaches its rule to modules, so three things are said that it leaves unsaid: which module is used twice, which
non-linear modules pass the plain gradient for want of a rule, and how far from complete the result therefore is. Images go
one at a time, as its rule for max pooling falls back on the first image's gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import captum.attr
import torch
from jaxtyping import Float
from torch import Tensor, nn

from interp.attribution import completeness, distribution, wiring
from interp.attribution.pixelwise import Explained, Pixelwise
from interp.attribution.scoped import out_of_place, refusing
from interp.core.baseline import Baseline, baseline
from interp.core.model import Model
from interp.core.score import Scores, evaluate
from interp.core.unit import Unit
from interp.errors import Unsupported

RULED = (nn.ReLU, nn.ELU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Softmax, nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)

# Beginnings of the class names of modules that are linear, or nothing at all, in an evaluation forward.
_LINEAR = (
    *("Conv", "Linear", "NonDynamicallyQuantizableLinear", "BatchNorm", "AvgPool", "AdaptiveAvgPool", "Dropout", "Identity"),
    *("Flatten", "Unflatten", "StochasticDepth", "Upsample", "PixelShuffle", "ZeroPad", "Permute", "Addition_Module"),
)
_CURVED = {"Relu", "Hardtanh", "LeakyRelu", "Elu", "Gelu", "Silu", "Sigmoid", "Tanh", "Softmax", "LogSoftmax", "Hardswish", "Hardsigmoid"}
_CURVED |= {"MaxPool2DWithIndices", "Mul", "Mm", "Bmm", "Pow", "Exp", "NativeLayerNorm", "ScaledDotProductFlashAttentionForCpu"}


@dataclass(frozen=True)
class DeepLift(Pixelwise):
    """Each pixel's share in f(x) - f(x0) for a baseline x0, summed over channels; in the score's unit.

    Raises Unsupported where a non-linear module is used twice, as in torchvision's ResNets. The completeness gap is among
    the map's measures; above 5% it is a fault. It shows what has no rule (GELU, ReLU6, a functional ReLU) and Captum's
    rule for max pooling, which loses shares where windows overlap (about half of them in SqueezeNet).
    """

    name: ClassVar[str] = "deeplift"
    title: ClassVar[str] = "DeepLIFT"
    source: ClassVar[str] = "Shrikumar et al. 2017, rescale rule"

    baseline: Baseline = Baseline.MEAN

    def _explain(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> Explained:
        causes = _causes(model, images, units, self.title)
        starts = baseline(model, images, self.baseline)
        parts = []
        for i, unit in enumerate(units):
            image, start = images[i : i + 1].clone().requires_grad_(), starts[i : i + 1]
            with refusing(f"no {self.title} of '{unit}' on '{model.spec.reference}'"):
                method: Any = captum.attr.DeepLift(Scores(model, [unit]))
                values = method.attribute(image, start, target=0).detach()
            parts.append(_counted(model, image.detach(), start, unit, values, causes[unit]))
        return Explained.together(parts)


@dataclass(frozen=True)
class DeepLiftShap(Pixelwise):
    """The mean of DeepLIFT over several baselines: shares in f(x) - mean f(x0), summed over channels; in the score's unit.

    Raises and reports as `DeepLift` does.
    """

    name: ClassVar[str] = "deeplift-shap"
    title: ClassVar[str] = "DeepLIFT SHAP"
    source: ClassVar[str] = "Lundberg & Lee 2017"

    baselines: tuple[Baseline, ...] = distribution.SEVERAL

    def __post_init__(self) -> None:
        distribution.checked(self.baselines, self.title)

    def _explain(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> Explained:
        causes = _causes(model, images, units, self.title)
        parts = []
        for i, unit in enumerate(units):
            image = images[i : i + 1].clone()
            starts = distribution.of(model, image, self.baselines)
            with refusing(f"no {self.title} of '{unit}' on '{model.spec.reference}'"):
                method: Any = captum.attr.DeepLiftShap(Scores(model, [unit]))
                values = method.attribute(image, starts, target=0).detach()
            parts.append(_counted(model, image, starts, unit, values, causes[unit]))
        return Explained.together(parts)


def _counted(model: Model, image: Tensor, starts: Tensor, unit: Unit, values: Tensor, cause: str) -> Explained:
    scores = evaluate(model, torch.cat([image, starts]), [unit] * (1 + len(starts)))
    gap = completeness.gap(float(values.double().sum()), float(scores[0] - scores[1:].mean()))
    return Explained(values, (completeness.measures(gap),), (completeness.doubts(gap, cause),))


def _causes(model: Model, images: Tensor, units: Sequence[Unit], title: str) -> dict[Unit, str]:
    """For each unit what a completeness gap comes from, in words; raises Unsupported where a module with a rule is used twice."""
    out_of_place(model.module)
    causes = {}
    for unit in dict.fromkeys(units):
        found = wiring.of(model.module, Scores(model, [unit]), images[:1])
        modules = {name: model.module.get_submodule(name) for name in found.calls}
        for name, calls in found.calls.items():
            if type(modules[name]) in RULED and calls > 1:
                kind = type(modules[name]).__name__
                raise Unsupported(
                    f"no {title} of '{unit}' on '{model.spec.reference}': its module '{name}' ({kind}) is used {calls} times, and "
                    f"a rule needs one module for each use: give each call its own nn.{kind}, or choose 'integrated-gradients'"
                )
        causes[unit] = _cause(modules, found.loose)
    return causes


def _cause(modules: dict[str, nn.Module], loose: Sequence[str]) -> str:
    bare = [n for n, m in modules.items() if type(m) not in RULED and not type(m).__name__.startswith(_LINEAR)]
    functional = [name for name in loose if name in _CURVED]
    if bare:
        more = f", like {len(bare) - 1} more," if len(bare) > 1 else ""
        said = f"'{bare[0]}' ({type(modules[bare[0]]).__name__}){more} has no rule and passes the plain gradient"
    elif functional:
        said = f"what is computed outside of modules ({', '.join(functional)}) has no rule and passes the plain gradient"
    elif any(isinstance(m, (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)) for m in modules.values()):
        said = "Captum's rule for max pooling loses shares, most where its windows overlap"
    else:
        said = "rounding, or a difference of the scores that is close to zero"
    return f"{said}; 'integrated-gradients' needs no rules"
