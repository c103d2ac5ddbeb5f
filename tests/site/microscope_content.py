"""A made-up microscope with everything that pages can show: drawn gratings for images, and numbers that hang together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from interp.site.microscope import (
    Column,
    Curve,
    Example,
    Histogram,
    LayerContent,
    LayerSummary,
    Link,
    NetworkContent,
    Optimized,
    Picture,
    Tiles,
    UnitContent,
    pack,
    save,
)

HASH = "5f1c7a3e" * 8
COLUMNS = (
    Column("mean", "mean", "The mean activation over images and places."),
    Column("maximum", "maximum", "The largest activation in the data.", 2),
    Column("zeros", "share of zeros", "The share of activations that are exactly zero."),
    Column("selectivity", "selectivity", "How much larger the mean of the preferred class is than that of the others."),
)
FRUIT = ("apple", "banana", "cherry", "dragon fruit", "elderberry", "fig", "granny smith", "honeydew", "iced lolly", "jackfruit")


def grating(channel: int, side: int, seed: int = 0, count: int = 1) -> np.ndarray:
    """``count`` drawn images of (side, side, 3) uint8: a grating whose orientation, frequency and colours the channel decides."""
    rng = np.random.default_rng((seed, channel))
    rows, cols = np.mgrid[:side, :side] / side - 0.5
    angle, frequency = rng.uniform(0, np.pi), rng.uniform(2, 9)
    tints = rng.uniform(0.1, 0.9, (2, 3))
    out = []
    for _ in range(count):
        phase, wobble = rng.uniform(0, 6.28), rng.uniform(0, 0.25)
        along = rows * np.sin(angle) + cols * np.cos(angle) + wobble * np.sin(7 * rows) * cols
        wave = (np.sin(2 * np.pi * frequency * along + phase) * np.exp(-6 * (rows**2 + cols**2)) + 1) / 2
        image = tints[0] * wave[..., None] + tints[1] * (1 - wave[..., None]) + rng.normal(0, 0.02, (side, side, 3))
        out.append((np.clip(image, 0, 1) * 255).astype(np.uint8))
    return np.stack(out)


def scene(number: int, side: int = 96) -> np.ndarray:
    """A drawn picture of (side, side, 3) uint8: a sky, a ground and a few discs."""
    rng = np.random.default_rng((77, number))
    rows, cols = np.mgrid[:side, :side] / side
    sky, ground = rng.uniform(0.4, 1, 3), rng.uniform(0, 0.6, 3)
    image = np.where((rows < rng.uniform(0.4, 0.7))[..., None], sky, ground) * (0.8 + 0.2 * rows[..., None])
    for _ in range(4):
        center, radius = rng.uniform(0.1, 0.9, 2), rng.uniform(0.05, 0.22)
        image = np.where(((rows - center[0]) ** 2 + (cols - center[1]) ** 2 < radius**2)[..., None], rng.uniform(0, 1, 3), image)
    return (np.clip(image, 0, 1) * 255).astype(np.uint8)


def heat(image: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """The picture under a warm spot at the middle of the box."""
    side = image.shape[0]
    rows, cols = np.mgrid[:side, :side] / side
    spot = np.exp(-25 * ((rows - (box[0] + box[2]) / 2) ** 2 + (cols - (box[1] + box[3]) / 2) ** 2))[..., None]
    return (image * (0.45 + 0.1 * spot) + np.array([255.0, 150.0, 20.0]) * 0.45 * spot).astype(np.uint8)


class Site:
    """A network of ``sizes`` (layer -> channels) below ``folder``; pictures are written as content is asked for."""

    def __init__(
        self,
        folder: Path,
        sizes: dict[str, int],
        edges: Sequence[tuple[str, str]],
        titles: Sequence[str] = FRUIT,
        rich: int = 9,
        weights: str = HASH,
        seed: int = 0,
        title: str = "resnet18",
    ) -> None:
        self.folder, self.sizes, self.titles, self.rich, self.seed = folder, sizes, tuple(titles), rich, seed
        self.last = list(sizes)[-1]
        self.tiles: dict[str, Tiles] = {}
        self.photos = [scene(number) for number in range(24)]
        wholes = pack(folder, "pictures/photos", np.stack(self.photos), "photo {}")
        self.wholes = wholes
        summaries = []
        for place, (name, channels) in enumerate(sizes.items()):
            drawn = np.concatenate([grating(channel + 1000 * place, 64, seed) for channel in range(channels)])
            self.tiles[name] = pack(folder, f"pictures/{place:03d}/channel", drawn, name.replace("{}", "") + ":{} excited")
            save(folder, f"pictures/{place:03d}/layer.webp", drawn[0])
            own = Picture(f"pictures/{place:03d}/layer.webp", 64, 64, f"a unit of {name}")
            kind = "Linear" if name == self.last else "Conv2d"
            summaries.append(LayerSummary(name, kind, channels, own, self.tiles[name], titled=name == self.last and bool(titles)))
        self.network = NetworkContent(
            title=title,
            reference=title,
            weights_hash=weights,
            layers=tuple(summaries),
            edges=tuple(edges),
            numbers=(("images", 10000.0), ("parameters", 11689512.0), ("units without an answer", 12.0), ("size of this site", "38 MB")),
            notes=(),
            provenance=(
                ("Command", f"interp microscope {title} --images photos --out site"),
                ("Data", "10,000 pictures of photos/, SHA-256 of the list 77ab01cd23"),
                ("Seed", "0"),
                ("Versions", "python 3.11.7, torch 2.15, interp 0.5.0"),
                ("Machine", "cpu, 2 threads, float32"),
            ),
        )

    def layer(self, name: str, count: int | None = None) -> LayerContent:
        channels = self.sizes[name]
        rng = np.random.default_rng((self.seed, len(name), channels))
        values: dict[str, tuple[float | None, ...]] = {
            "mean": tuple(float(v) for v in rng.gamma(2, 0.2, channels)),
            "maximum": tuple(float(v) for v in rng.gamma(6, 0.8, channels)),
            "zeros": tuple(float(v) for v in rng.beta(3, 2, channels)),
            "selectivity": tuple(None if v < 0.03 else float(v) for v in rng.uniform(0, 1, channels)),
        }
        place = list(self.sizes).index(name)
        return LayerContent(
            name=name,
            kind="Linear" if name == self.last else "Conv2d",
            channels=channels,
            places=(1, 1) if name == self.last else (max(1, 56 // (1 + place // 4)), max(1, 56 // (1 + place // 4))),
            field="the whole picture" if name == self.last else f"{7 + 16 * place} x {7 + 16 * place} pixels, every {2 + place // 4}",
            columns=COLUMNS,
            values=values,
            thumbnails=self.tiles[name],
            units=partial(self.units, name, values),
            numbers=(("dead", 2.0), ("rare", 5.0), ("median stable rank", 3.82)),
        )

    def units(self, name: str, values: dict[str, Any]) -> Iterator[UnitContent]:
        for channel in range(self.sizes[name]):
            yield self.unit(name, channel, values)

    def unit(self, name: str, channel: int, values: dict[str, Any]) -> UnitContent:
        names = list(self.sizes)
        place = names.index(name)
        rng = np.random.default_rng((self.seed, place, channel))
        title = self.titles[channel % len(self.titles)] if name == self.last and self.titles else None
        told = {column.label: values[column.key][channel] for column in COLUMNS}
        numbers = tuple((label, "none" if value is None else value) for label, value in told.items())
        plain = UnitContent(channel, title, self.images(name, channel, ("channel",)), numbers=numbers)
        if channel >= self.rich:
            return plain
        counts = (np.exp(-np.linspace(0, 6, 40)) * 60000 + rng.uniform(0, 40, 40)).astype(int)
        counts[0] = 410_000
        angles = np.linspace(0, 180, 13)
        sizes = np.linspace(4, 64, 9)
        strip = self.strip(channel)
        preferred = FRUIT[channel % len(FRUIT)]
        return UnitContent(
            channel=channel,
            title=title,
            optimized=self.images(name, channel, ("channel", "neuron", "negative", "diverse 1", "diverse 2", "diverse 3")),
            top=self.examples(rng, name, 9, 9.0),
            bottom=self.examples(rng, name, 4, -2.0),
            curves=(
                Curve("orientation", "degrees", _floats(angles), _floats(np.cos(np.deg2rad(angles - 45)) ** 2 * 2.1 - 0.3), strip),
                Curve("size", "pixels", _floats(sizes), _floats(1 - np.exp(-sizes / 20))),
            ),
            histogram=Histogram(_floats(np.linspace(0, 9.2, 41)), tuple(int(count) for count in counts)),
            numbers=(*numbers, ("preferred class", preferred), ("stable rank", 2.41)),
            near_by_weights=self.links(rng, name, 6, 0.93),
            near_by_activations=self.links(rng, name, 6, 0.71),
            incoming=self.links(rng, names[place - 1], 6, 0.5) if place else (),
            outgoing=self.links(rng, names[place + 1], 6, -0.4) if place + 1 < len(names) else (),
            kernel=self.kernel(place, channel),
            notes=("The negative image reaches no more than noise of the same spectrum.",) if channel == 1 else (),
        )

    def images(self, name: str, channel: int, kinds: Sequence[str]) -> tuple[Optimized, ...]:
        place = list(self.sizes).index(name)
        if len(kinds) == 1:
            return (Optimized(self.tiles[name][channel], kinds[0], 8.25, numbers=(("natural ratio", 1.42),)),)
        drawn = np.concatenate([grating(channel + 1000 * place, 128, self.seed + number) for number in range(len(kinds))])
        tiles = pack(self.folder, f"pictures/{place:03d}/{channel}-optimized", drawn, f"{name}:{channel}, optimized, {{}}")
        return tuple(
            Optimized(
                tiles[number],
                kind,
                8.25 / (number + 1),
                ("below the natural images",) if kind == "diverse 3" else (),
                (("natural ratio", 1.42 / (number + 1)), ("after shifts", 0.93)),
            )
            for number, kind in enumerate(kinds)
        )

    def examples(self, rng: np.random.Generator, name: str, count: int, start: float) -> tuple[Example, ...]:
        found, crops, heats = [], [], []
        picks = rng.choice(len(self.photos), count, replace=False)
        for pick in picks:
            top, left = rng.integers(0, 56, 2)
            box = (top / 96, left / 96, (top + 40) / 96, (left + 40) / 96)
            crops.append(np.kron(self.photos[pick][top : top + 40, left : left + 40], np.ones((2, 2, 1), np.uint8)))
            heats.append(heat(self.photos[pick], box))
            found.append((int(pick), tuple(float(side) for side in box)))
        key = f"{list(self.sizes).index(name):03d}/{int(rng.integers(1 << 30))}"
        crop_tiles = pack(self.folder, f"pictures/{key}-crops", np.stack(crops), "what the unit sees, {}")
        heat_tiles = pack(self.folder, f"pictures/{key}-heat", np.stack(heats), "Grad-CAM over the picture, {}")
        return tuple(
            Example(
                crop_tiles[rank],
                f"train/{FRUIT[pick % len(FRUIT)]}/picture-{pick:05d}.jpg",
                start - 0.31 * rank,
                int(rng.integers(14)),
                int(rng.integers(14)),
                heat_tiles[rank],
                self.wholes[pick],
                FRUIT[pick % len(FRUIT)],
                box,  # type: ignore[arg-type]
            )
            for rank, (pick, box) in enumerate(found)
        )

    def links(self, rng: np.random.Generator, layer: str, count: int, start: float) -> tuple[Link, ...]:
        picks = rng.choice(self.sizes[layer], min(count, self.sizes[layer]), replace=False)
        return tuple(Link(layer, int(pick), start * 0.9**rank) for rank, pick in enumerate(picks))

    def kernel(self, place: int, channel: int) -> Picture:
        path = f"pictures/{place:03d}/{channel}-kernel.png"
        save(self.folder, path, grating(channel, 7, 5)[0])
        return Picture(path, 7, 7, f"the weights of channel {channel}")

    def strip(self, channel: int) -> Picture:
        path = f"pictures/strip-{channel % 3}.webp"
        save(self.folder, path, np.concatenate([grating(channel % 3 + step, 24, 9)[0] for step in range(13)], axis=1))
        return Picture(path, 24, 24 * 13, "the stimuli, from the first position to the last")


def resnet18(width: int = 16, classes: int = 40) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """The convolutions and the head of a resnet18 with few channels, and which feeds which (residual streams included)."""
    sizes, edges = {"conv1": width}, []
    stream = ["conv1"]
    for stage in range(1, 5):
        for block in range(2):
            name = f"layer{stage}.{block}"
            channels = width * stage
            one, two, down = f"{name}.conv1", f"{name}.conv2", f"{name}.downsample.0"
            sizes[one] = channels
            sizes[two] = channels
            edges += [(source, one) for source in stream] + [(one, two)]
            if stage > 1 and block == 0:
                sizes[down] = channels
                edges += [(source, down) for source in stream]
                stream = [two, down]
            else:
                stream = [*stream, two]
    sizes["fc"] = classes
    return sizes, edges + [(source, "fc") for source in stream]


def _floats(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
