"""From finished work to what the pages show: one layer at a time, unit by unit."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from interp import kernels
from interp.core.model import Model
from interp.decoding import opened
from interp.errors import BadFile, InterpError
from interp.kernels import Scale
from interp.microscope.columns import columns_of
from interp.microscope.looking import Layout, Seen
from interp.microscope.pictures import sheet, tile, webp
from interp.microscope.relations import Relations
from interp.microscope.results import LayerWork, Made, UnitWork
from interp.microscope.strips import Strip
from interp.runs.partial import write_whole
from interp.site.microscope import Example, Histogram, LayerContent, LayerSummary, Optimized, Picture, Tiles, UnitContent, pack
from interp.site.microscope.address import PICTURES, folder_of
from interp.site.microscope.sprites import tiles_of

# Pixels of the longer side of a thumbnail.
_THUMBNAIL = 64
# Of optimized images.
_QUALITY = 90
_SAID = {
    "natural": "photographs do better",
    "control": "hardly above noise of the same spectrum",
    "fragile": "the score is lost by small shifts or JPEG",
    "grey": "nearly without contrast",
    "saturated": "much of it is black or white",
    "checkerboard": "a checkerboard pattern lies over it",
    "dead": "the unit never fired",
}
_NUMBERS = {
    "above_noise": "above noise (sd)",
    "kept_shifted": "kept after shifts",
    "kept_jpeg": "kept after JPEG",
    "contrast": "contrast",
    "saturation": "saturated",
}

_WEIGHTS = {
    "l1": "weights, L1 norm",
    "l2": "weights, L2 norm",
    "stable_rank": "stable rank",
    "effective_rank": "effective rank",
    "variance_entropy": "variance entropy",
    "sparsity": "sparsity",
    "orthogonality": "orthogonality",
    "flatness": "spectral flatness",
    "moran": "Moran's I",
    "noise_p": "p of noise",
}


def thumbnails_of(model: Model, layer: str, size: tuple[int, int]) -> Tiles:
    """Where the thumbnails of a layer are: known before they are made, so that other layers' pages can show them."""
    share = _THUMBNAIL / max(size)
    rows, cols = (max(1, round(side * min(1.0, share))) for side in size)
    return tiles_of(f"{_folder(layer)}/units", model.layer(layer).channels, (rows, cols), f"{layer}:{{}}")


def summary_of(model: Model, layer: str, size: tuple[int, int]) -> LayerSummary:
    """What the network's page and other layers show of a layer."""
    tiles = thumbnails_of(model, layer, size)
    found = model.layer(layer)
    return LayerSummary(layer, found.kind, found.channels, tiles[0], tiles, layer == model.output and bool(model.spec.classes))


