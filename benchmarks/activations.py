"""What does it cost to see every layer? One call for 23 layers, beside a plain forward and Captum one layer at a time.

resnet18 with random weights, batch 8 at 224 px, on the CPU with one thread. Prints medians and ratios to the
plain forward; target: one call for all layers at most 1.3x. Run: python benchmarks/activations.py
"""

from __future__ import annotations

import torch
from captum.attr import LayerActivation
from torchvision.models import resnet18

from interp import activations
from interp.core.model import Model, ModelSpec
from interp.core.trace import model as traced
from interp.images import Preprocess

BATCH, ROUNDS = 8, 7


def chosen(model: Model) -> list[str]:
    """The 20 convolutions (down-sampling ones too), the pooled map, the flattened classes' layer and the first ReLU: 23."""
    names = [layer.name for layer in model.layers if layer.kind == "Conv2d"]
    return [*names, "relu", "avgpool", "fc"]


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = traced(resnet18(), ModelSpec("resnet18"), Preprocess())
    images, names = torch.rand(BATCH, 3, 224, 224), chosen(model)

    def plain() -> None:
        with torch.no_grad():
            model(images)

    def one_by_one() -> None:
        for name in names:
            LayerActivation(model, model.module.get_submodule(name)).attribute(images)

    times = timed({"plain": plain, "ours": lambda: activations.of(model, images, names)}, ROUNDS)
    times |= timed({"captum": one_by_one}, 1)
    print(f"resnet18, batch {BATCH}, 224 px, {len(names)} layers, one thread, median CPU time")
    print(f"plain forward                      {1000 * times['plain']:8.0f} ms    1.00x")
    print(f"interp, one call                   {1000 * times['ours']:8.0f} ms {times['ours'] / times['plain']:7.2f}x")
    print(f"captum, one layer at a time        {1000 * times['captum']:8.0f} ms {times['captum'] / times['plain']:7.2f}x")


if __name__ == "__main__":
    main()
