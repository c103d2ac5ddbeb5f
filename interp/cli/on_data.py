"""What the commands that pass a data set through a network have in common: how it is opened, recorded, and the run asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from interp.cli.publish import Make, publish
from interp.errors import InterpError

if TYPE_CHECKING:
    from interp.cli.options import ModelOptions, SaveOptions
    from interp.core.model import Model
    from interp.datasets import DataSet
    from interp.images import Photo
    from interp.report.product import Product, Tick
    from interp.runs import InputEntry

Metrics = Mapping[str, Any]


@runtime_checkable
class OnData(Protocol):
    """A command on one model and, where ``images`` names one, a data set."""

    @property
    def model(self) -> str: ...
    @property
    def images(self) -> str | None: ...
    @property
    def loading(self) -> ModelOptions: ...
    @property
    def saving(self) -> SaveOptions: ...


def opened(images: str | None, labels: Path | None) -> DataSet:
    """The data set of the options; raises InterpError where there is none."""
    from interp import datasets

    if images is None:
        raise InterpError("no pictures are named: give --images DIR, a folder of pictures or another data set")
    data = datasets.open(images)
    return data if labels is None else datasets.with_labels(data, labels)


def publish_on(
    experiment: str,
    command: OnData,
    data: DataSet | None,
    make: Make,
    told: Callable[[Metrics], None],
    labels: Path | None = None,
    pictures: Sequence[Photo] = (),
) -> None:
    """Make the product of a command and write it as a run; ``told`` says in a few lines what its metrics are, before its path."""
    made: list[Metrics] = []

    def making(model: Model, shown: list[Photo], tick: Tick) -> Product:
        product = make(model, shown, tick)
        made.append(product.metrics)
        return product

    publish(
        experiment,
        command,
        lambda: command.loading.load(command.model),
        making,
        reference=command.model,
        seed=command.loading.seed,
        saving=command.saving,
        pictures=pictures,
        inputs=DataFiles(command.images or "", data, labels) if data is not None else (),
        before=lambda: told(made[-1]),
    )


def tell_skipped(skipped: Sequence[tuple[str, str]]) -> None:
    """One line on pictures (name, reason) that could not be read; none where all could."""
    if skipped:
        (name, reason), count = skipped[0], len(skipped)
        said = "1 picture could not be read and is left out" if count == 1 else f"{count} pictures could not be read and are left out"
        first = "" if count == 1 else "the first is "
        sys.stderr.write(f"interp: {said}, {first}'{name}': {' '.join(reason.split())}\n")


class DataFiles:
    """What the manifest says of the files of a data set: hashed when it is asked for, once the model is loaded."""

    def __init__(self, reference: str, data: DataSet, labels: Path | None) -> None:
        self._reference, self._data, self._labels = reference, data, labels

    def __iter__(self) -> Iterator[InputEntry]:
        from interp.datasets.opening import root_of
        from interp.runs import InputEntry
        from interp.runs.inputs import in_folder

        root = root_of(self._reference)
        for path, below in self._data.files():
            entry = InputEntry.of(path)
            yield replace(entry, path=in_folder(root, PurePath(below))) if root.is_dir() else entry
        if self._labels is not None:
            yield InputEntry.of(self._labels)
