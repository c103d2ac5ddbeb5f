"""What does Grad-CAM at 16 layers cost? All in one pass, beside Captum's LayerGradCam at one layer, and at all one by one.

resnet18 with random weights, its 16 block convolutions, at 224 px, on the CPU with one thread. Captum's one layer is
the first (a backward through the whole network, as ours) and the last (the shortest). Prints medians and ratios;
target: 16 layers at most 1.5x of Captum's first layer alone. Run: python benchmarks/gradcam.py
"""

from __future__ import annotations

import torch
from captum.attr import LayerGradCam
from timing import timed
from torchvision.models import resnet18

from interp.attribution import gradcam
from interp.core.model import ModelSpec
from interp.core.trace import model as traced
from interp.core.unit import Unit
from interp.images import Preprocess

ROUNDS = 7


def measure(batch: int) -> None:
    model = traced(resnet18(), ModelSpec("resnet18"), Preprocess())
    images, targets = torch.rand(batch, 3, 224, 224), list(range(batch))
    units = [Unit(model.output, target) for target in targets]
    names = [f"layer{stage}.{block}.conv{conv}" for stage in (1, 2, 3, 4) for block in (0, 1) for conv in (1, 2)]

    def captum(name: str) -> torch.Tensor:
        return LayerGradCam(model, model.module.get_submodule(name)).attribute(images, targets).detach()

    times = timed(
        {
            "ours": lambda: gradcam.of(model, images, units, names),
            "first": lambda: captum(names[0]),
            "last": lambda: captum(names[-1]),
        },
        ROUNDS,
    )
    times |= timed({"each": lambda: [captum(name) for name in names]}, 2)
    ours = gradcam.of(model, images, units, names)
    gap = max(
        float((torch.from_numpy(ours[i][name].values.copy()) - map_[0]).abs().max() / map_.abs().max())
        for name in names
        for i, map_ in enumerate(captum(name))
    )
    print(f"resnet18, batch {batch}, 224 px, one thread, median CPU time; largest difference {gap:.1e} of the map's maximum")
    labels = {"ours": "interp, 16 layers", "first": "captum, first layer", "last": "captum, last layer", "each": "captum, 16 one by one"}
    for key, label in labels.items():
        to_first, to_ours = times[key] / times["first"], times[key] / times["ours"]
        print(f"{label:24s} {1000 * times[key]:8.0f} ms   {to_first:6.2f}x first   {to_ours:6.2f}x ours")


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for batch in (1, 4):
        measure(batch)


if __name__ == "__main__":
    main()
