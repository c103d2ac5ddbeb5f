"""Finished work of one layer, read from the store a few channels at a time, and what is put together from it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import NDArray

from interp.activations import stream
from interp.errors import BadFile
from interp.featurevis.quality import natural_ratio
from interp.featurevis.quality.result import LEAST_NATURAL_RATIO
from interp.microscope.looking import Look, Seen
from interp.microscope.optimizing import Kind
from interp.microscope.plan import Plan
from interp.microscope.store import Store, array_text


@dataclass(frozen=True, eq=False)
class Made:
    """One optimized image: 8-bit, its score, what it is worth, what speaks against it.

    ``natural``: the most that photographs give the same objective, ``ratio``: the score over it. None for other kinds than the image of
    the channel; the ratio is None too where the maximum is not above 0.
    """

    kind: Kind
    face: int
    image: UInt8[np.ndarray, "rows cols 3"]
    score: float
    dead: bool
    notes: tuple[str, ...]
    numbers: Mapping[str, float]
    natural: float | None
    ratio: float | None

    @property
    def name(self) -> str:
        return f"diverse {self.face + 1}" if self.kind is Kind.DIVERSE else self.kind.value

    @property
    def failed(self) -> bool:
        """Whether there is no image, only a reason why."""
        return not np.isfinite(self.score)


@dataclass(frozen=True, eq=False)
class UnitWork:
    """All that was made for one channel."""

    channel: int
    made: tuple[Made, ...]
    tops: tuple[Seen, ...]
    bottoms: tuple[Seen, ...]
    maps: bool
    sheet: bytes | None

    def first(self, kind: Kind = Kind.CHANNEL) -> Made | None:
        return next((one for one in self.made if one.kind is kind), None)


class LayerWork:
    """What is finished of a layer. ``natural``: the most that photographs give each channel; ``tuning``: answers by family;
    ``weights``: numbers of the filters by name (`weighing.Weigh`), ``gabor``: those of fits (`fitting.Fit`); empty where there are none."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        layer: str,
        scan: stream.Scan,
        natural: Float[np.ndarray, " c"],
        tuning: Mapping[str, Float[np.ndarray, "c positions"]],
        weights: Mapping[str, Float[np.ndarray, " c"]],
        gabor: Mapping[str, Float[np.ndarray, " c"]],
    ) -> None:
        self.plan, self.store, self.layer, self.scan = plan, store, layer, scan
        self.natural, self.tuning, self.weights, self.gabor = natural, tuning, weights, gabor
        self.statistics = scan.layers[layer]
        self.images = {(channels.start, kind): order for channels, kind, order in plan.optimizing(layer, natural.tolist())}
        self.sheets = {channels.start: order for channels, order in plan.looking(layer, scan)}

    def title(self, channel: int) -> str | None:
        """The class that a channel stands for; None where it is no class."""
        model = self.plan.model
        return model.spec.classes[channel] if self.layer == model.output and channel < len(model.spec.classes) else None

    @cached_property
    def at(self) -> str:
        """Where the maps over its examples are taken; see `looking.maps_at`."""
        stage = next(iter(self.sheets.values())).stage
        assert isinstance(stage, Look)
        return stage.at

    @property
    def keys(self) -> list[str]:
        """Of all that the layer's pages are made of."""
        orders = (*self.images.values(), *self.sheets.values(), *self.plan.measuring(self.layer).values())
        return sorted(order.key for order in orders)

    def units(self) -> Iterator[UnitWork]:
        """Channel by channel; one chunk is in memory at a time. Raises BadFile where finished work is gone."""
        for channels in self.plan.chunks(self.layer):
            images = {kind: self._read(order.key) for (first, kind), order in self.images.items() if first == channels.start}
            order = self.sheets[channels.start]
            sheets, stage = self._read(order.key), order.stage
            assert isinstance(stage, Look)
            for k, channel in enumerate(channels):
                made = tuple(one for kind, arrays in images.items() for one in self._made(kind, arrays, k, channel))
                found = sheets.get(f"sheet/{channel}")
                tops, bottoms = stage.tops[k], stage.bottoms[k]
                yield UnitWork(channel, made, tops, bottoms, bool(stage.at), None if found is None else found.tobytes())

    def _read(self, key: str) -> dict[str, NDArray[Any]]:
        arrays = self.store.get(key)
        if arrays is None:
            raise BadFile(f"finished work of '{self.layer}' is gone from `{self.store.folder}`: run the same command again")
        return arrays

    def _made(self, kind: Kind, arrays: Mapping[str, NDArray[Any]], place: int, channel: int) -> Iterator[Made]:
        faces = arrays["images"].shape[1]
        told: Sequence[Mapping[str, Any]] = json.loads(array_text(arrays["told"]))
        for face in range(faces):
            said, score = told[place * faces + face], float(arrays["scores"][place, face])
            natural = float(self.natural[channel]) if kind is Kind.CHANNEL and np.isfinite(self.natural[channel]) else None
            ratio = natural_ratio(score, natural)[0] if natural is not None and np.isfinite(score) else None
            notes = [*map(str, said["notes"]), *(["natural"] if ratio is not None and ratio < LEAST_NATURAL_RATIO else [])]
            dead = bool(arrays["dead"][place, face])
            yield Made(kind, face, arrays["images"][place, face], score, dead, tuple(notes), said["numbers"], natural, ratio)
