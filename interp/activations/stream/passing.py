"""The pass itself: read, look, reduce, batch by batch, with checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from interp.activations.stream import checkpoint as checkpoints
from interp.activations.stream.checkpoint import Progress, Seen
from interp.activations.stream.config import ScanConfig
from interp.activations.stream.firing import forward
from interp.activations.stream.keys import plan_key, result_key
from interp.activations.stream.layer import LayerState, Part, Shape
from interp.activations.stream.values import Scan, Source
from interp.core.memory import by_parts, fitting
from interp.core.model import Model
from interp.datasets import DataSet
from interp.errors import BadFile, InterpError
from interp.runs.plain import prose


@dataclass(frozen=True)
class Step:
    """How far a pass is: pictures ``done`` (read or skipped) of ``total``, how many were ``skipped``, how many an earlier pass had
    ``resumed`` from. ``note`` says in words what came of a checkpoint, "" where there is nothing to say.
    """

    done: int
    total: int
    skipped: int
    resumed: int
    note: str = ""


USUAL = ScanConfig()

OnBatch = Callable[[Step], None]


def scan(
    model: Model,
    data: DataSet,
    layers: Sequence[str],
    config: ScanConfig = USUAL,
    on_batch: OnBatch | None = None,
    checkpoint: Path | None = None,
) -> Scan:
    """One pass of ``data`` through ``model``: the statistics and extremes of every channel of ``layers``, from one forward per picture.

    Pictures that cannot be read are left out and listed. Memory does not depend on their number, but for names and hashes. The result
    does not depend on ``config.batch`` or `Model.memory` beyond the rounding of the network's own sums, and the model is left as it was.

    With ``checkpoint`` (a file) an interrupted pass over the same work goes on from its last checkpoint, and ends in the same
    result bit for bit; the file stays, for the same pass to be had again. Where it is of other work, or a picture has changed
    since, it is overwritten: ``on_batch`` is told, as of each batch.

    Raises UnknownName or Unsupported where a layer cannot be looked at, BadFile where no picture can be read or a checkpoint not be
    written, InterpError where values are not finite.
    """
    names = _layers(model, layers)
    labels = data.labels
    shapes = [Shape(name, model.layer(name).kind, model.layer(name).map_shape, len(labels)) for name in names]
    progress = _fresh(model, shapes, config)
    key, note = plan_key(model, data, names, config), ""
    if checkpoint is not None:
        progress, note = _resumed(checkpoint, key, progress, data, lambda: _fresh(model, shapes, config))
    resumed = len(progress.seen)
    tell = on_batch or (lambda step: None)

    def told(said: str = "") -> None:
        tell(Step(len(progress.seen), len(data), len(progress.seen) - progress.read, resumed, said))

    told(note)
    numbers = {label: number for number, label in enumerate(labels)}
    saved, since, batches = resumed, time.monotonic(), 0
    for start, photos in _batches(model, data, resumed, config.batch):
        _add(model, progress, names, photos, [numbers.get(data.label(start + k) or "", -1) for k in range(len(photos))])
        batches += 1
        due = time.monotonic() - since >= config.seconds if config.batches is None else batches >= config.batches
        if checkpoint is not None and due:
            checkpoints.save(checkpoint, key, progress)
            saved, since, batches = len(progress.seen), time.monotonic(), 0
        told()
    if checkpoint is not None and saved < len(progress.seen):
        checkpoints.save(checkpoint, key, progress)
    return _finished(data, names, labels, config, key, progress)


def _layers(model: Model, layers: Sequence[str]) -> list[str]:
    if isinstance(layers, str) or not layers:
        raise InterpError(f"`layers` is {layers!r}: give a sequence of layer names, at least one")
    names = list(dict.fromkeys(model.layer(name).name for name in layers))
    for name in names:
        _ = model.layer(name).map_shape
    return names


def _fresh(model: Model, shapes: Sequence[Shape], config: ScanConfig) -> Progress:
    return Progress({shape.layer: LayerState(shape, config, model.device) for shape in shapes})


def _resumed(path: Path, key: str, progress: Progress, data: DataSet, fresh: Callable[[], Progress]) -> tuple[Progress, str]:
    """The progress in the checkpoint, or a fresh one; and what to say of it."""
    why = checkpoints.load(path, key, progress)
    if not why:
        changed = next((k for k, seen in enumerate(progress.seen) if not _unchanged(data, k, seen)), None)
        if changed is None:
            return progress, f"going on behind {len(progress.seen)} of {len(data)} pictures" if progress.seen else ""
        why = f"'{data.name(changed)}' has changed since"
    return fresh(), "" if why == "there is none" else f"the checkpoint '{path.name}' is not taken up, {why}: starting anew"


def _unchanged(data: DataSet, index: int, seen: Seen) -> bool:
    """Whether an item is what it was: by its stamp, or where that has changed by what is in it."""
    if index >= len(data):
        return False
    stamp = data.stamp(index)
    if stamp and stamp == seen.stamp:
        return True
    try:
        return data.photo(index).sha256 == seen.sha256
    except BadFile:
        return bool(seen.reason)


@dataclass(frozen=True, eq=False)
class _Read:
    """An item as it was read: its input, None where that could not be made."""

    image: Float[Tensor, "c h w"] | None
    seen: Seen


def _batches(model: Model, data: DataSet, start: int, size: int) -> Iterator[tuple[int, list[_Read]]]:
    """(index of the first, items), read by another thread while the one before is worked on."""

    def read(first: int) -> list[_Read]:
        return [_item(model, data, index) for index in range(first, min(first + size, len(data)))]

    starts = range(start, len(data), size)
    with ThreadPoolExecutor(1) as reader:
        coming: Future[list[_Read]] | None = reader.submit(read, start) if starts else None
        for first in starts:
            assert coming is not None
            items = coming.result()
            coming = reader.submit(read, first + size) if first + size < len(data) else None
            yield first, items


def _item(model: Model, data: DataSet, index: int) -> _Read:
    stamp, sha256 = data.stamp(index), ""
    try:
        photo = data.photo(index)
        sha256 = photo.sha256
        return _Read(model.preprocess(photo)[0], Seen(stamp, sha256))
    except InterpError as error:
        return _Read(None, Seen(stamp, sha256, prose(str(error)) or type(error).__name__))


def _add(model: Model, progress: Progress, names: Sequence[str], items: Sequence[_Read], labels: Sequence[int]) -> None:
    """Take a batch into the progress, in as many parts as memory asks for."""
    good = [(item.image, label) for item, label in zip(items, labels, strict=True) if item.image is not None]
    if good:
        images = torch.stack([image for image, _ in good])
        classes = torch.tensor([label for _, label in good])
        before = progress.read

        def reduced(start: int, stop: int) -> dict[str, Part]:
            parts: dict[str, Part] = {}

            def on_maps(name: str, maps: Float[Tensor, "n c rows cols"]) -> None:
                parts[name] = progress.layers[name].reduced(maps, before + start)

            forward(model, images[start:stop].to(model.device), names, on_maps)
            return parts

        def work(start: int, stop: int) -> None:
            # Merged only once all layers are reduced: a part for which memory runs out leaves nothing behind, and is done again in halves.
            for name, part in reduced(start, stop).items():
                progress.layers[name].add(part, classes[start:stop])

        cost = ("stream", tuple(names), tuple(images.shape[1:]))
        most = fitting(model, cost, len(images), lambda: reduced(0, 1))
        by_parts(replace(model, memory=None), len(images), work, cost, most)
    progress.seen += [item.seen for item in items]


def _finished(data: DataSet, names: Sequence[str], labels: tuple[str, ...], config: ScanConfig, key: str, progress: Progress) -> Scan:
    skipped = tuple((data.name(k), seen.reason) for k, seen in enumerate(progress.seen) if seen.reason)
    if not progress.read:
        raise BadFile(f"none of the {len(data)} pictures of '{data.title}' can be read; the first: {skipped[0][1]}")
    sources = tuple(Source(data.name(k), seen.sha256, data.label(k), k) for k, seen in enumerate(progress.seen) if not seen.reason)
    found = {name: progress.layers[name].statistics(config) for name in names}
    return Scan(found, sources, skipped, labels, result_key(key, sources, skipped))
