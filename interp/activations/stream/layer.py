"""What is known of one layer so far, and how a batch of its maps is added: reduced in one place, merged in another.

A batch is reduced to a `Part` while the layer fires, so its maps need not be kept, and merged once the whole forward was done: where it
fails half-way (memory runs out), nothing has changed and the batch can be done again in halves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.activations.stream import correlation, few
from interp.activations.stream.classes import ClassSums, activity
from interp.activations.stream.config import ScanConfig
from interp.activations.stream.correlation import Comoments
from interp.activations.stream.distribution import Distribution
from interp.activations.stream.extremes import Extremes
from interp.activations.stream.moments import Moments
from interp.activations.stream.places import counted, stream_of
from interp.activations.stream.rows import swept
from interp.activations.stream.sketch import Sketch, fitting
from interp.activations.stream.values import LayerStatistics, Side
from interp.errors import InterpError


@dataclass(frozen=True)
class Shape:
    """Of a layer: its name, the class of the module, (channels, rows, cols) of its maps, and how many classes of images are told apart."""

    layer: str
    kind: str
    maps: tuple[int, int, int]
    classes: int


@dataclass(frozen=True, eq=False)
class Part:
    """One batch, reduced; ``top`` and ``bottom`` are already those of all images up to and with it."""

    moments: Moments
    sketch: Sketch
    few: Float[Tensor, "c m"] | None
    top: Extremes
    bottom: Extremes
    comoments: Comoments | None
    activity: Float[Tensor, "n c"] | None


class LayerState:
    """Everything of one layer that the next batch is merged with."""

    def __init__(self, shape: Shape, config: ScanConfig, device: torch.device) -> None:
        self.shape = shape
        channels = shape.maps[0]
        correlated = config.correlations and 1 < channels <= correlation.MOST
        self.moments = Moments.empty(channels)
        self.sketch = Sketch.empty(channels, device)
        self.few = few.Few(torch.empty(channels, 0))
        self.stream = stream_of(config.seed, shape.layer)
        self.top = Extremes.empty(Side.TOP, channels, config.top)
        self.bottom = Extremes.empty(Side.BOTTOM, channels, config.top)
        self.comoments = Comoments.empty(channels) if correlated else None
        self.classes = ClassSums.empty(shape.classes, channels) if shape.classes > 1 else None

    def reduced(self, maps: Float[Tensor, "n c rows cols"], first: int) -> Part:
        """What the images ``first``, ``first`` + 1 ... add; nothing is changed. Raises InterpError where a value is not finite."""
        if tuple(maps.shape[1:]) != self.shape.maps:
            raise InterpError(
                f"layer '{self.shape.layer}' gives maps of {tuple(maps.shape[1:])} (channels, rows, cols) for these images, "
                f"{self.shape.maps} when the model was loaded: places cannot be compared"
            )
        maps = maps.float().contiguous()
        flat = maps.flatten(2)
        rows = swept(flat)
        bad = ~(torch.isfinite(rows.low) & torch.isfinite(rows.high))
        if bool(bad.any()):
            channel = int(bad.any(0).nonzero()[0, 0])
            raise InterpError(f"unit '{self.shape.layer}:{channel}' gives values that are not finite: they have no mean and no order")
        wide = torch.maximum(self.sketch.exponents, fitting(rows.low.amin(0), rows.high.amax(0)))
        return Part(
            Moments.of(rows),
            Sketch.of(counted(flat, self.stream, first), wide, bool(rows.zeros.any())),
            few.kept(flat, self.moments.count),
            self.top.extended(rows.high, flat, first),
            self.bottom.extended(rows.low, flat, first),
            None if self.comoments is None else Comoments.of(maps),
            None if self.classes is None else activity(flat),
        )

    def add(self, part: Part, labels: Int[Tensor, " n"]) -> None:
        """Merge what `reduced` gave; ``labels`` are the indices of the images' classes, -1 without one."""
        self.moments.add(part.moments)
        self.sketch.add(part.sketch)
        self.few.add(part.few)
        self.top, self.bottom = part.top, part.bottom
        if self.comoments is not None and part.comoments is not None:
            self.comoments.add(part.comoments)
        if self.classes is not None and part.activity is not None:
            self.classes.add(part.activity, labels)

    def tensors(self) -> dict[str, Tensor]:
        """All of it as tensors, for a checkpoint; `restore` is the inverse."""
        moments = self.moments
        found = {
            "numbers": torch.tensor([moments.count, moments.images, self.sketch.total]),
            "moments/values": torch.stack([moments.mean, moments.squares, moments.low, moments.high]),
            "moments/counts": torch.stack([moments.zeros, moments.active]),
            "sketch/counts": self.sketch.counts,
            "sketch/channels": torch.stack([self.sketch.zeros, self.sketch.exponents]),
        }
        for extremes in (self.top, self.bottom):
            found[f"{extremes.side.value}/values"] = extremes.values
            found[f"{extremes.side.value}/where"] = torch.stack([extremes.images, extremes.places])
        if self.comoments is not None:
            found["comoments/count"] = torch.tensor([self.comoments.count])
            found |= {"comoments/mean": self.comoments.mean, "comoments/products": self.comoments.products}
        if self.classes is not None:
            found |= {"classes/sums": self.classes.sums, "classes/images": self.classes.images}
        return found | {"few": self.few.values()}

    def restore(self, saved: Mapping[str, Tensor]) -> None:
        """Take up what `tensors` gave; KeyError or ValueError where it is of another layer or other options."""
        count, images, sketched = (int(number) for number in saved["numbers"])
        expected = self.tensors() | {"few": torch.empty(self.shape.maps[0], count if 0 <= count <= few.MOST else 0)}
        for name, tensor in expected.items():
            if saved[name].shape != tensor.shape or saved[name].dtype != tensor.dtype:
                raise ValueError(f"{name} has another shape")
        self.moments = Moments(count, images, *saved["moments/values"].clone(), *saved["moments/counts"].clone())
        device = self.sketch.counts.device
        self.sketch = Sketch(sketched, saved["sketch/counts"].to(device), *saved["sketch/channels"].to(device).clone())
        self.few = few.Few(saved["few"])
        self.top, self.bottom = (Extremes(s, saved[f"{s.value}/values"], *saved[f"{s.value}/where"].clone()) for s in Side)
        if self.comoments is not None:
            self.comoments = Comoments(int(saved["comoments/count"]), saved["comoments/mean"], saved["comoments/products"])
        if self.classes is not None:
            self.classes = ClassSums(saved["classes/sums"], saved["classes/images"])

    def statistics(self, config: ScanConfig) -> LayerStatistics:
        """What it comes to."""
        m = self.moments
        low, high = m.low.numpy(), m.high.numpy()
        values = self.few.values()
        if values.shape[1] == m.count:
            distribution = Distribution.of(values, config, self.sketch.exponents)
        else:
            distribution = Distribution.about(self.sketch, config, low, high)
        matrix = None if self.comoments is None else _known(self.comoments.correlation(), low == high)
        near = (None, None) if matrix is None else correlation.nearest(matrix, config.nearest)
        index = (None, None) if self.classes is None else self.classes.selectivity()
        return LayerStatistics(
            layer=self.shape.layer,
            places=self.shape.maps[1:],
            images=m.images,
            mean=m.mean.numpy().copy(),
            sd=np.sqrt(m.squares.numpy() / m.count),
            minimum=low.copy(),
            maximum=high.copy(),
            zeros=m.zeros.numpy() / m.count,
            active=m.active.numpy() / m.images,
            levels=config.levels,
            quantiles=distribution.quantiles,
            edges=distribution.edges,
            counts=distribution.counts,
            counted=distribution.counted,
            top=self.top.examples(self.shape.maps[2]),
            bottom=self.bottom.examples(self.shape.maps[2]),
            correlation=matrix if matrix is not None and len(matrix) <= correlation.MOST_SHOWN else None,
            selectivity=index[0],
            preferred=index[1],
            nearest=near[0],
            nearest_correlation=near[1],
            resolution=distribution.resolution,
            kind=self.shape.kind,
        )


def _known(matrix: Float[np.ndarray, "c c"], constant: np.ndarray) -> Float[np.ndarray, "c c"]:
    """nan where a channel is constant over all places, whatever rounding left of its products."""
    matrix[constant], matrix[:, constant] = np.nan, np.nan
    return matrix
