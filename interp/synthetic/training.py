"""Training of the small network on drawn shapes: a minute on one core, the same weights for the same seed and threads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from interp.core.model import Model
from interp.core.precision import has_fast_bf16
from interp.core.repeatable import on_threads
from interp.core.rng import generator
from interp.errors import InterpError
from interp.synthetic.network import WIDTHS, model_of, untrained
from interp.synthetic.options import ShapeOptions
from interp.synthetic.shapes import draw

CPU = torch.device("cpu")
# Pictures drawn between two reports of progress.
_DRAWN_AT_ONCE = 250


@dataclass(frozen=True)
class TrainingOptions:
    """What is learned from and for how long. ``n_images`` pictures are drawn and seen ``n_epochs`` times, mirrored at random.

    Before that, ``n_plain`` other pictures without distractors and with faint textures are seen once: a network that
    has learned what a shape is learns faster what is none.

    ``threads`` is part of what determines the weights: sums in another order differ in the last bit, and training makes it grow.
    """

    shapes: ShapeOptions = field(default_factory=ShapeOptions)
    n_images: int = 8000
    n_plain: int = 2000
    n_epochs: int = 7
    batch_size: int = 32
    learning_rate: float | int = 0.004
    weight_decay: float | int = 0.02
    widths: tuple[int, int, int] = WIDTHS
    threads: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises InterpError where the values are out of range."""
        counts = {name: getattr(self, name) for name in ("n_epochs", "batch_size", "threads")}
        for name, value in counts.items():
            if value < 1:
                raise InterpError(f"`{name}` is {value}: give at least 1")
        if self.n_images < self.batch_size:
            raise InterpError(
                f"`n_images` is {self.n_images}, less than a batch of {self.batch_size}: give more images or a smaller `batch_size`"
            )
        if self.n_plain < 0 or min(self.widths) < 1:
            raise InterpError(
                f"`n_plain` is {self.n_plain} and `widths` {self.widths}: give 0 or more pictures, and at least 1 channel each"
            )

    @property
    def steps(self) -> int:
        return self.n_plain // self.batch_size + self.n_epochs * (self.n_images // self.batch_size)


@dataclass(frozen=True)
class Progress:
    """One step done, of how many, with the loss and accuracy on its batch; at step 0 pictures are still being drawn."""

    done: int
    steps: int
    loss: float
    accuracy: float


def silent(progress: Progress) -> None:
    """Shows nothing."""


@dataclass(frozen=True, eq=False)
class Lesson:
    """Pictures to learn from, the plain ones first: ``images`` uint8 (N, 3, rows, cols), ``labels`` (N,)."""

    images: UInt8[Tensor, "n 3 rows cols"]
    labels: Int[Tensor, " n"]


def train(
    options: TrainingOptions, on_step: Callable[[Progress], None] = silent, pictures: Lesson | None = None, device: torch.device = CPU
) -> Model:
    """A convolutional network that tells the shapes apart, as a `Model` with class names; see `fit`."""
    return fit(untrained(options.shapes, options.seed, options.widths), options, on_step, pictures, device)


def fit(
    net: nn.Module,
    options: TrainingOptions,
    on_step: Callable[[Progress], None] = silent,
    pictures: Lesson | None = None,
    device: torch.device = CPU,
) -> Model:
    """``net`` itself, trained on the shapes, as a `Model` with class names on ``device``.

    AdamW with a warm-up and a cosine to zero, cross-entropy with smoothed labels. ``pictures`` are drawn unless given: several
    networks may learn from the same, and only one has to wait for them. Global random state and the number of threads are left
    as they were. Raises Unsupported where the pictures are too small for the network, InterpError where they are not as many as
    ``options`` says.
    """
    with on_threads(options.threads):
        pictures = lesson(options, on_step) if pictures is None else pictures
        if len(pictures.labels) != options.n_plain + options.n_images:
            asked = f"`n_plain` {options.n_plain} and `n_images` {options.n_images}"
            raise InterpError(f"there are {len(pictures.labels)} pictures for {asked}: draw them with `lesson` of the same options")
        _fit(net.to(device), pictures, options, on_step, device)
        net.to(memory_format=torch.contiguous_format)
        return model_of(net, options.shapes)


def lesson(options: TrainingOptions, on_step: Callable[[Progress], None] = silent) -> Lesson:
    """The pictures that ``options`` names, drawn from its seed."""
    images, labels = [], []
    total = options.n_plain + options.n_images
    smoother = replace(options.shapes.difficulty, relief=options.shapes.difficulty.relief / 3)
    plain = replace(options.shapes, n_distractors=0, difficulty=smoother)
    for start in range(0, total, _DRAWN_AT_ONCE):
        for shapes, low, high in ((plain, 0, options.n_plain), (options.shapes, options.n_plain, total)):
            indices = range(max(start, low), min(start + _DRAWN_AT_ONCE, high))
            if indices:
                part = draw(shapes, indices, options.seed)
                images.append(torch.from_numpy(part.images).permute(0, 3, 1, 2))
                labels.append(torch.from_numpy(part.labels))
        on_step(Progress(0, options.steps, float("nan"), float("nan")))
    return Lesson(torch.cat(images), torch.cat(labels))


def _fit(net: nn.Module, pictures: Lesson, options: TrainingOptions, on_step: Callable[[Progress], None], device: torch.device) -> None:
    net.train().to(memory_format=torch.channels_last)
    decayed = [p for p in net.parameters() if p.ndim > 1]
    free = [p for p in net.parameters() if p.ndim == 1]
    groups: list[dict[str, Any]] = [{"params": decayed, "weight_decay": options.weight_decay}, {"params": free, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=options.learning_rate, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options.learning_rate, total_steps=options.steps, pct_start=0.12, cycle_momentum=False
    )
    fast = has_fast_bf16(device)
    for step in range(options.steps):
        chosen = _batch(step, options)
        x = augmented(pictures.images[chosen], generator(options.seed, "mirroring", step)).to(device)
        labels = pictures.labels[chosen].to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=fast):
            logits = net(x.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        right = float((logits.argmax(1) == labels).float().mean())
        on_step(Progress(step + 1, options.steps, float(loss.detach()), right))
    optimizer.zero_grad()


def _batch(step: int, options: TrainingOptions) -> Int[Tensor, " batch"]:
    """Which pictures are seen at a step: the plain ones in turn, then the others, in another order each epoch."""
    plain = options.n_plain // options.batch_size
    if step < plain:
        return torch.arange(step * options.batch_size, (step + 1) * options.batch_size)
    epoch, place = divmod(step - plain, options.n_images // options.batch_size)
    order = torch.randperm(options.n_images, generator=generator(options.seed, "order", epoch))
    return options.n_plain + order[place * options.batch_size : (place + 1) * options.batch_size]


def augmented(images: UInt8[Tensor, "n 3 rows cols"], rng: torch.Generator) -> Float[Tensor, "n 3 rows cols"]:
    """Pictures as normalized floats, half of them mirrored: a shape keeps its class."""
    mirrored = torch.randint(2, (len(images), 1, 1, 1), generator=rng).bool()
    x = (images.float() / 255 - 0.5) / 0.25
    return torch.where(mirrored, x.flip(3), x)
