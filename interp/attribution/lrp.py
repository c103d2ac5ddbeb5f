"""Layer-wise relevance propagation with the epsilon rule: each module shares its outputs' relevance among its inputs.

Relevance starts at the score and ends at the normalized image, whose zero is the mean colour: taken through the
normalization it would be divided by each channel's standard deviation. Rules belong to modules, so that a module
without a rule, a module used twice and arithmetic outside of modules are refused rather than propagated wrongly: at ``x + y``
both branches would get the whole relevance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import captum.attr
from captum.attr._utils.custom_modules import Addition_Module
from captum.attr._utils.lrp_rules import EpsilonRule
from jaxtyping import Float
from torch import Tensor, nn

from interp.attribution import completeness, wiring
from interp.attribution.pixelwise import Explained, Pixelwise
from interp.attribution.scoped import out_of_place, refusing
from interp.core.heads import Output
from interp.core.model import Model
from interp.core.score import evaluate
from interp.core.unit import Unit
from interp.errors import Unsupported

RULED = (
    nn.MaxPool1d,
    nn.MaxPool2d,
    nn.MaxPool3d,
    nn.Conv2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.Linear,
    nn.BatchNorm2d,
    Addition_Module,
)
PASSING = (nn.ReLU, nn.Dropout, nn.Tanh)

# Modules without a rule in Captum that only hand values on, so that the epsilon rule is exact for them.
_HANDING_ON = (Output, nn.Identity, nn.Flatten, nn.Unflatten, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)

# Operations that need no rule: they move values, or (Relu) put zero where there is no relevance to lose.
_HARMLESS = {"View", "UnsafeView", "ReshapeAlias", "Clone", "Cat", "Stack", "Select", "Slice", "Permute", "Transpose", "T", "Unsqueeze"}
_HARMLESS |= {
    "Squeeze",
    "Relu",
    "Alias",
    "AsStrided",
    "ToCopy",
    "Index",
    "Split",
    "SplitWithSizes",
    "Unbind",
    "Flip",
    "Roll",
    "ConstantPadNd",
}

_ABSORBED = "biases absorb relevance (and the epsilon where outputs are close to zero), so read the map as a ranking, not as shares"


@dataclass(frozen=True)
class LRP(Pixelwise):
    """Relevance of each place of the normalized image for the score, epsilon rule (1e-9) everywhere; summed over channels.

    Raises Unsupported where a module has no rule (LayerNorm, GELU, ReLU6, ...), a module with a rule is used twice, or the
    network computes outside of its modules what needs a rule, such as a ResNet's additions. The completeness gap |sum -
    f(x)| / |f(x)| is among the map's measures, and above 5% a fault: in a network with biases it is rarely small.
    A rule that a module carries as ``module.rule``, Captum's way, is used.
    """

    name: ClassVar[str] = "lrp"
    title: ClassVar[str] = "LRP"
    source: ClassVar[str] = "Bach et al. 2015, epsilon rule"

    def _explain(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> Explained:
        out_of_place(model.module)
        plain = replace(model, preprocess=replace(model.preprocess, mean=(0.0,) * images.shape[1], std=(1.0,) * images.shape[1]))
        normalized = model.normalized(images)
        scores = {unit: _Score(plain, unit) for unit in dict.fromkeys(units)}
        for unit, score in scores.items():
            _refuse(model, unit, wiring.of(model.module, score, normalized[:1], [score.mean]))
        rules = {module: module.rule for module in model.module.modules() if hasattr(module, "rule")}
        parts = []
        for i, unit in enumerate(units):
            for module, rule in rules.items():  # Captum takes them away each time
                module.rule = rule
            _hand_on(scores[unit])
            with refusing(f"no {self.title} of '{unit}' on '{model.spec.reference}'"):
                method: Any = captum.attr.LRP(scores[unit])
                values = method.attribute(normalized[i : i + 1].clone().requires_grad_(), target=0).detach()
            gap = completeness.gap(float(values.double().sum()), float(evaluate(model, images[i : i + 1], [unit])))
            parts.append(Explained(values, (completeness.measures(gap),), (completeness.doubts(gap, _ABSORBED),)))
        return Explained.together(parts)


class _Score(nn.Module):
    """Normalized images -> one unit's score (N, 1); the mean over a channel's places is a module, to have a rule."""

    def __init__(self, plain: Model, unit: Unit) -> None:
        super().__init__()
        self.network = plain.module
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.training = False
        self._model, self._unit = plain, unit

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 1"]:
        layer = self._unit.layer
        outputs, _ = self._model.capture([layer], images, truncate=True)
        if layer not in outputs:
            raise Unsupported(f"layer '{layer}' did not fire for these images, though it did when the model was loaded")
        maps = self._model.maps(layer, outputs[layer])
        if self._unit.at is None and maps.shape[2:] != (1, 1):
            maps = self.mean(maps)
        row, col = self._unit.at or (0, 0)
        return maps[:, self._unit.channel, row, col][:, None]


def _refuse(model: Model, unit: Unit, found: wiring.Wiring) -> None:
    asked = f"no LRP of '{unit}' on '{model.spec.reference}'"
    for name, calls in found.calls.items():
        module = model.module.get_submodule(name)
        kind = type(module).__name__
        if not hasattr(module, "rule") and type(module) not in (*RULED, *PASSING, *_HANDING_ON):
            raise Unsupported(
                f"{asked}: there is no rule for its layer '{name}' ({kind}): choose 'integrated-gradients', which needs no rules"
            )
        if calls > 1 and type(module) not in PASSING:
            raise Unsupported(
                f"{asked}: its module '{name}' ({kind}) is used {calls} times, and a rule needs one module for each use: "
                "give each call a module of its own, or choose 'integrated-gradients'"
            )
    loose = [name for name in found.loose if name not in _HARMLESS]
    if loose:
        remedy = "make additions captum's Addition_Module, or " if "Add" in loose else ""
        raise Unsupported(
            f"{asked}: it computes outside of its modules ({', '.join(loose)}), where no rule can be attached: "
            f"{remedy}choose 'integrated-gradients'"
        )


def _hand_on(score: _Score) -> None:
    """Rules for what Captum refuses without need: modules that hand values on, and modules that never fire for this unit."""
    for module in score.modules():
        if not any(True for _ in module.children()) and type(module) not in (*RULED, *PASSING) and not hasattr(module, "rule"):
            module.rule = EpsilonRule()  # type: ignore[assignment]
