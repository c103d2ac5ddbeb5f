"""The stage of real pictures: what the images that excite a unit most look like, which part it sees, and on what that depends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.activations import stream
from interp.attribution import gradcam
from interp.core.layout import Vector
from interp.core.model import Layer, Model
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.microscope.apart import apart, place_of
from interp.microscope.data import Data, data_of, image_of
from interp.microscope.pictures import Pixels, heated, sheet, tile, visible, webp
from interp.microscope.store import Arrays
from interp.microscope.work import Stage

# Of how the sheets are drawn.
_FORMAT = 1
# Layers before the unit's that are tried, the nearest first: some lie on another branch.
_TRIED = 6
_BATCH = 16
# Of the sheets.
_QUALITY = 75


@dataclass(frozen=True)
class Seen:
    """One example of a channel: its ``rank`` among those that the pass kept, the ``image`` in the data set, its SHA-256, the (row, col)
    in the layer's map, the ``box`` of the crop."""

    rank: int = field(metadata={"manifest": False})
    image: int = field(metadata={"manifest": False})
    sha256: str
    row: int
    col: int
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class Look(Stage):
    """Sheets of the examples of the channels ``first`` .. of ``layer``, one per channel.

    ``tops`` and ``bottoms`` by channel. Of the first ``maps`` of the tops a map is drawn over the picture: Grad-CAM, at layer ``at``, of
    the unit at the example's place; where ``at`` is ``layer`` itself, what the unit answers at every place; none where it is "". Tiles
    are of ``tile`` (rows, cols) pixels; see `Layout` for the order. Arrays: ``sheet/CHANNEL``, the bytes of a WebP file.
    """

    layer: str
    first: int
    tops: tuple[tuple[Seen, ...], ...]
    bottoms: tuple[tuple[Seen, ...], ...]
    at: str
    maps: int
    tile: tuple[int, int]
    # Pictures go by their hashes, wherever they lie.
    data: Data = field(metadata={"manifest": False})
    bands: tuple[int, ...] = ()
    format: int = _FORMAT

    def arrays(self, model: Model) -> Arrays:
        heats = self._heats(model)
        found: dict[str, np.ndarray] = {}
        for k, (top, bottom) in enumerate(zip(self.tops, self.bottoms, strict=True)):
            rows, cols = self.tile
            lines = [
                [tile(self._crop(model, one), rows, cols) for one in top],
                [tile(self._picture(model, one), rows, cols) for one in top],
                [tile(heat, rows, cols) for heat in heats[k]],
                [tile(self._crop(model, one), rows, cols) for one in bottom],
                [tile(self._picture(model, one), rows, cols) for one in bottom],
            ]
            lines = [line for line in lines if line]
            if lines:
                drawn = sheet(lines, max(map(len, lines)), rows, cols)
                found[f"sheet/{self.first + k}"] = np.frombuffer(webp(drawn, _QUALITY), np.uint8)
        # A store holds no empty set.
        return found or {"none": np.zeros(1, np.uint8)}

    def _heats(self, model: Model) -> list[list[Pixels]]:
        """Maps over the first tops of each channel."""
        heats: list[list[Pixels]] = [[] for _ in self.tops]
        if not self.at or not self.maps:
            return heats
        flat = [(k, one) for k, top in enumerate(self.tops) for one in top[: self.maps]]
        for start in range(0, len(flat), _BATCH):
            part = flat[start : start + _BATCH]
            images = torch.stack([image_of(model, self.data, one.image) for _, one in part])
            found = self._answers(model, images, part) if self.at == self.layer else self._gradcam(model, images, part)
            for (k, one), values in zip(part, found, strict=True):
                heats[k].append(heated(self._picture(model, one), values))
        return heats

    def _gradcam(self, model: Model, images: Float[Tensor, "n c h w"], part: list[tuple[int, Seen]]) -> Iterator[np.ndarray]:
        vector = isinstance(model.layer(self.layer).layout, Vector)
        units = [Unit(self.layer, self.first + k, None if vector else (one.row, one.col)) for k, one in part]
        return (maps[self.at].values for maps in gradcam.of(model, images, units, [self.at]))

    def _answers(self, model: Model, images: Float[Tensor, "n c h w"], part: list[tuple[int, Seen]]) -> Iterator[np.ndarray]:
        with torch.no_grad():
            outputs, _ = model.capture([self.layer], images.to(model.device), truncate=True)
        maps = model.maps(self.layer, outputs[self.layer]).float().cpu()
        return (maps[row, self.first + k].numpy() for row, (k, _) in enumerate(part))

    def _picture(self, model: Model, seen: Seen) -> Pixels:
        return visible(image_of(model, self.data, seen.image), self.bands)

    def _crop(self, model: Model, seen: Seen) -> Pixels:
        top, left, bottom, right = seen.box
        return self._picture(model, seen)[top:bottom, left:right]


@dataclass(frozen=True)
class Layout:
    """Where the tiles of a channel's sheet are: lines of crops, of whole pictures and of maps for the tops, then for the bottoms."""

    tops: int
    bottoms: int
    maps: int

    @property
    def lines(self) -> tuple[int, ...]:
        """Tiles in each line of the sheet, without the empty ones."""
        return tuple(count for count in (self.tops, self.tops, self.maps, self.bottoms, self.bottoms) if count)

    @property
    def across(self) -> int:
        return max(self.lines)

    def line(self, what: int) -> int:
        """The number of the line in the sheet: 0 crops, 1 wholes and 2 maps of the tops, 3 crops and 4 wholes of the bottoms."""
        counts = (self.tops, self.tops, self.maps, self.bottoms, self.bottoms)
        return sum(1 for count in counts[:what] if count)


def seen(model: Model, data: Data, scan: stream.Scan, layer: str, channel: int, side: stream.Side, count: int) -> tuple[Seen, ...]:
    """The first ``count`` examples of a channel in a `Scan` that show different places: see `apart`."""
    examples = scan.layers[layer].examples(side)
    ranks = [rank for rank, index in enumerate(examples.images[channel].tolist()) if index >= 0]
    kept = [_seen(model, scan, layer, examples, channel, rank) for rank in ranks]
    places = (place_of(data_of(data), model.preprocess, one.image, one.sha256, one.box) for one in kept)
    return tuple(kept[k] for k in islice(apart(places), count))


def _seen(model: Model, scan: stream.Scan, layer: str, examples: stream.Examples, channel: int, rank: int) -> Seen:
    source = scan.sources[int(examples.images[channel, rank])]
    row, col = int(examples.rows[channel, rank]), int(examples.cols[channel, rank])
    return Seen(rank, source.index, source.sha256, row, col, stream.crop_box(model, layer, row, col))


def maps_at(model: Model, layer: str, size: tuple[int, int]) -> str:
    """The nearest layer before ``layer`` at which Grad-CAM of its units can be drawn; ``layer`` itself where there is none, for what its
    units answer at every place; "" where it has but one place, too."""
    names = [one.name for one in model.layers]
    placed = [one.name for one in model.layers[: names.index(layer)] if _placed(one)]
    grey = torch.full((1, len(model.preprocess.mean), *size), 0.5)
    for name in placed[: -_TRIED - 1 : -1]:
        try:
            gradcam.of(model, grey, [Unit(layer, 0)], [name])
        except InterpError:
            continue
        return name
    return layer if _placed(model.layer(layer)) else ""


def _placed(layer: Layer) -> bool:
    return layer.layout is not None and not isinstance(layer.layout, Vector) and layer.map_shape[1:] != (1, 1)
