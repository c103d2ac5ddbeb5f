"""A small convolutional network for handwritten digits and how it learns: seconds on one core, the same weights for the same seed.

As in `interp.synthetic.network` each ReLU is a module of its own, used once and not in place, so that every view can look behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from interp.core.model import Model, ModelSpec
from interp.core.rng import generator
from interp.core.trace import model as trace
from interp.errors import InterpError
from interp.images import Preprocess
from interp.synthetic.digits import Digits, Pictures
from interp.synthetic.network import digest
from interp.synthetic.training import Progress

_SMOOTHING = 0.05


@dataclass(frozen=True)
class DigitOptions:
    """``steps`` of AdamW on ``batch`` pictures, with a warm-up to ``rate`` and a cosine to zero; ``widths``: filters of the convolutions.

    ``moved``: every picture is shifted by up to this share of its side, turned and scaled at random.
    """

    steps: int = 400
    batch: int = 64
    rate: float | int = 0.004
    weight_decay: float | int = 0.02
    widths: tuple[int, int, int, int] = (16, 32, 64, 64)
    moved: float | int = 0.06
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises InterpError where a number is out of range."""
        for name in ("steps", "batch"):
            if getattr(self, name) < (least := 2 if name == "batch" else 1):
                raise InterpError(f"`{name}` is {getattr(self, name)}: give at least {least}")
        if not self.rate > 0 or not 0 <= self.moved <= 0.3:
            raise InterpError(f"`rate` is {self.rate} and `moved` {self.moved}: give a positive rate, and a share of 0 to 0.3")
        if min(self.widths) < 1:
            raise InterpError(f"`widths` is {self.widths}: give at least one filter for each of the four convolutions")


class _Unit(nn.Module):
    """Convolution, batch normalization, ReLU."""

    def __init__(self, channels: int, width: int, side: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, side, padding=side // 2, bias=False)
        self.bn = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()

    def forward(self, x: Float[Tensor, "n c rows cols"]) -> Float[Tensor, "n d rows cols"]:
        y: Tensor = self.relu(self.bn(self.conv(x)))
        return y


class DigitNet(nn.Module):
    """(N, 1, rows, cols), normalized, of 4 px and more -> logits (N, classes).

    Four convolutions, the first 5 x 5 and the others 3 x 3, halved in size behind the second; then the mean over places. A unit of them
    sees 5, 7, 12 and 16 px of the picture.
    """

    def __init__(self, classes: int, widths: tuple[int, int, int, int] = DigitOptions().widths) -> None:
        super().__init__()
        self.unit1 = _Unit(1, widths[0], 5)
        self.unit2 = _Unit(widths[0], widths[1], 3)
        self.halve = nn.MaxPool2d(2)
        self.unit3 = _Unit(widths[1], widths[2], 3)
        self.unit4 = _Unit(widths[2], widths[3], 3)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(widths[3], classes)

    def forward(self, images: Float[Tensor, "n 1 rows cols"]) -> Float[Tensor, "n classes"]:
        x = self.halve(self.unit2(self.unit1(images)))
        logits: Tensor = self.fc(self.pool(self.unit4(self.unit3(x))).flatten(1))
        return logits


def untrained(digits: Digits, options: DigitOptions = DigitOptions()) -> Model:
    """A network for ``digits`` with weights drawn from the seed; the global generator is left as it was.

    It is normalized by the mean and standard deviation of the pictures that are learned from, to three digits.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator(options.seed, "weights").initial_seed())
        net = DigitNet(len(digits.classes), options.widths)
    pixels = digits.training.floats
    rows, cols = int(pixels.shape[2]), int(pixels.shape[3])
    mean, std = (round(float(value), 3) for value in (pixels.mean(), pixels.std()))
    preprocess = Preprocess((rows, cols), min(rows, cols), (mean,), (max(std, 0.001),))
    net.eval()
    return trace(net, ModelSpec("digits", "random", digest(net), digits.classes), preprocess)


def train(model: Model, pictures: Pictures, options: DigitOptions, on_step: Callable[[Progress], None]) -> None:
    """The network of ``model`` itself learns ``pictures``; ``on_step`` is called after each step, with the network in training mode.

    What is drawn depends on (seed, step) alone. Raises InterpError where there are fewer pictures than a batch has.
    """
    if len(pictures) < options.batch:
        raise InterpError(f"`batch` is {options.batch}, more than the {len(pictures)} pictures there are: give fewer")
    net = model.module.train().requires_grad_(True)
    groups: list[dict[str, Any]] = [
        {"params": [p for p in net.parameters() if p.ndim > 1], "weight_decay": options.weight_decay},
        {"params": [p for p in net.parameters() if p.ndim == 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=options.rate, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.rate, total_steps=options.steps, pct_start=0.12, cycle_momentum=False)
    for step in range(options.steps):
        batch = _batch(pictures, step, options)
        logits = model.forward(moved(batch.floats, options.moved, generator(options.seed, "moved", step)))
        loss = F.cross_entropy(logits, batch.labels, label_smoothing=_SMOOTHING)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        right = float((logits.argmax(1) == batch.labels).float().mean())
        on_step(Progress(step + 1, options.steps, float(loss.detach()), right))
    optimizer.zero_grad()
    net.eval().requires_grad_(False)


def moved(images: Float[Tensor, "n c rows cols"], share: float | int, rng: torch.Generator) -> Float[Tensor, "n c rows cols"]:
    """Pictures shifted by up to ``share`` of their side, turned by up to twice as many radians, scaled by up to as much; 0 outside."""
    shift, turn, size = (share * (2 * torch.rand(len(images), count, generator=rng) - 1) for count in (2, 1, 1))
    cos, sin = (1 + size) * torch.cos(2 * turn), (1 + size) * torch.sin(2 * turn)
    # In the grid a side is 2 wide.
    theta = torch.stack([torch.cat([cos, -sin, 2 * shift[:, :1]], 1), torch.cat([sin, cos, 2 * shift[:, 1:]], 1)], 1)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def _batch(pictures: Pictures, step: int, options: DigitOptions) -> Pictures:
    """Each picture once in an epoch, in another order each time; what does not fill a batch waits for the next."""
    epoch, place = divmod(step, len(pictures) // options.batch)
    order = torch.randperm(len(pictures), generator=generator(options.seed, "order", epoch))
    return pictures[order[place * options.batch : (place + 1) * options.batch]]
