"""From finished work to what the pages show: one layer at a time, unit by unit."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from interp.activations import stream
from interp.decoding import opened
from interp.microscope import filters
from interp.microscope.columns import columns_of
from interp.microscope.files import put, remove_others
from interp.microscope.looking import Layout, Seen
from interp.microscope.pictures import sheet, tile, webp
from interp.microscope.plan import Plan
from interp.microscope.relations import Relations
from interp.microscope.results import LayerWork, Made, UnitWork
from interp.microscope.strips import Strip
from interp.site.microscope import Example, Histogram, LayerContent, LayerSummary, Optimized, Picture, Tiles, UnitContent, pack
from interp.site.microscope.address import PICTURES, folder_of
from interp.site.microscope.sprites import tiles_of

# Pixels of the longer side of a thumbnail.
_THUMBNAIL = 64
# Pixels of the picture on a layer's card.
_CARD = 96
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


def thumbnails_of(plan: Plan, layer: str) -> Tiles:
    """Where the thumbnails of a layer are: known before they are made, so that other layers' pages can show them."""
    share = _THUMBNAIL / max(plan.size)
    rows, cols = (max(1, round(side * min(1.0, share))) for side in plan.size)
    return tiles_of(f"{_folder(layer)}/units", plan.channels(layer), (rows, cols), f"{layer}:{{}}")


def summary_of(plan: Plan, layer: str) -> LayerSummary:
    """What the network's page and other layers show of a layer."""
    tiles = thumbnails_of(plan, layer)
    found, (across, units) = plan.model.layer(layer), _standing(len(tiles))
    alt = f"{layer}, units {', '.join(map(str, units))}"
    rows, cols = _standing_size(tiles)
    picture = Picture(_standing_for(layer), across * (rows + 2), across * (cols + 2), alt)
    titled = layer == plan.model.output and bool(plan.model.spec.classes)
    return LayerSummary(layer, found.kind, len(tiles), picture, tiles, titled, found.channels)


def _standing_size(tiles: Tiles) -> tuple[int, int]:
    """Of each of them in pixels: four fill a card of the network's page."""
    share = min(1.0, _CARD / 2 / max(tiles.rows, tiles.cols))
    return max(1, round(tiles.rows * share)), max(1, round(tiles.cols * share))


def _standing(count: int) -> tuple[int, list[int]]:
    """The units whose thumbnails stand for a layer of so many on the network's page, in a square of so many across."""
    across = 2 if count >= 4 else 1
    return across, np.linspace(0, count - 1, across**2).round().astype(int).tolist()