class Page:
    """The pages of one layer, and the pictures that they show."""

    def __init__(self, site: Path, work: LayerWork, relations: Relations, strips: Sequence[Strip]) -> None:
        self.site, self.work, self.relations, self.strips = site, work, relations, strips
        self.model, self.layer = work.plan.model, work.layer
        self._kernels = _kernels(self.model, self.layer)

    def pictures(self) -> None:
        """Write all pictures of the layer; BadFile where the disk refuses."""
        tiles = thumbnails_of(self.model, self.layer, self.work.plan.size)
        small = np.zeros((tiles.total, tiles.rows, tiles.cols, 3), np.uint8)
        for unit in self.work.units():
            shown = unit.first()
            if shown is not None:
                small[unit.channel] = tile(shown.image, tiles.rows, tiles.cols)
                drawn = sheet([[one.image for one in unit.made]], len(unit.made), *self.work.plan.size)
                put(self.site, _optimized(self.layer, unit.channel), webp(drawn, _QUALITY))
            elif unit.sheet is not None and unit.tops:
                small[unit.channel] = self._crop(unit, tiles)
            if unit.sheet is not None:
                put(self.site, _examples(self.layer, unit.channel), unit.sheet)
        pack(self.site, f"{_folder(self.layer)}/units", small, tiles.alt, _QUALITY)
        if self._kernels is not None:
            pack(self.site, f"{_folder(self.layer)}/kernels", self._kernels, _of_kernels(self.layer), 100)

    def content(self) -> LayerContent:
        """What the layer's pages show."""
        found = self.model.layer(self.layer)
        rows, cols = found.map_shape[1:]
        columns, values = columns_of(self.work, self.work.units())
        sees = "the whole picture" if found.field is None or found.field.whole else f"{found.field} pixels, every {found.field.stride[0]}"
        thumbnails = thumbnails_of(self.model, self.layer, self.work.plan.size)
        return LayerContent(
            self.layer, found.kind, found.channels, (rows, cols), sees, columns, values, thumbnails, self.units, self._numbers()
        )

    def units(self) -> Iterator[UnitContent]:
        """The pages of the units, in order."""
        layout = (
            None
            if self._kernels is None
            else tiles_of(f"{_folder(self.layer)}/kernels", len(self._kernels), self._kernels.shape[1:3], _of_kernels(self.layer))
        )
        statistics, relations = self.work.statistics, self.relations
        for unit in self.work.units():
            channel = unit.channel
            yield UnitContent(
                channel=channel,
                title=self._title(channel),
                optimized=tuple(self._optimized(unit, place) for place, made in enumerate(unit.made) if not made.failed),
                top=tuple(self._example(unit, rank, top=True) for rank in range(len(unit.tops))) if unit.sheet else (),
                bottom=tuple(self._example(unit, rank, top=False) for rank in range(len(unit.bottoms))) if unit.sheet else (),
                curves=tuple(strip.curve(self.work.tuning[strip.name][channel]) for strip in self.strips if strip.name in self.work.tuning),
                histogram=Histogram(tuple(statistics.edges[channel].tolist()), tuple(statistics.counts[channel].tolist())),
                numbers=self._numbers_of(channel),
                near_by_weights=relations.by_weights[channel],
                near_by_activations=relations.by_activations[channel],
                incoming=relations.incoming[channel],
                outgoing=relations.outgoing[channel],
                kernel=None if layout is None else layout[channel],
                notes=self._notes(unit),
            )

    def _numbers(self) -> tuple[tuple[str, float | str], ...]:
        statistics = self.work.statistics
        counts = (("dead units", statistics.dead), ("rare units", statistics.rare))
        return (("pictures", float(statistics.images)), *((name, float(found.sum())) for name, found in counts))

    def _numbers_of(self, channel: int) -> tuple[tuple[str, float | str], ...]:
        statistics = self.work.statistics
        numbers: list[tuple[str, float | str]] = [
            (label, float(getattr(statistics, name)[channel]))
            for label, name in (
                ("mean", "mean"),
                ("standard deviation", "sd"),
                ("smallest", "minimum"),
                ("largest", "maximum"),
                ("share of zeros", "zeros"),
                ("active in pictures", "active"),
            )
        ]
        numbers += [
            (f"quantile {level:g}", float(statistics.quantiles[channel, k])) for k, level in enumerate(statistics.levels) if 0 < level < 1
        ]
        if statistics.selectivity is not None and statistics.preferred is not None:
            numbers.append(("class selectivity", float(statistics.selectivity[channel])))
            preferred = int(statistics.preferred[channel])
            if preferred >= 0:
                numbers.append(("preferred class", self.work.scan.labels[preferred]))
        numbers += [(label, float(self.work.weights[name][channel])) for name, label in _WEIGHTS.items() if name in self.work.weights]
        return tuple((name, value) for name, value in numbers if isinstance(value, str) or np.isfinite(value))

    def _notes(self, unit: UnitWork) -> tuple[str, ...]:
        statistics, channel = self.work.statistics, unit.channel
        notes = [f"No image could be made ({made.name}): {'; '.join(made.notes)}" for made in unit.made if made.failed]
        if statistics.dead[channel]:
            notes.append("Dead: it does not change over all pictures of the data.")
        elif statistics.rare[channel]:
            notes.append("Rare: it is active in fewer than 1 % of the pictures.")
        noise = self.work.weights.get("noise")
        if noise is not None and noise[channel]:
            notes.append(f"Noise: its weights cannot be told from noise (p = {self.work.weights['noise_p'][channel]:.2g}).")
        copies = self.work.weights.get("duplicate_of")
        if copies is not None and copies[channel] >= 0 and copies[channel] != channel:
            notes.append(f"Duplicate: its weights are as good as those of {self._name(int(copies[channel]))}.")
        return tuple(notes)

    def _title(self, channel: int) -> str | None:
        classes = self.model.spec.classes
        return classes[channel] if self.layer == self.model.output and channel < len(classes) else None

    def _optimized(self, unit: UnitWork, place: int) -> Optimized:
        made, (rows, cols) = unit.made[place], self.work.plan.size
        box = (0, place * cols, rows, (place + 1) * cols)
        alt = f"{self._name(unit.channel)}, optimized image ({made.name})"
        picture = Picture(_optimized(self.layer, unit.channel), rows, cols, alt, box, (rows, len(unit.made) * cols))
        return Optimized(picture, made.name, made.score, _said(made), _worth(made))

    def _example(self, unit: UnitWork, rank: int, *, top: bool) -> Example:
        statistics = self.work.statistics
        examples = statistics.top if top else statistics.bottom
        seen = (unit.tops if top else unit.bottoms)[rank]
        source = self.work.scan.sources[int(examples.images[unit.channel, rank])]
        maps = min(len(unit.tops), self.work.plan.options.maps) if unit.maps else 0
        layout = Layout(len(unit.tops), len(unit.bottoms), maps)
        crop, whole = (0, 1) if top else (3, 4)
        name = self._name(unit.channel)
        return Example(
            picture=self._tile(unit, layout, crop, rank, f"what {name} sees of {source.name}"),
            source=source.name,
            value=float(examples.values[unit.channel, rank]),
            row=seen.row,
            col=seen.col,
            heat=self._tile(unit, layout, 2, rank, f"Grad-CAM of {name} on {source.name}") if top and rank < maps else None,
            whole=self._tile(unit, layout, whole, rank, f"{source.name}, whole"),
            label=source.label,
            crop=_share(seen, self.model.preprocess.size),
        )

    def _tile(self, unit: UnitWork, layout: Layout, what: int, rank: int, alt: str) -> Picture:
        rows, cols = self.work.plan.tile
        line = layout.line(what)
        box = (line * rows, rank * cols, (line + 1) * rows, (rank + 1) * cols)
        return Picture(_examples(self.layer, unit.channel), rows, cols, alt, box, (len(layout.lines) * rows, layout.across * cols))

    def _crop(self, unit: UnitWork, tiles: Tiles) -> np.ndarray:
        """The first example's crop as the thumbnail, where there is no optimized image."""
        assert unit.sheet is not None
        rows, cols = self.work.plan.tile
        with opened(io.BytesIO(unit.sheet), f"the sheet of unit '{self._name(unit.channel)}'") as picture:
            return tile(np.asarray(picture.convert("RGB"))[:rows, :cols], tiles.rows, tiles.cols)

    def _name(self, channel: int) -> str:
        return f"{self.layer}:{channel}"


