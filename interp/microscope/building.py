"""``build``: from a network and pictures to a finished site, in stages whose finished parts are never made twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interp import parallel
from interp.activations import stream
from interp.activations.stream import ScanConfig
from interp.core.model import Model
from interp.core.repeatable import on_threads
from interp.datasets import DataSet
from interp.errors import BadFile
from interp.microscope import data as opened
from interp.microscope import recipe as loaded
from interp.microscope.apart import spare
from interp.microscope.contents import Page
from interp.microscope.data import Data, image_of
from interp.microscope.ending import About, finish
from interp.microscope.estimate import Estimate, estimate
from interp.microscope.files import put
from interp.microscope.natural import MOST, Natural
from interp.microscope.network_contents import network_content
from interp.microscope.options import Options
from interp.microscope.pictures import visible
from interp.microscope.place import SitePlace, refuse_other, work_of
from interp.microscope.plan import Plan
from interp.microscope.recipe import Recipe
from interp.microscope.relations import Edges, Relations, Wiring
from interp.microscope.results import LayerWork
from interp.microscope.scanning import LEAST, read_behind, scanned
from interp.microscope.store import Store, key_of
from interp.microscope.strips import Strip, strips_of
from interp.microscope.tables import write_tables
from interp.microscope.tuning import Tune, tunable
from interp.microscope.unit_tables import tables
from interp.microscope.weighing import NONE
from interp.microscope.work import Order, carry_out
from interp.parallel import Runner, Task
from interp.runs.plain import plain
from interp.site.microscope import write_layer, write_network

# Of the pages: to be raised when the same work would give other pages.
FORMAT = 3
# Between checkpoints of the pass: what a kill can cost of it.
_SECONDS = 10.0

Tick = Callable[[str, int, int], None]
"""Called with (what is being done, how much is done, how much there is): pictures, units or layers."""


def silent(stage: str, done: int, total: int) -> None:
    """A Tick that shows nothing."""


@dataclass(frozen=True, eq=False)
class Building:
    """What is built, and where: ``layers`` by their names, in firing order; ``about``: what the manifest says of the command."""

    model: Model
    recipe: Recipe
    data: Data
    site: Path
    layers: tuple[str, ...]
    options: Options
    about: About
    bands: tuple[int, ...] = ()

    def plan(self, folder: Path, mark: str = "") -> Plan:
        """The work, for a store in ``folder``."""
        return Plan(self.model, self.recipe, self.data, self.bands, self.layers, self.options, folder, mark)

    @property
    def units(self) -> int:
        """How many channels have pages."""
        plan = self.plan(Path())
        return sum(plan.channels(name) for name in self.layers)


@dataclass(frozen=True)
class Built:
    """A finished site: its folder, how many units, pictures and files it has, its size, and the pictures that could not be read."""

    site: Path
    units: int
    pictures: int
    files: int
    size: int
    skipped: tuple[tuple[str, str], ...]


def build(building: Building, runner: Runner, tick: Tick = silent, data: DataSet | None = None) -> Built:
    """Build the site, or bring it up to date: what is finished of the same network, data and options is not made again.

    Killed at any point, the same call goes on from there, and the site is the same as without. ``data``: the data set, where it is
    open already. Raises BadFile where ``building.site`` is of another network, holds something else, or cannot be written.
    """
    with SitePlace(building.site, building.model.spec.sha256, building.model.spec.reference) as place:
        return _Build(building, runner, tick, place, data).run()


def expected(building: Building, pictures: int, workers: int) -> Estimate:
    """How long `build` will take, and how large the site will be: from a few measured steps. BadFile for a site of another network."""
    refuse_other(building.site, building.model.spec.sha256, building.model.spec.reference)
    store = store_of(building.site)
    return estimate(building.plan(store.folder), pictures, workers, store)


def store_of(site: Path) -> Store:
    """Where the finished work for a site is kept."""
    return Store(work_of(site) / "arrays")


class _Build:
    """One build, stage by stage."""

    def __init__(self, building: Building, runner: Runner, tick: Tick, place: SitePlace, data: DataSet | None) -> None:
        self.building, self.runner, self.tick, self.place = building, runner, tick, place
        self.model, self.options = building.model, building.options
        self.since = time.monotonic()
        loaded.provide(building.recipe, self.model)
        self.data = building.data.open() if data is None else data
        opened.provide(building.data, self.data)
        self.store = store_of(place.site)
        self.plan = building.plan(self.store.folder, self.store.open())

    def run(self) -> Built:
        try:
            work = [self._work(layer) for layer in self.plan.layers]
            self._make(work)
            self.place.begin()
            wiring = Wiring(self.model, self.plan.layers, self.options.links)
            relations = {one.layer: wiring.of(one.statistics) for one in work}
            self._pages(work, wiring.edges, relations)
            write_tables(self.place.site, tables(self.scan, work, relations, self.strips))
            files, size = finish(self.place.site, self.building.about, self.model, self.scan, self.data, time.monotonic() - self.since)
        except OSError as error:
            reason = error.strerror or str(error)
            raise BadFile(f"`{self.building.site}` cannot be written: {reason}; make room, and the same command goes on") from error
        return Built(self.building.site, self.building.units, len(self.scan.sources), files, size, self.scan.skipped)

    @cached_property
    def scan(self) -> stream.Scan:
        times, most, links = spare(self.data), max(self.options.top, self.options.bottom), max(1, self.options.links)
        asked = ScanConfig(top=times * most, nearest=links, seconds=_SECONDS)
        kept = replace(asked, top=times * max(most, LEAST), nearest=max(links, LEAST))

        def step(done: int, total: int) -> None:
            self.tick("looking at pictures", done, total)

        folder = self.place.work / "scans" / self.plan.base
        with on_threads(self.options.scan_threads):
            return read_behind(scanned(self.model, self.data, self.plan.points, asked, kept, folder, step), self.plan.read)

    @cached_property
    def natural(self) -> Mapping[str, NDArray[np.float32]]:
        """The most that photographs give the mean of each channel; nan where no images are optimized."""
        if not self.plan.optimizes:
            return {layer: np.full(self.model.layer(layer).channels, np.nan, np.float32) for layer in self.plan.layers}
        return self._one(self.plan.order(Natural(self.plan.layers, self.plan.size, self._photos())), "natural images")

    @cached_property
    def tuning(self) -> Mapping[str, NDArray[np.float32]]:
        if not self.options.tuning or not tunable(self.model):
            return {}
        return self._one(self.plan.order(Tune(self.plan.layers)), "tuning")

    @cached_property
    def measured(self) -> Mapping[str, Mapping[str, Mapping[str, NDArray[np.float64]]]]:
        """Numbers of the filters of each layer: of its "weights", and of fits ("gabor") where there are such."""
        orders = {f"{layer} {name}": order for layer in self.plan.layers for name, order in self.plan.measuring(layer).items()}
        done = 0

        def count(order: Order) -> None:
            nonlocal done
            done += 1
            self.tick("measuring weights", done, len(orders))

        self._carry(orders, count)
        return {layer: {name: self._read(one) for name, one in self.plan.measuring(layer).items()} for layer in self.plan.layers}

    @cached_property
    def strips(self) -> tuple[Strip, ...]:
        """The families of the tuning curves; () where there are no curves."""
        return strips_of(self.model) if self.tuning else ()

    def _photos(self) -> tuple[tuple[str, NDArray[np.uint8]], ...]:
        """Pictures of the data, evenly over it, by which optimized images are judged; () for the samples, which are taken as they are."""
        if not self.building.data.source:
            return ()
        sources = self.scan.sources
        chosen = [sources[int(k)] for k in np.unique(np.linspace(0, len(sources) - 1, min(MOST, len(sources))).round())]
        data, bands = self.building.data, self.building.bands
        return tuple((one.name, visible(image_of(self.model, data, one.index), bands)) for one in chosen)

    def _one(self, order: Order, name: str) -> Mapping[str, NDArray[np.float32]]:
        self._carry({name: order})
        return self._read(order)

    def _read(self, order: Order) -> Mapping[str, NDArray[Any]]:
        found = self.store.get(order.key)
        if found is None:
            raise BadFile(f"finished work is gone from `{self.store.folder}`: run the same command again")
        return found

    def _work(self, layer: str) -> LayerWork:
        scan, natural = self.scan, self.natural[layer]
        tuning = {name.partition("/")[2]: answers for name, answers in self._of_layer(layer)}
        found = self.measured[layer]
        weights = {name: values for name, values in found["weights"].items() if name != NONE}
        return LayerWork(self.plan, self.store, layer, scan, natural, tuning, weights, found.get("gabor", {}))

    def _of_layer(self, layer: str) -> Iterable[tuple[str, NDArray[np.float32]]]:
        # Names of layers hold no slash.
        return ((name, answers) for name, answers in self.tuning.items() if name.partition("/")[0] == layer)

    def _make(self, work: Sequence[LayerWork]) -> None:
        """Everything that is not made yet, units counted as their images are done."""
        orders: dict[str, Order] = {}
        units: dict[str, int] = {}
        for layer in work:
            for (first, kind), order in layer.images.items():
                orders[f"{layer.layer}:{first} {kind.value}"] = order
                units[order.key] = order.stage.last - first  # type: ignore[attr-defined]
            for first, order in layer.sheets.items():
                orders[f"{layer.layer}:{first} examples"] = order
        stage = "optimizing units" if units else "drawing examples"
        total = sum(units.values()) or len(orders)
        done = 0

        def count(order: Order) -> None:
            nonlocal done
            done += units.get(order.key, 0) if units else 1
            self.tick(stage, done, total)

        self._carry(orders, count)

    def _carry(self, orders: Mapping[str, Order], count: Callable[[Order], None] = lambda order: None) -> None:
        """Carry out those of ``orders`` whose results are not there."""
        missing: dict[str, Order] = {}
        for name, order in orders.items():
            if order.key in self.store:
                count(order)
            else:
                missing[name] = order

        def done(task: Task, result: object) -> None:
            order = missing[task.name]
            if isinstance(result, Mapping):  # of a worker that does not see this store
                self.store.put(order.key, result)
            count(order)

        parallel.run([Task(name, carry_out, (order,)) for name, order in missing.items()], self.runner, done)

    def _pages(self, work: Sequence[LayerWork], edges: Edges, relations: Mapping[str, Relations]) -> None:
        network = network_content(self.plan, self.building.about, self.data, self.scan, edges)
        self.place.drop(set(self.plan.layers))
        for strip in self.strips:
            put(self.place.site, strip.picture.path, strip.data)
        said = key_of(FORMAT, plain(network, "network"), self.scan.key, self.options)
        pages = [(Page(self.place.site, one, relations[one.layer], self.strips), key_of(said, one.keys)) for one in work]
        left = [(page, key) for page, key in pages if not self.place.is_written(page.layer, key)]
        # All pictures first: pages of one layer show thumbnails of others.
        for k, (page, _) in enumerate(left):
            self.tick("drawing pictures", k, len(left))
            self.place.note(page.layer, None)
            page.pictures()
        self.tick("drawing pictures", len(left), len(left))
        write_network(self.place.site, network)
        for k, (page, key) in enumerate(left):
            self.tick("writing pages", k, len(left))
            write_layer(self.place.site, network, page.content())
            self.place.note(page.layer, key)
        self.tick("writing pages", len(left), len(left))
