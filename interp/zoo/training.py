"""Training of the embedded network: seeded, checkpointed, resumable, on any device.

The order of the images and each augmentation are functions of (seed, step), so a run that was
interrupted and resumed sees what an uninterrupted one would have seen.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from interp.core.precision import has_fast_bf16
from interp.core.rng import generator
from interp.zoo.muon import Muon

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Schedule:
    """How long, how fast and at which image sizes to train.

    ``sizes`` are (share of the steps, pixels): small images first, since early on they teach as much
    for a fraction of the cost (progressive resizing).
    """

    epochs: float = 30.0
    batch: int = 200
    rate: float = 0.025
    stem_rate: float = 0.1
    weight_decay: float = 5e-4
    smoothing: float = 0.1
    hold: float = 0.35
    warmup: float = 0.02
    average: float = 0.99
    sizes: tuple[tuple[float, int], ...] = ((0.35, 32), (0.53, 48), (0.12, 64))
    smallest_crop: float = 0.35

    def factor(self, progress: float) -> float:
        """Learning-rate factor: linear warm-up, constant, then linear to zero."""
        if progress < self.warmup:
            return progress / self.warmup
        return min(1.0, (1.0 - progress) / (1.0 - self.hold))

    def size(self, progress: float) -> int:
        reached = 0.0
        for share, pixels in self.sizes:
            reached += share
            if progress < reached:
                return pixels
        return self.sizes[-1][1]


def augmented(images: Tensor, size: int, smallest: float, rng: torch.Generator) -> Tensor:
    """Random resized crop and flip of uint8 (N, 3, H, W) by one affine resampling; normalized floats (N, 3, size, size)."""
    n, _, height, _ = images.shape
    draw = torch.rand(5, n, generator=rng)
    area = smallest + (1 - smallest) * draw[0]
    ratio = torch.exp((draw[1] * 2 - 1) * math.log(4 / 3))
    wide, high = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = wide * torch.where(draw[4] < 0.5, -1.0, 1.0)
    theta[:, 1, 1] = high
    theta[:, 0, 2] = (draw[2] * 2 - 1) * (1 - wide)
    theta[:, 1, 2] = (draw[3] * 2 - 1) * (1 - high)
    grid = F.affine_grid(theta.to(images.device), [n, 3, size, size], align_corners=False)
    floats = normalized(images)
    if height / size > 1.6:
        # A crop of up to twice the size is thinned out below: a small blur first, against aliasing.
        floats = F.avg_pool2d(F.pad(floats, (0, 1, 0, 1), mode="replicate"), 2, 1)
    return F.grid_sample(floats, grid, padding_mode="reflection", align_corners=False)


def normalized(images: Tensor) -> Tensor:
    """uint8 (N, 3, H, W) -> normalized float32, channels last."""
    mean = torch.tensor(MEAN, device=images.device).view(1, 3, 1, 1) * 255
    std = torch.tensor(STD, device=images.device).view(1, 3, 1, 1) * 255
    return ((images.float() - mean) / std).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def accuracy(net: nn.Module, images: Tensor, labels: Tensor, device: torch.device, batch: int = 250) -> tuple[float, float]:
    """Top-1 and top-5 accuracy in [0, 1] of ``net`` (put in eval mode) on uint8 images (N, 3, H, W)."""
    net.eval()
    first = fifth = 0
    for start in range(0, len(images), batch):
        best = net(normalized(images[start : start + batch].to(device))).topk(5, dim=1).indices.cpu()
        hits = best == labels[start : start + batch, None]
        first += int(hits[:, 0].sum())
        fifth += int(hits.any(1).sum())
    return first / len(images), fifth / len(images)


@dataclass(frozen=True)
class Step:
    """One step done, of how many, with the loss on its batch."""

    done: int
    steps: int
    loss: float
    size: int
    images_per_second: float


class Trainer:
    """One training run of ``net`` on uint8 images (N, 3, H, W) with labels (N,)."""

    def __init__(self, net: nn.Module, images: Tensor, labels: Tensor, schedule: Schedule, seed: int, device: torch.device) -> None:
        self.schedule, self.seed, self.device = schedule, seed, device
        self.images, self.labels = images, labels
        self.net = net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averaged = copy.deepcopy(self.net)
        matrices = [p for n, p in net.named_parameters() if p.ndim == 4 and not n.startswith("stem")]
        others = [p for p in net.parameters() if all(p is not m for m in matrices)]
        decayed, free = [p for p in others if p.ndim > 1], [p for p in others if p.ndim == 1]
        groups: list[dict[str, Any]] = [{"params": decayed, "weight_decay": schedule.weight_decay}, {"params": free}]
        self.optimizers: list[torch.optim.Optimizer] = [
            Muon(matrices, lr=schedule.rate),
            torch.optim.SGD(groups, lr=schedule.stem_rate, momentum=0.9, nesterov=True),
        ]
        self.step = 0

    @property
    def steps(self) -> int:
        return int(self.schedule.epochs * len(self.images) / self.schedule.batch)

    def indices(self, step: int) -> Tensor:
        per_epoch = len(self.images) // self.schedule.batch
        epoch, place = divmod(step, per_epoch)
        order = torch.randperm(len(self.images), generator=generator(self.seed, "order", epoch))
        return order[place * self.schedule.batch : (place + 1) * self.schedule.batch]

    def train_step(self) -> float:
        progress = self.step / self.steps
        chosen = self.indices(self.step)
        x = augmented(
            self.images[chosen].to(self.device),
            self.schedule.size(progress),
            self.schedule.smallest_crop,
            generator(self.seed, "augmentation", self.step),
        )
        self.net.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=has_fast_bf16(self.device)):
            logits = self.net(x)
        loss = F.cross_entropy(logits.float(), self.labels[chosen].to(self.device), label_smoothing=self.schedule.smoothing)
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer, rate in zip(self.optimizers, (self.schedule.rate, self.schedule.stem_rate), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * self.schedule.factor(progress)
            optimizer.step()
        if self.step % 4 == 0:
            self.average()
        self.step += 1
        return float(loss.detach())

    @torch.no_grad()
    def average(self) -> None:
        """Move the averaged weights and statistics, the ones to keep, towards those of the moment."""
        moving = self.net.state_dict()
        for name, kept in self.averaged.state_dict().items():
            if kept.is_floating_point():
                kept.lerp_(moving[name], 1 - self.schedule.average)

    def run(self, checkpoint: Path, on_step: Callable[[Step], None], every: int = 200) -> None:
        """Train to the end; a checkpoint every ``every`` steps, from which a later call goes on."""
        if checkpoint.exists():
            self.restore(torch.load(checkpoint, map_location=self.device, weights_only=True))
        while self.step < self.steps:
            start = time.perf_counter()
            loss = self.train_step()
            size = self.schedule.size(self.step / self.steps)
            on_step(Step(self.step, self.steps, loss, size, self.schedule.batch / (time.perf_counter() - start)))
            if self.step % every == 0 or self.step == self.steps:
                partial = checkpoint.with_suffix(".partial")
                torch.save(self.state(), partial)
                partial.replace(checkpoint)

    def state(self) -> dict[str, object]:
        return {
            "step": self.step,
            "net": self.net.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizers": [o.state_dict() for o in self.optimizers],
        }

    def restore(self, state: dict[str, object]) -> None:
        self.step = state["step"]  # type: ignore[assignment]
        self.net.load_state_dict(state["net"])
        self.averaged.load_state_dict(state["averaged"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):  # type: ignore[call-overload]
            optimizer.load_state_dict(saved)
