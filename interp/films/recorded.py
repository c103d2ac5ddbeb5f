"""From a recording of `interp.watch` to a `Timeline`; it may still be written while it is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

import numpy as np
from jaxtyping import Float

from interp.core.depth import evenly
from interp.errors import InterpError, UnknownName, nearest
from interp.films.timeline import MOST_MOMENTS, Curve, Probe, Timeline, UnitImages
from interp.watching import Record, Recording
from interp.watching.looking import ACTIVATIONS, GRADCAM, IMAGES, KERNELS, SILENT, STATISTICS, UNIT_SCORES

SUMMARIES = ("norm", "change", "stable_rank", "effective_rank", "dead", "structured")
"""What `Timeline.summaries` has of a convolution, as far as it was measured."""


def of(recording: Recording, layers: Sequence[str] = (), probe: int = 0) -> Timeline:
    """The `Timeline` of ``layers`` (names or globs; none: all whose weights were kept) and of one probe image.

    Records that lack one of the parts are left out, with a note. Raises InterpError where fewer than two are left, UnknownName for a
    layer that was not kept, or a probe that is not there.
    """
    head = recording.header
    kept = chosen(recording, layers)
    if not 0 <= probe < len(head.probes):
        raise UnknownName(f"there is no probe image {probe}: the recording has {len(head.probes)}, 0 to {len(head.probes) - 1}")
    wanted = [f"{KERNELS}/{layer}" for layer in kept] + [f"{STATISTICS}/{layer}/noise_p" for layer in kept]
    wanted += [f"{ACTIVATIONS}/{one.layer}" for one in head.plan.activations] + [f"{GRADCAM}/{layer}" for layer in head.plan.gradcam]
    of_units = [IMAGES, UNIT_SCORES, SILENT] if head.plan.units else []
    wanted += of_units
    # A session that goes on from a step may have made a record of it again.
    latest = {record.step: record for record in recording.records}
    whole = [record for record in latest.values() if all(map(record.has, wanted))]
    if len(whole) < 2:
        raise InterpError(f"`{recording.folder}` holds {_count(len(whole))} with all parts: a film needs two or more")
    moments, unfinite = _finite(evenly(whole, MOST_MOMENTS), kept)
    if len(moments) < 2:
        raise InterpError(f"`{recording.folder}` holds {_count(len(moments))} with finite weights: a film needs two or more")
    weights: dict[str, list[np.ndarray]] = {layer: [] for layer in kept}
    noise: dict[str, list[np.ndarray]] = {layer: [] for layer in kept}
    maps: dict[str, list[np.ndarray]] = {}
    climbed: dict[str, list[np.ndarray]] = {}
    for record in moments:
        # A record keeps its arrays: a copy of it is read, and let go.
        once = replace(record)
        for layer in kept:
            weights[layer].append(once.array(f"{KERNELS}/{layer}"))
            noise[layer].append(once.array(f"{STATISTICS}/{layer}/noise_p"))
        for name in (name for name in wanted if name.startswith((f"{ACTIVATIONS}/", f"{GRADCAM}/"))):
            maps.setdefault(name, []).append(once.array(name)[probe].astype(np.float32))
        for name in of_units:
            climbed.setdefault(name, []).append(once.array(name))
    return Timeline(
        head.network.reference,
        "step",
        tuple(record.step for record in moments),
        tuple(f"step {record.step}" for record in moments),
        {layer: np.stack(each) for layer, each in weights.items()},
        {layer: np.stack(each) for layer, each in noise.items()},
        frozenset(_coloured(recording) & set(kept)),
        {one.layer: _summaries(recording, one.layer) for one in head.plan.convolutions},
        tuple(Curve(name, *recording.curve(name)) for name in recording.names),
        _probe(recording, moments, {name: np.stack(each) for name, each in maps.items()}, probe),
        (*_notes(recording, len(latest), len(whole), len(moments) + len(unfinite)), *_diverged(unfinite)),
        images=_images(recording, {name: np.stack(each) for name, each in climbed.items()}),
    )


def chosen(recording: Recording, patterns: Sequence[str]) -> list[str]:
    """The layers whose weights were kept that ``patterns`` name; all of them where none are given."""
    kept = recording.header.plan.kernels
    for pattern in patterns:
        if not any(fnmatchcase(layer, pattern) for layer in kept):
            hint = nearest(pattern, kept) or "there are " + ", ".join(kept)
            raise UnknownName(f"no weights of '{pattern}' in `{recording.folder}`: {hint} (`interp.watch(kernels=[...])` keeps others)")
    found = [layer for layer in kept if not patterns or any(fnmatchcase(layer, pattern) for pattern in patterns)]
    if not found:
        raise InterpError(f"`{recording.folder}` keeps the weights of no layer: `interp.watch(kernels=[...])` says of which")
    return found


def picture(image: Float[np.ndarray, "c h w"]) -> Float[np.ndarray, "h w 3"]:
    """A probe for display, in [0, 1]: grey and RGB as they are, of other bands their mean; what leaves [0, 1] is brought to it."""
    shown = image if len(image) == 3 else image.mean(axis=0, keepdims=True).repeat(3, axis=0)
    low, high = min(0.0, float(shown.min())), max(1.0, float(shown.max()))
    result: np.ndarray = np.clip((np.moveaxis(shown, 0, 2) - low) / (high - low), 0, 1).astype(np.float32)
    return result


def strongest(maps: Float[np.ndarray, "moments k rows cols"]) -> int:
    """The channel with the largest mean magnitude at the last moment."""
    return int(np.abs(maps[-1]).mean(axis=(1, 2)).argmax())


def _probe(recording: Recording, moments: Sequence[Record], maps: dict[str, np.ndarray], probe: int) -> Probe:
    head = recording.header
    activations, units = {}, {}
    for one in head.plan.activations:
        own = maps[f"{ACTIVATIONS}/{one.layer}"]
        channel = strongest(own)
        activations[one.layer], units[one.layer] = own[:, channel], f"{one.layer}:{one.channels[channel]}"
    classes = head.network.classes
    said = [record.entry.targets[probe] for record in moments]
    return Probe(
        head.probes[probe].name,
        picture(recording.probes[probe]),
        activations,
        units,
        {layer: maps[f"{GRADCAM}/{layer}"] for layer in head.plan.gradcam},
        tuple(classes[target] if classes else str(target) for target in said),
    )


def _images(recording: Recording, climbed: dict[str, np.ndarray]) -> UnitImages | None:
    if not climbed:
        return None
    images = climbed[IMAGES]
    colours: np.ndarray = np.repeat(images, 3, axis=4) if images.shape[4] == 1 else images
    return UnitImages(tuple(map(str, recording.header.plan.units)), colours, climbed[UNIT_SCORES], climbed[SILENT])


def _summaries(recording: Recording, layer: str) -> dict[str, Curve]:
    found = {name: Curve(name, *recording.statistic(layer, name)) for name in SUMMARIES}
    return {name: curve for name, curve in found.items() if len(curve.steps)}


def _notes(recording: Recording, records: int, whole: int, moments: int) -> tuple[str, ...]:
    found = []
    if whole < records:
        found.append(f"Records that lack a part are left out: {records - whole} of {records}.")
    if moments < whole:
        found.append(f"Filters and maps are shown at {moments} moments, evenly over the {whole} that were recorded.")
    if recording.passed_over:
        share = "" if recording.share is None else f", which took {recording.share:.1%} of the training's time"
        found.append(f"{_count(recording.passed_over).capitalize()} that were due did not fit the budget of the recorder{share}.")
    if recording.ended_by is not None:
        found.append(f"The training ended with {recording.ended_by} at step {recording.last_step}.")
    elif not recording.complete:
        found.append("The recording was not closed when it was read: it may have gone on since.")
    return tuple(found)


def _finite(moments: Sequence[Record], kept: Sequence[str]) -> tuple[list[Record], list[Record]]:
    """Records whose kept weights are finite, and the others: a training may diverge."""
    found: tuple[list[Record], list[Record]] = ([], [])
    for record in moments:
        once = replace(record)
        found[not all(np.isfinite(once.array(f"{KERNELS}/{layer}")).all() for layer in kept)].append(record)
    return found


def _diverged(records: Sequence[Record]) -> tuple[str, ...]:
    """A sentence on what was left out because its weights are not finite."""
    if not records:
        return ()
    return (f"Left out: {_count(len(records))} from step {records[0].step} on whose weights hold NaN or infinite values.",)


def _coloured(recording: Recording) -> set[str]:
    """The convolution that sees red, green and blue, if there is one."""
    convolutions = recording.header.plan.convolutions
    return {convolutions[0].layer} if convolutions and recording.header.shape[0] == 3 else set()


def _count(records: int) -> str:
    return "no record" if records == 0 else "one record" if records == 1 else f"{records} records"
