"""The product of ``interp film`` and ``interp evolve``: a training as small multiples, curves, films and tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from interp.comparisons.scaling import number
from interp.figures import film as moving
from interp.films import Timeline, climbs, curves, frames, multiples, onsets, probing
from interp.films.matching import LIKE, UNLIKE, Identity, identity
from interp.films.moved import Moved, moved
from interp.films.onset import LEAST_P, NEVER, Onset, onset
from interp.films.tiles import Deep, Tiles, tiles
from interp.kernels.noise import LEVEL
from interp.report.film_page import Filmed, stepped
from interp.report.product import Figure, Film, Numbers, Product, Tick
from interp.runs import Tolerance
from interp.site import Link, Table

FILTERS, CURVES, MOVED = "Filters over time", "Curves", "Which filters moved, and where to"
PHOTOGRAPH, UNITS, ONSET = "One photograph over time", "Images of units over time", "First sign of structure"
FILMED = {f"{kind}/*": Tolerance.DERIVED for kind in ("kernels_shown", "onset", "curves", "metrics", "figures")}
HEADERS = ("layer", "filter", "distance", "cosine", "size", "least_cosine_to_previous", "jumps", "structure_from")
CLIMBED = "each going on from the image of the record before, so that a few steps are enough and images change as the unit does."
_ROWS = 10  # of a layer, in the table on the page: the file has all


@dataclass(frozen=True)
class Asked:
    """``filters`` and ``columns`` of the small multiples, at most; how ``deep`` filters become pictures; an ``mp4`` beside each film."""

    filters: int = multiples.FILTERS
    columns: int = multiples.COLUMNS
    deep: Deep = Deep.PCA
    mp4: bool = False


@dataclass(frozen=True, eq=False)
class Followed:
    """What is said of one layer's filters; ``onset`` is None where noise was not asked of them."""

    tiles: Tiles
    identity: Identity
    moved: Moved
    onset: Onset | None


def film(timeline: Timeline, asked: Asked, tick: Tick) -> Filmed:
    """Everything that ``timeline`` shows.

    Raises Unsupported where an MP4 is asked for and nothing here makes one, or weights have no picture.
    """
    if asked.mp4:
        moving.encoder()
    found: dict[str, Followed] = {}
    for done, (layer, weights) in enumerate(timeline.weights.items()):
        tick("filters", done, len(timeline.weights))
        p = timeline.noise_p[layer]
        told = onset(p) if np.isfinite(p).all(axis=0).any() else None
        found[layer] = Followed(tiles(timeline, layer, asked.deep), identity(weights), moved(layer, weights), told)
    tick("filters", len(found), len(found))
    steps, pictures = stepped(timeline, [one.tiles for one in found.values()])
    product = Product(
        f"A training, step by step: {timeline.reference}",
        _lead(timeline, found),
        _figures(timeline, found, asked),
        _arrays(timeline, found),
        _metrics(timeline, found),
        films=_films(timeline, found, asked),
        numbers=[_table(timeline, found)],
        tolerances=FILMED,
    )
    return Filmed(product, steps, pictures)


def _lead(timeline: Timeline, found: Mapping[str, Followed]) -> str:
    layers = ", ".join(f"{layer} ({count} filters)" for layer, count in timeline.filters.items())
    jumps = sum(int(one.identity.jumped.sum()) for one in found.values())
    cosines = np.concatenate([one.identity.cosine.ravel() for one in found.values()])
    least = f", the least cosine is {number(round(float(np.nanmin(cosines)), 3))}" if np.isfinite(cosines).any() else ""
    kept = {0: "no filter jumps", 1: "one jump is marked"}.get(jumps, f"{jumps} jumps are marked")
    follow = "Units were matched; what that leaves is seen by" if timeline.matched else "Units keep their index, which is checked by"
    text = (
        f"{layers}, at {len(timeline.steps)} moments from {timeline.names[0]} to {timeline.names[-1]}. {follow} "
        f"the cosine of each filter to itself at the moment before: {kept}{least}."
    )
    return "\n\n".join([text, *timeline.notes])


