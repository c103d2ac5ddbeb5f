"""What do insertion, deletion and ROAD cost? Beside Quantus' pixel flipping and grad-cam's ROAD on the same work, and what memory?

squeezenet1_0 with random weights, on the CPU with one thread. The same images, the same random maps without ties, the same
number of forwards: a deletion curve of 24 steps at 192 px (Quantus takes no step that does not divide the pixels, and does not score the
whole image), and at 224 px ROAD at 10, 20, ..., 90% in both orders. Also the imputation alone, which is all that ROAD adds to
the forwards, and the largest resident memory of a process that computes one deletion at each batch size. Prints medians of CPU time
and the largest difference of the values. Target: at least as fast as the peer. Run: python benchmarks/faithfulness.py
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import warnings
from collections.abc import Sequence

import numpy as np
import torch
from pytorch_grad_cam.metrics.road import NoisyLinearImputer, ROADCombined
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget
from timing import timed
from torch import Tensor
from torchvision.models import squeezenet1_0

from interp.core.baseline import Baseline
from interp.core.method import Family, Heatmap, Place
from interp.core.model import Model, ModelSpec
from interp.core.trace import model as traced
from interp.core.unit import Unit
from interp.images import Preprocess
from interp.metrics.deletion import Deletion, Insertion
from interp.metrics.evidence import Evidence
from interp.metrics.road import Road, imputed

SIZE = 224
CURVE_SIZE, STEPS = 192, 24
PERCENTILES = (10, 20, 30, 40, 50, 60, 70, 80, 90)


class Never:
    """No metric here asks its method again."""

    name = title = source = "never"
    place, family = Place.INPUT, Family.CONTROL

    def __call__(self, model: Model, images: Tensor, units: Sequence[Unit]) -> list[Heatmap]:
        raise AssertionError("asked again")


def evidence_of(count: int, size: int) -> Evidence:
    torch.manual_seed(0)
    plain = Preprocess(size=(size, size), resize=size, mean=(0.0,) * 3, std=(1.0,) * 3)  # peers are given no other normalization
    model = traced(squeezenet1_0(), ModelSpec("squeezenet1_0"), plain)
    model.module.eval()
    random = np.random.default_rng(0)
    maps = [random.permutation(size * size).reshape(size, size).astype(np.float32) for _ in range(count)]
    units = tuple(Unit(model.output, i) for i in range(count))
    heatmaps = tuple(Heatmap(values, unit, "random") for values, unit in zip(maps, units, strict=True))
    return Evidence(model, torch.rand(count, 3, size, size), units, heatmaps, Never())


def curves(evidence: Evidence, rounds: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import quantus
    images, maps, classes = evidence.images.numpy(), evidence.resized()[:, None], np.arange(len(evidence.units))
    every = np.repeat(maps, 3, axis=1)  # Quantus orders channels apart: tied, they still go by the same shares
    per_step = 3 * CURVE_SIZE**2 // STEPS
    flipping = quantus.PixelFlipping(features_in_step=per_step, normalise=False, perturb_baseline=0.0, disable_warnings=True)
    deletion, insertion = Deletion(STEPS, baseline=Baseline.BLACK), Insertion(STEPS)

    def theirs() -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.array(flipping(evidence.model.module, images, classes, every, channel_first=True, softmax=True))

    def forwards() -> None:
        with torch.no_grad():
            for start in range(0, len(images) * (STEPS + 1), 8):
                left = min(8, len(images) * (STEPS + 1) - start)
                evidence.model(evidence.images[:1].expand(left, -1, -1, -1))

    times = timed({"ours": lambda: deletion(evidence), "back": lambda: insertion(evidence), "peer": theirs, "bare": forwards}, rounds)
    gap = float(np.abs(deletion.curve(evidence)[:, 1:] - theirs()).max() / deletion.curve(evidence).max())
    print(f"\n{len(images)} images, curves of {STEPS} steps; largest difference {gap:.0e} of the largest probability")
    labels = {"ours": "interp deletion", "back": "interp insertion", "peer": "Quantus PixelFlipping", "bare": "bare forwards, batch 8"}
    for key, label in labels.items():
        print(f"{label:26s} {times[key]:7.2f} s   {times[key] / times['ours']:5.2f}x ours")


def road(evidence: Evidence, rounds: int) -> None:
    targets = [ClassifierOutputSoftmaxTarget(unit.channel) for unit in evidence.units]
    maps, metric = evidence.resized(), Road(PERCENTILES)
    peer = ROADCombined(list(PERCENTILES))

    def theirs() -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return peer(evidence.images, maps, targets, evidence.model)

    times = timed({"ours": lambda: metric(evidence), "peer": theirs}, rounds, warm=False)
    print(f"\n{len(maps)} image(s), ROAD combined at {len(PERCENTILES)} percentiles")
    for key, label in {"ours": "interp Road", "peer": "grad-cam ROADCombined"}.items():
        print(f"{label:26s} {times[key]:7.2f} s   {times[key] / times['ours']:5.2f}x ours")


def imputation(evidence: Evidence, rounds: int) -> None:
    image = evidence.images[0]
    pixels = image.double().numpy()
    rows, cols = np.mgrid[:SIZE, :SIZE]
    kinds = {"one blob": -np.hypot(rows - 100, cols - 120), "scattered": evidence.resized()[0]}
    print(f"\nImputation alone, {SIZE} px, one mask, three channels")
    for kind, values in kinds.items():
        for share in (20, 50, 80):
            missing = values > np.percentile(values, 100 - share)
            mask = torch.from_numpy(np.float32(~missing))

            def theirs(mask: Tensor = mask) -> Tensor:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    return NoisyLinearImputer(noise=0.0)(image, mask)

            times = timed({"ours": lambda missing=missing: imputed(pixels, missing), "peer": theirs}, rounds)
            gap = np.abs(imputed(pixels, missing) - theirs().numpy()).max()
            print(f"{kind:10s} {share}%  interp {1000 * times['ours']:5.0f} ms, grad-cam {1000 * times['peer']:5.0f} ms", end="")
            print(f" ({times['peer'] / times['ours']:.1f}x), largest difference {gap:.0e}")


def memory() -> None:
    print("\nPeak resident memory of a deletion of 2 images above that of a plain forward of one, by batch size")
    for batch_size in (4, 16, 64):
        found = subprocess.run([sys.executable, __file__, "--peak", str(batch_size)], check=True, capture_output=True, text=True)
        print(f"batch_size {batch_size:3d}: {found.stdout.strip()} MiB")


def peak(batch_size: int) -> None:
    evidence = evidence_of(2, SIZE)
    with torch.no_grad():
        evidence.model(evidence.images[:1])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    Deletion(STEPS, batch_size=batch_size)(evidence)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=2)
    parser.add_argument("--peak", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.peak:
        peak(arguments.peak)
        return
    evidence = evidence_of(arguments.images, SIZE)
    imputation(evidence, arguments.rounds)
    curves(evidence_of(arguments.images, CURVE_SIZE), arguments.rounds)
    road(evidence, arguments.rounds)
    memory()


if __name__ == "__main__":
    main()