class Page:
    """The pages of one layer, and the pictures that they show."""

    def __init__(self, site: Path, work: LayerWork, relations: Relations, strips: Sequence[Strip]) -> None:
        self.site, self.work, self.relations, self.strips = site, work, relations, strips
        self.model, self.layer = work.plan.model, work.layer
        self._filters = filters.of(self.model, self.layer, work.plan.options.factoring)

    def pictures(self) -> None:
        """Write all pictures of the layer; BadFile where the disk refuses."""
        tiles = thumbnails_of(self.work.plan, self.layer)
        written: list[str] = []
        small = np.zeros((tiles.total, tiles.rows, tiles.cols, 3), np.uint8)
        for unit in self.work.units():
            shown = unit.first()
            if shown is not None:
                small[unit.channel] = tile(shown.image, tiles.rows, tiles.cols)
                drawn = sheet([[one.image for one in unit.made]], len(unit.made), *self.work.plan.size)
                written.append(_optimized(self.layer, unit.channel))
                put(self.site, written[-1], webp(drawn, _QUALITY))
            elif unit.sheet is not None and unit.tops:
                small[unit.channel] = self._crop(unit, tiles)
            if unit.sheet is not None:
                written.append(_examples(self.layer, unit.channel))
                put(self.site, written[-1], unit.sheet)
        packed = [pack(self.site, f"{_folder(self.layer)}/units", small, tiles.alt, _QUALITY)]
        across, units = _standing(len(tiles))
        rows, cols = _standing_size(tiles)
        framed = np.stack([np.pad(tile(small[unit], rows, cols), ((1, 1), (1, 1), (0, 0)), constant_values=255) for unit in units])
        square = sheet([list(framed[k : k + across]) for k in range(0, len(units), across)], across, *framed.shape[1:3])
        put(self.site, _standing_for(self.layer), webp(square, 75))
        if self._filters is not None:
            weights = self._filters.pictures[: len(tiles)]
            packed.append(pack(self.site, f"{_folder(self.layer)}/kernels", weights, _of_kernels(self.layer), 100))
        written += [_standing_for(self.layer), *(sheet.path for one in packed for sheet in one.sheets)]
        # Of a build with other options.
        remove_others(self.site / _folder(self.layer), "*.webp", {PurePosixPath(path).name for path in written})

    def content(self) -> LayerContent:
        """What the layer's pages show."""
        found = self.model.layer(self.layer)
        rows, cols = found.map_shape[1:]
        columns, values = columns_of(self.work, self.work.units())
        sees = "the whole picture" if found.field is None or found.field.whole else f"{found.field} pixels, every {found.field.stride[0]}"
        thumbnails = thumbnails_of(self.work.plan, self.layer)
        return LayerContent(
            self.layer,
            found.kind,
            len(thumbnails),
            (rows, cols),
            sees,
            columns,
            values,
            thumbnails,
            self.units,
            self._numbers(),
            self._before(),
            weights="" if self._filters is None else self._filters.text,
            heat=self._heat(),
            total=found.channels,
        )

    def units(self) -> Iterator[UnitContent]:
        """The pages of the units, in order."""
        layout = None
        if self._filters is not None:
            rows, cols = self._filters.pictures.shape[1:3]
            count = self.work.plan.channels(self.layer)
            layout = tiles_of(f"{_folder(self.layer)}/kernels", count, (rows, cols), _of_kernels(self.layer))
        statistics, relations = self.work.statistics, self.relations
        for unit in self.work.units():
            channel = unit.channel
            yield UnitContent(
                channel=channel,
                title=self._title(channel),
                optimized=tuple(self._optimized(unit, place) for place, made in enumerate(unit.made) if not made.failed),
                top=tuple(self._example(unit, rank, top=True) for rank in range(len(unit.tops))) if unit.sheet else (),
                bottom=tuple(self._example(unit, rank, top=False) for rank in range(len(unit.bottoms))) if unit.sheet else (),
                top_note=self._left_out(unit, stream.Side.TOP),
                bottom_note=self._left_out(unit, stream.Side.BOTTOM),
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

    @property
    def _behind(self) -> str:
        """What follows the layer directly and gives 0 its meaning; "" where nothing does."""
        found = self.work.plan.read.get(self.layer, self.layer)
        return "" if found == self.layer else found

    def _before(self) -> tuple[str, ...]:
        if not self._behind:
            return ()
        return (
            f"Values are those of the layer itself, before {self._behind}: that one is above 0, or the share of zeros, says little here. "
            "`interp diagnose` judges behind it.",
        )

    def _heat(self) -> str:
        if not self.work.at or not self.work.plan.options.maps:
            return ""
        if self.work.at != self.layer:
            return f"Maps over the pictures: Grad-CAM of the unit at {self.work.at}."
        return (
            "Maps over the pictures: the unit's activation at every place. "
            "Grad-CAM of a unit needs a layer with places before its own, and there is none."
        )

    def _left_out(self, unit: UnitWork, side: stream.Side) -> str:
        """What is said of examples that are not shown, as others show the same place; "" where there are none."""
        top = side is stream.Side.TOP
        shown, asked = (unit.tops, self.work.plan.options.top) if top else (unit.bottoms, self.work.plan.options.bottom)
        kept = int((self.work.statistics.examples(side).images[unit.channel] >= 0).sum())
        if [seen.rank for seen in shown] == list(range(min(asked, kept))):
            return ""
        said = f"Of crops of one picture that overlap by more than half, the {'strongest' if top else 'weakest'} is shown."
        return said if len(shown) == asked else f"{said} There are no more than {len(shown)} such among the {kept} that were kept."

    def _numbers(self) -> tuple[tuple[str, float | str], ...]:
        statistics = self.work.statistics
        counts = [("dead units", statistics.dead)] if self._behind else [("dead units", statistics.dead), ("rare units", statistics.rare)]
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
            changes = statistics.minimum[channel] != statistics.maximum[channel]
            notes.append(f"Dead: over all pictures of the data it {'is never above 0' if changes else 'does not change'}.")
        elif statistics.rare[channel] and not self._behind:
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
        source = self.work.scan.sources[int(examples.images[unit.channel, seen.rank])]
        maps = min(len(unit.tops), self.work.plan.options.maps) if unit.maps else 0
        layout = Layout(len(unit.tops), len(unit.bottoms), maps)
        crop, whole = (0, 1) if top else (3, 4)
        name, mapped = self._name(unit.channel), "activation" if self.work.at == self.layer else "Grad-CAM"
        return Example(
            picture=self._tile(unit, layout, crop, rank, f"what {name} sees of {source.name}"),
            source=source.name,
            value=float(examples.values[unit.channel, seen.rank]),
            row=seen.row,
            col=seen.col,
            heat=self._tile(unit, layout, 2, rank, f"{mapped} of {name} on {source.name}") if top and rank < maps else None,
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


def _said(made: Made) -> tuple[str, ...]:
    return tuple(_SAID.get(note, note) for note in made.notes)


def _worth(made: Made) -> tuple[tuple[str, float | str], ...]:
    ratio: Sequence[tuple[str, float | str]] = [] if made.ratio is None else [("of the natural maximum", made.ratio)]
    return (*ratio, *((label, made.numbers[name]) for name, label in _NUMBERS.items() if name in made.numbers))


def _share(seen: Seen, size: tuple[int, int]) -> tuple[float, float, float, float]:
    top, left, bottom, right = seen.box
    return (top / size[0], left / size[1], bottom / size[0], right / size[1])


def _of_kernels(layer: str) -> str:
    return f"{layer}:{{}}, its weights as a picture; grey is zero"


def _folder(layer: str) -> str:
    return f"{PICTURES}/{folder_of(layer)}"


def _standing_for(layer: str) -> str:
    return f"{_folder(layer)}/layer.webp"


def _optimized(layer: str, channel: int) -> str:
    return f"{_folder(layer)}/{channel}.webp"


def _examples(layer: str, channel: int) -> str:
    return f"{_folder(layer)}/{channel}-seen.webp"
