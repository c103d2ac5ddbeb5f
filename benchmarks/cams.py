"""What does a map of every kind at every layer cost? One pass, beside Captum and pytorch-grad-cam layer by layer.

resnet18 with random weights, its 16 block convolutions, at 224 px, on the CPU with one thread. Captum is given the model
with frozen parameters and detaches, as ours; pytorch-grad-cam is used as its documentation says, with a `with` block per layer, and
resizes its maps. Prints medians of CPU time and ratios, differences between the values, and what kept maps hold in memory.
Target: 16 layers at least 8x faster than either layer by layer. Run: python benchmarks/cams.py
"""

from __future__ import annotations

import gc
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytorch_grad_cam as peer
import torch
from captum.attr import LayerGradCam
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from timing import timed
from torchvision.models import resnet18

from interp.attribution import cams, gradcam
from interp.core.model import Model, ModelSpec
from interp.core.trace import model as traced
from interp.core.unit import Unit
from interp.images import Preprocess

LAYERS = tuple(f"layer{stage}.{block}.conv{conv}" for stage in (1, 2, 3, 4) for block in (0, 1) for conv in (1, 2))
PEERS = (peer.GradCAM, peer.GradCAMPlusPlus, peer.HiResCAM, peer.XGradCAM, peer.LayerCAM, peer.EigenCAM)
KEPT = 100


class Case:
    """One batch and its three tools."""

    def __init__(self, batch: int) -> None:
        self.model: Model = traced(resnet18().eval(), ModelSpec("resnet18"), Preprocess())
        self.images, self.targets = torch.rand(batch, 3, 224, 224), list(range(batch))
        self.units = [Unit(self.model.output, target) for target in self.targets]

    def ours(self, layers: Sequence[str]) -> list[dict[str, gradcam.Heatmap]]:
        return gradcam.of(self.model, self.images, self.units, layers)

    def family(self, layers: Sequence[str]) -> object:
        return cams.of(self.model, self.images, self.units, layers, cams.FAMILY)

    def captum(self, layers: Sequence[str]) -> list[torch.Tensor]:
        return [LayerGradCam(self.model, self.model.module.get_submodule(n)).attribute(self.images, self.targets).detach() for n in layers]

    def peer(self, layers: Sequence[str], kinds: Sequence[Callable[..., peer.base_cam.BaseCAM]]) -> list[np.ndarray]:
        found = []
        for kind in kinds:
            for name in layers:
                with kind(model=self.model.module, target_layers=[self.model.module.get_submodule(name)]) as cam:
                    found.append(cam(self.model.normalized(self.images), [ClassifierOutputTarget(t) for t in self.targets]))
        return found


def measure(batch: int) -> None:
    case = Case(batch)
    print(f"\nresnet18, batch {batch}, 224 px, one thread, median CPU time in ms (times ours)\n")
    print("| maps | interp | Captum | pytorch-grad-cam |\n|---|---:|---:|---:|")
    for label, layers, rounds in (("first layer", LAYERS[:1], 9), ("last layer", LAYERS[-1:], 9), ("16 layers", LAYERS, 3)):
        seconds = timed(
            {
                "ours": lambda n=layers: case.ours(n),
                "captum": lambda n=layers: case.captum(n),
                "peer": lambda n=layers: case.peer(n, PEERS[:1]),
            },
            rounds,
        )
        row(f"Grad-CAM, {label}", seconds)
    for label, layers in (("last layer", LAYERS[-1:]), ("16 layers", LAYERS)):
        seconds = timed({"ours": lambda n=layers: case.family(n)}, 5)
        seconds |= timed({"peer": lambda n=layers: case.peer(n, PEERS)}, 1, warm=False)
        row(f"six kinds, {label}", seconds)
    maps = case.ours(LAYERS)
    to_captum = max(gap(maps[i][n].values, m[i, 0].numpy()) for n, m in zip(LAYERS, case.captum(LAYERS), strict=True) for i in range(batch))
    theirs = case.peer(LAYERS, PEERS[:1])
    scaled = [scale_cam_image(np.stack([one[name].positive.values for one in maps]), (224, 224)) for name in LAYERS]
    # Their last step scales to [0, 1] once more, after the resizing.
    to_peer = max(float(np.abs(scale_cam_image(a) - b).max()) for a, b in zip(scaled, theirs, strict=True))
    print(
        f"\nlargest difference from Captum {to_captum:.1e} of the map's maximum; from pytorch-grad-cam, after its own steps, {to_peer:.1e}"
    )


def row(label: str, seconds: dict[str, float]) -> None:
    cells = [f"{1000 * seconds['ours']:.0f}"]
    for key in ("captum", "peer"):
        ratio = seconds.get(key, math.nan) / seconds["ours"]
        cells.append("has none" if math.isnan(ratio) else f"{1000 * seconds[key]:.0f} ({ratio:.2f}x)")
    print(f"| {label} | " + " | ".join(cells) + " |", flush=True)


def gap(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def resident() -> float:
    """MiB of this process that are in memory."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def memory() -> None:
    """What kept maps of the last convolution hold, beside the maps' own bytes."""
    case, name = Case(1), LAYERS[-1]
    kept = LayerGradCam(case.model.module, case.model.module.get_submodule(name))
    ours = [case.ours([name])[0][name]]
    start = resident()
    while len(ours) < KEPT:
        ours.append(case.ours([name])[0][name])
    grown = resident() - start
    own = sum(heatmap.values.nbytes for heatmap in ours) / 2**20
    start = resident()
    captum = [kept.attribute(case.images, 0) for _ in range(6)]
    grown_too = resident() - start
    print(f"\n{KEPT} kept maps: their own bytes {own:.2f} MiB, the process grew by {grown:.1f} MiB")
    print(
        f"{len(captum)} of Captum's as returned: own bytes {6 * captum[0].nbytes / 2**20:.3f} MiB, the process grew by {grown_too:.0f} MiB"
    )


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    memory()
    for batch in (1, 4):
        measure(batch)


if __name__ == "__main__":
    main()
