"""What does an optimized image cost? Eight units in one run, beside lucent one unit at a time.

resnet18 with random weights, the same canvas, steps, parametrization (Fourier, decorrelated colour) and channel
objective, at three depths, on the CPU with one thread. Prints median milliseconds per unit and step, and the ratio.
Run: python benchmarks/featurevis.py
"""

from __future__ import annotations

import warnings

import torch
from timing import timed
from torchvision.models import resnet18

from interp.core.model import ModelSpec
from interp.core.trace import model as traced
from interp.core.unit import Unit
from interp.featurevis import AscentConfig, visualize
from interp.images import Preprocess

SIDE, STEPS, UNITS, ROUNDS = 128, 8, 8, 3


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lucent.optvis import objectives, param, render
    network = resnet18().eval()
    model = traced(network, ModelSpec("resnet18"), Preprocess())
    config = AscentConfig(steps=STEPS, size=(SIDE, SIDE))
    print(f"resnet18, {SIDE} px canvas, {UNITS} units, {STEPS} steps, one thread: ms of CPU time per unit and step")
    for name in ("layer1.0.conv1", "layer2.0.conv1", "layer3.0.conv1", "layer4.1.conv2"):
        units = [Unit(name, channel) for channel in range(UNITS)]

        def lucent(name: str = name) -> None:
            # One unit: lucent runs them one after the other, so its cost per unit is that of one.
            render.render_vis(
                network, objectives.channel(name.replace(".", "_"), 0), lambda: param.image(SIDE), thresholds=(STEPS,),
                show_image=False, progress=False, fixed_image_size=SIDE,
            )  # fmt: skip

        times = timed({"ours": lambda units=units: visualize(model, units, config, seed=0), "lucent": lucent}, ROUNDS)
        ours, theirs = 1000 * times["ours"] / UNITS / STEPS, 1000 * times["lucent"] / STEPS
        print(f"{name:18s} interp {ours:7.1f}   lucent {theirs:7.1f}   ratio {theirs / ours:5.1f}x")


if __name__ == "__main__":
    main()
