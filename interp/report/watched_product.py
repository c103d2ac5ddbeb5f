"""What a watched training shows, as a product: how it was tested, receptive fields and feature maps over time."""

from __future__ import annotations

import numpy as np

from interp.comparisons import classified, feature_maps, fields
from interp.films import Timeline, recorded
from interp.report.film_page import View
from interp.report.product import Figure, Product
from interp.report.watched import ASKED, Watch, shown
from interp.runs import Tolerance
from interp.watching import Recording

ACCURACY, CONFUSION, MISTAKEN = "How well it tells them apart", "Which class is taken for which", "Mistaken pictures"
FIELDS, MAPS = "Receptive fields", "Feature maps"
TRAINED = {"*": Tolerance.DERIVED, "units/*": Tolerance.TOLD, "figures/units": Tolerance.TOLD}
"""Of a network that is trained within the run, whose sums another processor adds in another order; images of units part ways at once."""


def filmed(watched: Watch, probe: int, title: str, lead: str, columns: int = 5) -> tuple[Timeline, Product, list[View]]:
    """The `Timeline` of what was recorded, with the picture ``probe`` of the task's; what held-out pictures show, as a `Product` and on the
    slider."""
    recording = Recording.read(watched.folder)
    timeline = recorded.of(recording, probe=probe)
    labels, exams, task = watched.task.held_out.labels.numpy(), watched.exams, watched.task
    figures = [*_of_exams(watched, labels), *_of_fields(watched, columns), *_of_maps(recording, watched, columns)]
    confusion = np.stack([classified.counts(labels, exam.said, len(task.classes)) for exam in exams])
    arrays = {
        "held_out/labels": labels,
        "held_out/said": np.stack([exam.said for exam in exams]),
        "held_out/probabilities": exams[-1].probabilities.astype(np.float32),
        "held_out/confusion": confusion,
        "held_out/steps": np.array([exam.step for exam in exams], np.int64),
        "learned_from/right": np.array([exam.learned for exam in exams]),
        **fields.arrays(watched.fields),
    }
    metrics: dict[str, object] = {
        "test": classified.numbers(exams[-1], labels),
        "test_before": classified.numbers(exams[0], labels),
        "fields": fields.numbers(watched.fields),
    }
    said = f"{classified.told(exams[-1], labels)}; before, {classified.told(exams[0], labels)}."
    whole = Product(title, f"{lead}\n\nAfter {exams[-1].step} steps {said}", figures, arrays, metrics, tolerances=TRAINED)
    at = {exam.step: place for place, exam in enumerate(exams)}
    return timeline, whole, _views(watched, confusion, [at[step] for step in timeline.steps])


def _views(watched: Watch, confusion: np.ndarray, places: list[int]) -> list[View]:
    """On the slider, at the moments of the film."""
    found = []
    if len(watched.task.classes) <= classified.MOST_CLASSES:
        names = ", ".join(watched.task.classes)
        caption = f"Rows: the true class, columns: the class that was said, in the order {names}. Bright: the whole row, black: nothing."
        pixels = classified.frames(confusion[places])
        found.append(View("Which class is taken for which", caption, "Confusion matrix", "confusion", pixels))
    chosen = {layer: [own[place] for place in places] for layer, own in watched.fields.items()}
    caption = f"From left to right: {', '.join(chosen)}. Bright: where the gradient goes; one scale for all moments of a layer."
    return [*found, View("What units look at", caption, "Receptive fields", "fields", fields.frames(chosen))]


def _name(step: int) -> str:
    return f"step {step}"


def _of_exams(watched: Watch, labels: np.ndarray) -> list[Figure]:
    exams, task = watched.exams, watched.task
    found = [classified.counts(labels, exam.said, len(task.classes)) for exam in exams]
    last = exams[-1]
    whole = (
        f"Share right of {len(labels)} held-out pictures with its 95 % score interval, and of "
        f"{min(watched.looked.tested, len(task.training))} of those that are learned from, "
        f"at {len(exams)} moments, straight between them"
    )
    grid = classified.progress(exams, labels, "Right answers while it learns")
    whole += f"; at the right the same from {classified.NEARLY:.0f} % on." if grid.columns > 1 else "."
    figures = [Figure("accuracy", grid, "Accuracy by steps", whole, ACCURACY)]
    if len(task.classes) <= classified.MOST_CLASSES:
        chosen = classified.moments(len(exams))
        several = [found[k] for k in chosen]
        names = [_name(exams[k].step) for k in chosen]
        caption = (
            "Rows: the class that a held-out picture is of (how many there are), columns: the class that was said. Numbers are counts, "
            "colours their share of the row. The diagonal is what is right."
        )
        grid = classified.confusion(found[-1], task.classes, f"Held-out pictures after {last.step} steps")
        figures.append(Figure("confusion", grid, "Confusion matrix of the held-out pictures", caption, CONFUSION))
        grid = classified.confusions(several, names, task.classes, "Confusion on the way")
        caption = "The same at moments of the training, on one scale: rows the true class, columns what was said."
        figures.append(Figure("confusion-over-time", grid, "Confusion matrices by moments", caption, CONFUSION))
    wrong = int((last.said != labels).sum())
    caption = (
        f"{min(wrong, classified.MISTAKES)} of the {wrong} held-out pictures that are mistaken at the end, the surest mistakes first, "
        "with the probability of what was said."
    )
    grid = classified.mistakes(shown(task.held_out.images.numpy()), labels, last, task.classes, "Mistaken at the end")
    return [*figures, Figure("mistakes", grid, "The mistaken held-out pictures", caption, MISTAKEN)]


def _of_fields(watched: Watch, columns: int) -> list[Figure]:
    chosen = classified.moments(len(watched.exams), columns)
    found = {layer: [own[k] for k in chosen] for layer, own in watched.fields.items()}
    names = [_name(watched.exams[k].step) for k in chosen]
    caption = (
        f"Where the gradient of units in the middle of each layer goes: the mean magnitude over {min(ASKED, len(watched.task.held_out))} "
        f"held-out pictures and {fields.CHANNELS} units of the layer, in per cent of all. Sees: what such a unit can depend on in "
        "theory. Half in: the square that has as many pixels as hold half of the gradient, the strongest first. One scale "
        "for all moments of a layer."
    )
    return [
        Figure("fields", fields.fields(found, names, "What units look at while it learns"), "Receptive fields by moments", caption, FIELDS)
    ]


def _of_maps(recording: Recording, watched: Watch, columns: int) -> list[Figure]:
    records = [recording.records[k] for k in classified.moments(len(recording.records), columns - 1)]
    probes = watched.task.probes
    figures = []
    for place, one in enumerate(recording.header.plan.activations, 1):
        maps = np.stack([record.activations(one.layer).astype(np.float32) for record in records])
        title = f"What {one.layer} answers to a picture of each class"
        pictures = np.stack([photo.pixels for photo in probes])
        grid = feature_maps.figure(pictures, [photo.name for photo in probes], maps, [_name(record.step) for record in records], title)
        channels = ", ".join(map(str, one.channels))
        caption = (
            f"Held-out pictures; channels {channels} of {one.layer}, line by line, and the largest value of each sheet. One scale for all "
            "pictures and moments."
        )
        figures.append(Figure(f"maps-{place}-{one.layer}", grid, f"Feature maps of {one.layer} by moments", caption, MAPS))
    return figures