def put(site: Path, path: str, data: bytes) -> None:
    """Write a file below ``site`` whole, where it is not so already; BadFile where the disk refuses."""
    target = site / path
    try:
        if target.is_file() and target.read_bytes() == data:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, data)
    except OSError as error:
        raise BadFile(f"`{target}` cannot be written: {error.strerror or error}; make room, and the same command goes on") from None


def _said(made: Made) -> tuple[str, ...]:
    return tuple(_SAID.get(note, note) for note in made.notes)


def _worth(made: Made) -> tuple[tuple[str, float | str], ...]:
    ratio: Sequence[tuple[str, float | str]] = [] if made.ratio is None else [("of the natural maximum", made.ratio)]
    return (*ratio, *((label, made.numbers[name]) for name, label in _NUMBERS.items() if name in made.numbers))


def _share(seen: Seen, size: tuple[int, int]) -> tuple[float, float, float, float]:
    top, left, bottom, right = seen.box
    return (top / size[0], left / size[1], bottom / size[0], right / size[1])


def _kernels(model: Model, layer: str) -> np.ndarray | None:
    """The filters of a layer that sees colours, as pictures whose pixels can be told apart; None for others."""
    try:
        found = kernels.of(model, layer)
        pictures = found.rgb(Scale.FILTER)
    except InterpError:
        return None
    if len(pictures) != model.layer(layer).channels or pictures.shape[1:3] == (1, 1):
        return None
    repeat = max(1, _THUMBNAIL // max(pictures.shape[1:3]))
    drawn: np.ndarray = np.rint(pictures * 255).astype(np.uint8).repeat(repeat, axis=1).repeat(repeat, axis=2)
    return drawn


def _of_kernels(layer: str) -> str:
    return f"{layer}:{{}}, its weights as a colour picture; grey is zero"


def _folder(layer: str) -> str:
    return f"{PICTURES}/{folder_of(layer)}"


def _optimized(layer: str, channel: int) -> str:
    return f"{_folder(layer)}/{channel}.webp"


def _examples(layer: str, channel: int) -> str:
    return f"{_folder(layer)}/{channel}-seen.webp"