def _figures(timeline: Timeline, found: Mapping[str, Followed], asked: Asked) -> list[Figure]:
    moments = multiples.columns(len(timeline.steps), asked.columns)
    result = []
    for layer, one in found.items():
        shown = multiples.rows(timeline.filters[layer], asked.filters)
        grid = multiples.over_time(one.tiles, timeline.names, one.identity.jumped, shown, moments, f"Filters of {layer} while it learns")
        caption = (
            f"Rows: {len(shown)} of {timeline.filters[layer]} filters, columns: {len(moments)} of {len(timeline.steps)} moments. Colours: "
            f"{one.tiles.said}; one scale for all filters and moments. 'jump': since the column before, the cosine of the filter to itself "
            f"fell below {UNLIKE}, or below {LIKE} while another filter was nearer."
        )
        result.append(Figure(_stem("filters", layer, found), grid, f"Filters of {layer} by moments", caption, FILTERS))
    if curves.layers(timeline):
        caption = (
            f"Lines: {len(curves.layers(timeline))} of {len(timeline.summaries)} convolutions, through every moment that was measured. All "
            "panels have the same axis. Dead: above 0 at no place of no probe image. Told from noise: accepted by Benjamini-Hochberg at "
            f"{LEVEL:.0%} among the filters tested at the moment; it comes and goes where few filters of a layer have structure."
        )
        left = len(curves.numbers(timeline)) - curves.NUMBERS
        caption += f" {left} more of the numbers are in arrays.safetensors." if left > 0 else ""
        result.append(
            Figure(
                "curves",
                curves.figure(timeline, "The training" if timeline.numbers else "Filters over the training"),
                "Curves over the training",
                caption,
                CURVES,
            )
        )
    result += [_of_moved(timeline, layer, one, found) for layer, one in found.items()]
    return [*result, *_of_photograph(timeline, moments), *_of_units(timeline, moments), *_of_onset(timeline, found, moments, asked)]


def _of_moved(timeline: Timeline, layer: str, one: Followed, found: Mapping[str, Followed]) -> Figure:
    grid = multiples.farthest(one.tiles, one.moved, timeline.names[0], timeline.names[-1], f"Filters of {layer} that moved most")
    caption = (
        f"The filters of {layer} that are farthest from where they started, the farthest first: at first, at last, and last less first, on "
        f"one scale. Colours: {one.tiles.said}. 'moved': norm of the difference over the norm at first; 'cosine': of last and first."
    )
    return Figure(_stem("moved", layer, found), grid, f"The filters of {layer} that moved most, before and after", caption, MOVED)


def _of_photograph(timeline: Timeline, moments: list[int]) -> list[Figure]:
    probe = timeline.probe
    if probe is None:
        return []
    grid = probing.figure(probe, timeline.names, moments, f"'{probe.name}' while the network learns")
    caption = (
        "First row: the photograph, with the class that is explained below it. Then the unit of each layer that answers most at the last "
        "moment, and Grad-CAM of the class, signed, in the unit of the score. Each row has one scale for all moments."
    )
    return [Figure("photograph", grid, "Activations and Grad-CAM of one photograph by moments", caption, PHOTOGRAPH)]


def _of_units(timeline: Timeline, moments: list[int]) -> list[Figure]:
    images = timeline.images
    if images is None:
        return []
    grid = climbs.figure(images, timeline.names, moments, "What units look for while the network learns")
    caption = (
        f"Images optimized for {min(len(images.units), climbs.UNITS)} of {len(images.units)} units, {CLIMBED} Below each image is its "
        "score: what the unit answers to it. 'silent': the unit never fired, and the image is where the ascent began."
    )
    return [Figure("units", grid, "Images optimized for units, by moments", caption, UNITS)]


def _of_onset(timeline: Timeline, found: Mapping[str, Followed], moments: list[int], asked: Asked) -> list[Figure]:
    result = []
    for layer, one in found.items():
        if one.onset is None:
            continue
        shown = [k for k in multiples.rows(timeline.filters[layer], asked.filters) if one.onset.tested[k]]
        if not shown:
            continue
        grid = onsets.figure(layer, one.onset, timeline.names, shown, moments, f"Filters of {layer}: noise or structure")
        never = int((one.onset.first[one.onset.tested] == NEVER).sum())
        total = int(one.onset.tested.sum())
        caption = (
            "Colour: how far a filter is from noise (p of three statistics against two nulls). A dot: Benjamini-Hochberg at "
            f"{LEVEL:.0%} among the {total} filters of the moment, as in the curves, accepts it here and at all later moments; {never} of "
            f"the filters do not have it at the last. As no p is below {number(LEAST_P)}, one is accepted only where about "
            f"{LEAST_P / LEVEL:.0%} of the filters are as small: 'never' is no proof of noise."
        )
        result.append(Figure(_stem("onset", layer, found), grid, f"First sign of structure in the filters of {layer}", caption, ONSET))
    return result


def _films(timeline: Timeline, found: Mapping[str, Followed], asked: Asked) -> list[Film]:
    result = []
    for layer, one in found.items():
        caption = f"By index line by line; the bar is the part of the training. Colours: {one.tiles.said}; one scale for all moments."
        told = (f"Film of the filters of {layer}", caption, FILTERS)
        result.append(_moving(_stem("filters", layer, found), frames.of_filters(one.tiles), timeline, asked, told))
    if timeline.images is not None:
        told = ("Film of the images of units", f"Images optimized for units, {CLIMBED}", UNITS)
        result.append(_moving("units", climbs.sheets(timeline.images), timeline, asked, told))
    return result


