"""First-layer filters at moments of a training, and how they and the answers get better."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from interp.comparisons.kernels import panel
from interp.comparisons.scaling import number
from interp.core.depth import kernel_layer
from interp.core.model import Model
from interp.core.rng import generator
from interp.errors import InterpError
from interp.figures import CurvePanel, EmptyPanel, Grid, Panel, TilePanel
from interp.images import Photo
from interp.kernels import Kernels, Scale
from interp.kernels import of as kernels_of
from interp.kernels.correlation import neighbour_correlation

SIDES = (40, 120)
"""Least and largest side of a window in a photograph, in pixels; limited by the photograph."""
LEARNED_FROM = 0.75
"""The share of each photograph, from the left, that is learned from."""

PLUS_MINUS = "\u00b1"

Step = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""


@dataclass(frozen=True)
class Lessons:
    """``steps`` of SGD on ``batch`` windows of ``side`` px, with step width ``rate`` at the widest; looked at ``moments`` times, with
    ``tested`` windows that are never learned from."""

    steps: int = 60
    batch: int = 64
    side: int = 32
    rate: float = 0.05
    tested: int = 192
    moments: int = 7
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises InterpError where a number is out of range."""
        for name, least in (("steps", 1), ("batch", 2), ("side", 16), ("tested", 1), ("moments", 2)):
            if getattr(self, name) < least:
                raise InterpError(f"`{name}` is {getattr(self, name)}: give at least {least}")


@dataclass(eq=False)
class Course:
    """A training, looked at now and then: by the number of steps taken the first layer's filters, and the share of right answers."""

    filters: dict[int, Kernels] = field(default_factory=dict)
    right: dict[int, float] = field(default_factory=dict)

    def look(self, step: int, filters: Kernels, right: float) -> None:
        self.filters[step], self.right[step] = filters, right

    @property
    def before(self) -> Kernels:
        """The filters of the first moment."""
        return self.filters[min(self.filters)]

    @property
    def added(self) -> Kernels:
        """The filters of the last moment less those of the first."""
        return replace(self.before, weights=self.filters[max(self.filters)].weights - self.before.weights)

    @property
    def smoothness(self) -> list[float]:
        """Moran's I, the median over the filters, of each moment."""
        return [smoothness(one) for one in self.filters.values()]

    @property
    def numbers(self) -> dict[str, object]:
        """For ``metrics.json``."""
        found: dict[str, object] = {"steps": list(self.filters), "right": list(self.right.values()), "moran_i": self.smoothness}
        return found | {"moran_i_added": smoothness(self.added)}


def smoothness(filters: Kernels) -> float:
    """Moran's I, the median over the filters."""
    return float(np.median(neighbour_correlation(filters.weights)))


def windows(
    photos: Sequence[Photo], count: int, side: int, rng: torch.Generator, *, held_out: bool
) -> tuple[Float[Tensor, "n 3 side side"], Int[Tensor, " n"]]:
    """``count`` square windows of random places and sizes, resized to ``side`` px, [0, 1], and which photograph each is of.

    They lie in the left three quarters of the photographs, or in the right quarter where ``held_out``. Each photograph has as many.
    """
    if count < len(photos):
        raise InterpError(f"{count} windows of {len(photos)} photographs: give at least one of each")
    images, labels = [], []
    for place in range(count):
        label = place % len(photos)
        pixels = photos[label].pixels
        cut = round(LEARNED_FROM * pixels.shape[1])
        part = pixels[:, cut:] if held_out else pixels[:, :cut]
        most = min(SIDES[1], *part.shape[:2])
        size = _between(rng, min(SIDES[0], most), most)
        row, col = (_between(rng, 0, reach - size) for reach in part.shape[:2])
        window = torch.from_numpy(part[row : row + size, col : col + size].copy()).permute(2, 0, 1)[None]
        images.append(F.interpolate(window.float() / 255, (side, side), mode="bilinear", antialias=True, align_corners=False))
        labels.append(label)
    return torch.cat(images).clamp(0, 1), torch.tensor(labels)


