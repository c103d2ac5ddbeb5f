"""From finished work to what the pages show: one layer at a time, unit by unit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from interp.activations import stream
from interp.microscope import drawing, filters, telling
from interp.microscope import picture_places as places
from interp.microscope.columns import columns_of
from interp.microscope.looking import Layout, Seen
from interp.microscope.relations import Relations
from interp.microscope.results import LayerWork, UnitWork
from interp.microscope.strips import Strip
from interp.site.microscope import Example, Histogram, LayerContent, Optimized, Picture, Tiles, UnitContent
from interp.site.microscope.sprites import tiles_of


class Page:
    """The pages of one layer, and the pictures that they show."""

    def __init__(self, site: Path, work: LayerWork, relations: Relations, strips: Sequence[Strip]) -> None:
        self.site, self.work, self.relations, self.strips = site, work, relations, strips
        self.model, self.layer = work.plan.model, work.layer
        self._filters = filters.of(self.model, self.layer, work.plan.options.factoring)

    def pictures(self) -> None:
        """Write all pictures of the layer; BadFile where the disk refuses."""
        drawing.draw(self.site, self.work, self._filters)

    def content(self) -> LayerContent:
        """What the layer's pages show."""
        found = self.model.layer(self.layer)
        rows, cols = found.map_shape[1:]
        columns, values = columns_of(self.work, self.work.units())
        sees = "the whole picture" if found.field is None or found.field.whole else f"{found.field} pixels, every {found.field.stride[0]}"
        thumbnails = places.thumbnails_of(self.work.plan, self.layer)
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
            telling.of_layer(self.work),
            weights="" if self._filters is None else self._filters.text,
            heat=telling.heat(self.work),
            read=telling.read_at(self.layer, self.work.plan.behind(self.layer), self.work.statistics),
            total=found.channels,
        )

    def units(self) -> Iterator[UnitContent]:
        """The pages of the units, in order."""
        kernels = self._kernels()
        statistics, relations = self.work.statistics, self.relations
        for unit in self.work.units():
            channel = unit.channel
            yield UnitContent(
                channel=channel,
                title=self.work.title(channel),
                optimized=tuple(self._optimized(unit, place) for place, made in enumerate(unit.made) if not made.failed),
                top=tuple(self._example(unit, rank, top=True) for rank in range(len(unit.tops))) if unit.sheet else (),
                bottom=tuple(self._example(unit, rank, top=False) for rank in range(len(unit.bottoms))) if unit.sheet else (),
                top_note=telling.left_out(self.work, unit, stream.Side.TOP),
                bottom_note=telling.left_out(self.work, unit, stream.Side.BOTTOM),
                curves=tuple(strip.curve(self.work.tuning[strip.name][channel]) for strip in self.strips if strip.name in self.work.tuning),
                histogram=Histogram(tuple(statistics.edges[channel].tolist()), tuple(statistics.counts[channel].tolist())),
                numbers=telling.of_unit(self.work, channel),
                near_by_weights=relations.by_weights[channel],
                near_by_activations=relations.by_activations[channel],
                incoming=relations.incoming[channel],
                outgoing=relations.outgoing[channel],
                kernel=None if kernels is None else kernels[channel],
                notes=telling.notes(self.work, unit),
            )

    def _kernels(self) -> Tiles | None:
        if self._filters is None:
            return None
        stem, alt = places.kernels(self.layer)
        rows, cols = self._filters.pictures.shape[1:3]
        return tiles_of(stem, self.work.plan.channels(self.layer), (rows, cols), alt)

    def _optimized(self, unit: UnitWork, place: int) -> Optimized:
        made, (rows, cols) = unit.made[place], self.work.plan.size
        box = (0, place * cols, rows, (place + 1) * cols)
        alt = f"{self._name(unit.channel)}, optimized image ({made.name})"
        picture = Picture(places.optimized(self.layer, unit.channel), rows, cols, alt, box, (rows, len(unit.made) * cols))
        return Optimized(picture, made.name, made.score, telling.against(made), telling.worth(made))

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
        return Picture(places.examples(self.layer, unit.channel), rows, cols, alt, box, (len(layout.lines) * rows, layout.across * cols))

    def _name(self, channel: int) -> str:
        return f"{self.layer}:{channel}"


def _share(seen: Seen, size: tuple[int, int]) -> tuple[float, float, float, float]:
    top, left, bottom, right = seen.box
    return (top / size[0], left / size[1], bottom / size[0], right / size[1])