def _moving(stem: str, pictures: frames.Frames, timeline: Timeline, asked: Asked, told: tuple[str, str, str]) -> Film:
    """With the clock above; ``told``: what is seen, the caption, the section."""
    drawn = frames.with_clock(pictures, timeline.names, timeline.steps)
    options = moving.FilmOptions(seconds=min(8.0, max(3.0, 0.25 * len(drawn))))
    data = moving.mp4(drawn, options) if asked.mp4 else None
    return Film(stem, moving.webp(drawn, options), data, (int(drawn.shape[1]), int(drawn.shape[2])), *told)


def _stem(what: str, layer: str, found: Mapping[str, Followed]) -> str:
    return f"{what}-{list(found).index(layer) + 1}-{layer.replace('/', '-')}"


def _arrays(timeline: Timeline, found: Mapping[str, Followed]) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {"steps": np.array(timeline.steps, np.int64)}
    for layer, one in found.items():
        arrays[f"kernels_shown/{layer}"] = one.tiles.values.astype(np.float32)
        arrays |= {f"moved/{layer}/{name}": getattr(one.moved, name) for name in ("distance", "cosine", "size")}
        arrays |= {f"identity/{layer}/cosine": one.identity.cosine, f"identity/{layer}/jumped": one.identity.jumped}
        if one.onset is not None:
            arrays |= {f"onset/{layer}/p": one.onset.p, f"onset/{layer}/first": one.onset.first}
    if timeline.probe is not None:
        arrays |= {f"activations/{layer}": maps for layer, maps in timeline.probe.activations.items()}
        arrays |= {f"gradcam/{layer}": maps for layer, maps in timeline.probe.gradcam.items()}
    if timeline.images is not None:
        arrays |= {f"units/{name}": getattr(timeline.images, name) for name in ("images", "scores", "silent")}
    return arrays | curves.numbers_of(timeline.summaries) | curves.numbers_of({"numbers": {one.name: one for one in timeline.numbers}})


def _metrics(timeline: Timeline, found: Mapping[str, Followed]) -> dict[str, object]:
    layers: dict[str, object] = {}
    for layer, one in found.items():
        numbers: dict[str, object] = {
            "jumps": int(one.identity.jumped.sum()),
            "median_distance": _finite(np.nanmedian(one.moved.distance)) if np.isfinite(one.moved.distance).any() else None,
            "median_cosine": _finite(np.nanmedian(one.moved.cosine)) if np.isfinite(one.moved.cosine).any() else None,
            "farthest": int(one.moved.order[0]),
            "scale": one.tiles.limit,
        }
        if one.onset is not None:
            first = [int(k) for k in one.onset.first[one.onset.tested]]
            numbers["structure"] = {
                "thresholds": one.onset.thresholds.tolist(),
                "tested": len(first),
                "never": first.count(NEVER),
                "first_step": {timeline.names[k]: first.count(k) for k in sorted({*first} - {NEVER})},
            }
        layers[layer] = numbers
    found_units: dict[str, object] = {}
    if timeline.images is not None:
        scores = timeline.images.scores.T.astype(np.float64)
        found_units = {"units": {unit: [_finite(score) for score in own] for unit, own in zip(timeline.images.units, scores, strict=True)}}
    return {"steps": list(timeline.steps), "layers": layers, **found_units}


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def rows(timeline: Timeline, layer: str, one: Followed) -> list[tuple[object, ...]]:
    """A line for each filter, the farthest first: `HEADERS`; None for what is not defined."""
    found = []
    for k in one.moved.order.tolist():
        cosine = one.identity.cosine[:, k]
        least = _finite(np.nanmin(cosine)) if np.isfinite(cosine).any() else None
        numbers = [_finite(values[k]) for values in (one.moved.distance, one.moved.cosine, one.moved.size)]
        structure = "not asked" if one.onset is None else onsets.when(one.onset, k, timeline.names).removeprefix("from ")
        found.append((layer, k, *numbers, least, int(one.identity.jumped[:, k].sum()), structure))
    return found


def _table(timeline: Timeline, found: Mapping[str, Followed]) -> Numbers:
    every = {layer: rows(timeline, layer, one) for layer, one in found.items()}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADERS)
    writer.writerows(row for own in every.values() for row in own)
    shown = [tuple(_words(cell) for cell in (f"{row[0]}:{row[1]}", *row[2:])) for own in every.values() for row in own[:_ROWS]]
    headers = ("filter", "distance / norm at first", "cosine with first", "norm, last / first", "least cosine to the moment before")
    table = Table(
        (*headers, "jumps", "structure from"),
        tuple(shown),
        f"The {_ROWS} filters of each layer that moved most, at most; the file has all.",
        (Link("CSV", "filters.csv"),),
    )
    return Numbers(MOVED, table, {"filters.csv": text.getvalue().encode()})


def _words(cell: object) -> str:
    return "" if cell is None else number(cell) if isinstance(cell, float) else str(cell)