def learned(model: Model, photos: Sequence[Photo], order: Int[Tensor, " places"], lessons: Lessons, step_done: Step) -> Course:
    """What becomes of ``model`` (its weights are changed) while it learns from which of ``photos`` a window was cut.

    ``order``: from which place of a window each of its pixels is taken. The first outputs stand for the photographs.
    """
    layer, course = kernel_layer(model, model.layers[0].name).name, Course()

    def shown(count: int, held_out: bool, *names: object) -> tuple[Tensor, Tensor]:
        images, labels = windows(photos, count, lessons.side, generator(lessons.seed, *names), held_out=held_out)
        scrambled = images.flatten(2)[:, :, order].unflatten(2, (lessons.side, lessons.side))
        return scrambled.to(model.device), labels.to(model.device)

    unseen, answers = shown(lessons.tested, True, "test windows")
    looked = {round(step) for step in np.linspace(0, lessons.steps, lessons.moments)}
    optimizer = torch.optim.SGD(model.module.requires_grad_(True).parameters(), lessons.rate, 0.9, weight_decay=5e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lessons.rate, total_steps=lessons.steps, cycle_momentum=False)
    for step in range(lessons.steps + 1):
        if step in looked:
            right = (model(unseen)[:, : len(photos)].detach().argmax(1) == answers).float().mean()
            course.look(step, kernels_of(model, layer), float(right))
        step_done(step, lessons.steps)
        if step < lessons.steps:
            images, labels = shown(lessons.batch, False, "windows", step)
            model.module.train()
            loss = F.cross_entropy(model.forward(images)[:, : len(photos)], labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    model.module.eval().requires_grad_(False)
    return course


def filters(found: Mapping[str, Course], ready: Kernels, title: str) -> Grid:
    """The filters before, after each way of learning, and those of the network as it is; below, what learning added to them.

    Within a row all but the network as it is are on one scale.
    """
    some = next(iter(found.values()))
    after = {f"pixels {way}, {max(one.filters)} steps": one.filters[max(one.filters)] for way, one in found.items()}
    added = _on_one_scale([one.added for one in found.values()])
    first, *later = _on_one_scale([some.before, *after.values()])
    rows = ((first, *later, _told(ready, panel(ready))), (EmptyPanel(), *added, EmptyPanel()))
    return Grid(rows, ("filters", "what learning\nadded"), ("before", *after, "the network as it is"), title, panel_size=2.6)


def _on_one_scale(several: Sequence[Kernels]) -> list[Panel]:
    """As `panel`, but full colour stands for the largest weight of them all."""
    limit = max(one.limit for one in several)
    found: list[Panel] = []
    for one in several:
        own = panel(one)
        if isinstance(own, TilePanel) and own.scale is None:
            tiles = 0.5 + (one.rgb(Scale.SHARED)[: len(own.tiles)] - 0.5) * np.float32(one.limit / limit if limit > 0 else 0)
            own = replace(own, tiles=tiles, sublabel=f"{own.sublabel.rpartition(PLUS_MINUS)[0]}{PLUS_MINUS}{number(limit)}")
        found.append(_told(one, own))
    return found


def _told(one: Kernels, own: Panel) -> Panel:
    """With Moran's I in the place of the layer's name."""
    return replace(own, label=f"Moran's I {number(round(smoothness(one), 2) + 0.0)}") if isinstance(own, TilePanel) else own


def progress(found: Mapping[str, Course], ready: Kernels, title: str) -> Grid:
    """The share of right answers, and Moran's I beside the network's as it is, against the steps."""
    last = max(max(one.filters) for one in found.values())
    right = tuple((way, 100 * np.array(list(one.right.values()))) for way, one in found.items())
    smooth = [(way, np.array(one.smoothness)) for way, one in found.items()]
    goal = np.full(len(smooth[0][1]), smoothness(ready))
    panels = (
        CurvePanel(right, "steps", "right, %", x_range=(0, last)),
        CurvePanel((*smooth, ("network as it is", goal)), "steps", "Moran's I, median", x_range=(0, last)),
    )
    return Grid((panels,), title=title, panel_size=3.6)


def _between(rng: torch.Generator, low: int, high: int) -> int:
    """A whole number from ``low`` to ``high``, both included."""
    return int(torch.randint(low, high + 1, (1,), generator=rng))
