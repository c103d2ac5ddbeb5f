"""What do perturbation methods cost? Ours beside Captum and pytorch-grad-cam on the same work, in the same run.

resnet18 with random weights, one image of 112 px, on the CPU with one thread; medians of CPU time. The number of forward
passes is the same on both sides unless noted. Target: at least as fast as the peers. Then the peak memory of Occlusion at
224 px for each batch size, each in a process of its own (Linux only). Run: python benchmarks/perturbation.py
"""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from captum.attr import KernelShap as CaptumKernelShap
from captum.attr import Lime as CaptumLime
from captum.attr import Occlusion as CaptumOcclusion
from pytorch_grad_cam import AblationCAM as PeerAblationCAM
from pytorch_grad_cam import ScoreCAM as PeerScoreCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from timing import timed
from torchvision.models import resnet18

from interp.attribution.channel_masks import AblationCAM, ScoreCAM
from interp.attribution.occlusion import Occlusion
from interp.attribution.rise import RISE
from interp.attribution.superpixels import KernelShap, Lime, superpixels
from interp.core.method import Method
from interp.core.model import Model, ModelSpec
from interp.core.trace import model as traced
from interp.core.unit import Unit
from interp.images import Preprocess

ROUNDS = 3
SIDE = 112
TARGET = 3
BATCHES = (1, 4, 16, 49)


def prepared(side: int) -> tuple[Model, torch.Tensor, list[Unit]]:
    torch.manual_seed(0)
    model = traced(resnet18(), ModelSpec("resnet18"), Preprocess(size=(side, side), resize=side))
    coarse = torch.rand(1, 3, 8, 8)
    images = torch.nn.functional.interpolate(coarse, (side, side), mode="bicubic").clamp(0, 1)
    return model, images, [Unit(model.output, TARGET)]


def peers(model: Model, images: torch.Tensor) -> dict[str, Callable[[], object]]:
    model.module.eval().requires_grad_(False)
    normalized, targets = model.normalized(images), [ClassifierOutputTarget(TARGET)]
    mask = torch.from_numpy(superpixels(images[0], 50))[None, None]
    mean = torch.tensor(model.preprocess.mean).view(1, 3, 1, 1).expand_as(images)
    window, step = (3, SIDE // 8, SIDE // 8), (3, SIDE // 16, SIDE // 16)

    def occlusion(at_once: int) -> torch.Tensor:
        given = {"baselines": mean, "target": TARGET, "perturbations_per_eval": at_once}
        return CaptumOcclusion(model).attribute(images, window, step, **given).detach()

    def surrogate(peer: type[CaptumLime] | type[CaptumKernelShap]) -> torch.Tensor:
        return peer(model).attribute(images, baselines=mean, target=TARGET, feature_mask=mask, n_samples=200)

    def cam(peer: type[PeerScoreCAM] | type[PeerAblationCAM], layer: str) -> np.ndarray:
        with contextlib.redirect_stderr(io.StringIO()):  # its progress bar
            made = peer(model.module, [model.module.get_submodule(layer)])
            made.batch_size = 16
            found = made(normalized, targets)
            made.activations_and_grads.release()
        return found

    return {
        "Occlusion, Captum, 1 at once": lambda: occlusion(1),
        "Occlusion, Captum, 16 at once": lambda: occlusion(16),
        "LIME, Captum": lambda: surrogate(CaptumLime),
        "Kernel SHAP, Captum": lambda: surrogate(CaptumKernelShap),
        "Score-CAM layer4, grad-cam": lambda: cam(PeerScoreCAM, "layer4"),
        "Ablation-CAM layer4, grad-cam": lambda: cam(PeerAblationCAM, "layer4"),
        "Ablation-CAM layer2, grad-cam": lambda: cam(PeerAblationCAM, "layer2"),
    }


OURS: dict[str, Method] = {
    "Occlusion": Occlusion(),
    "LIME": Lime(),
    "Kernel SHAP": KernelShap(),
    "Score-CAM layer4": ScoreCAM("layer4"),
    "Ablation-CAM layer4": AblationCAM("layer4"),
    "Ablation-CAM layer2": AblationCAM("layer2"),
    "RISE, 500 masks": RISE(),
}


def speed() -> None:
    model, images, units = prepared(SIDE)
    theirs = peers(model, images)
    mine = {name: lambda method=method: method(model, images, units) for name, method in OURS.items()}
    times = timed(mine | theirs, ROUNDS, warm=False)
    print(f"resnet18, one image of {SIDE} px, batches of 16, one thread, median CPU time of {ROUNDS}")
    for name in OURS:
        print(f"{name:32s} {times[name]:7.2f} s")
        for other in theirs:
            if other.startswith(name + ","):
                print(f"    {other:28s} {times[other]:7.2f} s   {times[other] / times[name]:5.2f}x ours")


def memory() -> None:
    print("Occlusion, 224 px: peak memory by batch size, beyond the process's before")
    for batch in BATCHES:
        command = [sys.executable, __file__, "peak", str(batch)]
        print(f"{batch:4d} {float(subprocess.run(command, check=True, capture_output=True, text=True).stdout):7.0f} MiB")


def peak(batch: int) -> None:
    """The process's largest resident size during the method, less its size before it, in MiB (Linux)."""
    model, images, units = prepared(224)
    model(images)
    Path("/proc/self/clear_refs").write_text("5")  # importing and tracing peak higher than small batches: forget that
    before = resident("VmRSS")
    Occlusion(56, 28, batch_size=batch)(model, images, units)  # 49 windows
    print((resident("VmHWM") - before) / 1024)


def resident(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


def main() -> None:
    torch.set_num_threads(1)
    if sys.argv[1:2] == ["peak"]:
        peak(int(sys.argv[2]))
        return
    speed()
    memory()


if __name__ == "__main__":
    main()
