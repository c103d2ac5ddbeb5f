"""What a classifier says of held-out pictures while it learns: accuracy, which classes it takes for which, and where it is mistaken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

from interp.editing import wilson
from interp.figures import CurvePanel, EmptyPanel, Grid, ImagePanel, MatrixPanel, Panel, Scale, TilePanel
from interp.figures.palette import as_bytes
from interp.figures.tiles import mosaic

MOST_CLASSES = 20
"""Classes that a matrix has room for."""
NEARLY = 90.0
"""Per cent right from which on a curve is drawn again, larger."""
MISTAKES = 24
"""Mistaken pictures that are shown, at most."""
_ACROSS = 8
_WIDE = 240  # pixels of a matrix on the slider, about
_LEAST_PIXELS = 64  # of a side of a shown picture: small ones are enlarged, each pixel a square


@dataclass(frozen=True, eq=False)
class Exam:
    """What was said of the held-out pictures after ``step`` steps; ``learned``: the share right of those that are learned from.

    ``probabilities`` are the softmax of the scores.
    """

    step: int
    probabilities: Float[np.ndarray, "n classes"]
    learned: float

    @property
    def said(self) -> Int[np.ndarray, " n"]:
        """The most probable class of each picture."""
        result: np.ndarray = self.probabilities.argmax(axis=1)
        return result


def counts(labels: Int[np.ndarray, " n"], said: Int[np.ndarray, " n"], classes: int) -> Int[np.ndarray, "classes classes"]:
    """[i, k]: how many pictures of class i were taken for class k. The diagonal is what is right."""
    found = np.zeros((classes, classes), np.int64)
    np.add.at(found, (labels, said), 1)
    return found


def right(confusion: Int[np.ndarray, "classes classes"]) -> tuple[float, float, float]:
    """The share on the diagonal, with its 95 % score interval (Wilson 1927)."""
    correct, total = int(np.trace(confusion)), int(confusion.sum())
    return (correct / total, *wilson(correct, total))


def confusion(found: Int[np.ndarray, "classes classes"], classes: Sequence[str], title: str) -> Grid:
    """One matrix: rows the true class with its number of pictures, columns what was said, colours the share of the row; counts in cells."""
    size = max(4.0, 0.42 * len(classes) + 1.2)
    return Grid(((_matrix(found, classes, texts=True),),), ("true class",), ("said",), title, panel_size=size)


def confusions(found: Sequence[Int[np.ndarray, "classes classes"]], names: Sequence[str], classes: Sequence[str], title: str) -> Grid:
    """A matrix for each moment, on one scale; the share that is right below it."""
    panels = []
    for one in found:
        share, low, high = right(one)
        panels.append(_matrix(one, classes, label=f"{share:.1%} right\n({low:.1%} to {high:.1%})"))
    return Grid((tuple(panels),), ("true class",), tuple(names), title, panel_size=2.2)


def frames(found: Int[np.ndarray, "moments classes classes"]) -> UInt8[np.ndarray, "moments h w 3"]:
    """The matrices as pictures, in the colours of `confusions`: a square of whole pixels for each cell, thin gaps between them."""
    total = found.sum(axis=2, keepdims=True)
    share = 100 * np.divide(found, total, out=np.zeros(found.shape), where=total > 0)
    classes = found.shape[1]
    cells = [TilePanel(one.reshape(-1, 1, 1), _share(), classes) for one in share]
    return np.stack([as_bytes(mosaic(panel, max(2, _WIDE // classes), 1)) for panel in cells])


def _share() -> Scale:
    return Scale.positive([np.array([100.0])], label="of the true class, %")


def _matrix(found: Int[np.ndarray, "classes classes"], classes: Sequence[str], label: str = "", *, texts: bool = False) -> MatrixPanel:
    total = found.sum(axis=1, keepdims=True)
    share = 100 * np.divide(found, total, out=np.full(found.shape, np.nan), where=total > 0)
    rows = tuple(f"{name} ({count})" for name, count in zip(classes, total[:, 0], strict=True)) if texts else tuple(classes)
    written = tuple(tuple(str(count) if count else "" for count in row) for row in found.tolist()) if texts else ()
    return MatrixPanel(share, _share(), rows, tuple(classes), None, written, label)


def progress(exams: Sequence[Exam], labels: Int[np.ndarray, " n"], title: str) -> Grid:
    """The share right of what is learned from and of what is held out, the latter with its interval, against the steps.

    Beside it the same from the first moment on at which `NEARLY` of the held-out ones are right, where that leaves two moments or more.
    """
    classes = exams[0].probabilities.shape[1]
    shares = 100 * np.array([right(counts(labels, exam.said, classes)) for exam in exams])
    learned = 100 * np.array([exam.learned for exam in exams])
    above = np.flatnonzero(shares[:, 0] >= NEARLY)
    starts = [0, *([int(above[0])] if len(above) and 0 < above[0] < len(exams) - 1 else [])]
    steps = np.array([exam.step for exam in exams])
    return Grid((tuple(_curves(steps[k:], learned[k:], shares[k:]) for k in starts),), title=title, panel_size=3.4)


def _curves(
    steps: Int[np.ndarray, " moments"], learned: Float[np.ndarray, " moments"], shares: Float[np.ndarray, "moments 3"]
) -> CurvePanel:
    """Through every moment, straight between them."""
    axis = np.arange(steps[0], steps[-1] + 1)
    one, share, low, high = (np.interp(axis, steps, values) for values in (learned, *shares.T))
    lines = (("learned from", one), ("held out, 95 % interval", share))
    return CurvePanel(lines, "step", "right, %", x_range=(int(steps[0]), int(steps[-1])), bands=(None, (low, high)))


def mistakes(
    pictures: UInt8[np.ndarray, "n rows cols 3"], labels: Int[np.ndarray, " n"], exam: Exam, classes: Sequence[str], title: str
) -> Grid:
    """The pictures that are mistaken, the surest mistakes first: what they are, and what was said with which probability."""
    said = exam.said
    wrong = np.flatnonzero(said != labels)
    if not len(wrong):
        return Grid(((EmptyPanel(f"none of the {len(labels)} held-out pictures is mistaken"),),), title=title, panel_size=3.0)
    sure = exam.probabilities[wrong, said[wrong]]
    shown = wrong[np.argsort(-sure, kind="stable")][:MISTAKES]
    panels = [
        ImagePanel(enlarged(pictures[k]), f"true {classes[labels[k]]}", f"said {classes[said[k]]}, {exam.probabilities[k, said[k]]:.0%}")
        for k in shown
    ]
    across = min(_ACROSS, len(panels))
    filled: list[Panel] = [*panels, *[EmptyPanel()] * (-len(panels) % across)]
    lines = tuple(tuple(filled[k : k + across]) for k in range(0, len(filled), across))
    return Grid(lines, title=title, panel_size=0.95)


def enlarged(picture: UInt8[np.ndarray, "rows cols 3"]) -> UInt8[np.ndarray, "rows2 cols2 3"]:
    """Each pixel of a small picture as a square of whole pixels."""
    times = max(1, -(-_LEAST_PIXELS // min(picture.shape[:2])))
    result: np.ndarray = picture.repeat(times, axis=0).repeat(times, axis=1)
    return result


def moments(count: int, most: int = 4) -> list[int]:
    """The moments that have a column: the first, the last, and between them ever further apart, as networks learn fastest at first."""
    if count <= most:
        return list(range(count))
    return sorted({0, *(round(float(place)) for place in np.geomspace(1, count - 1, most - 1))})


def numbers(exam: Exam, labels: Int[np.ndarray, " n"]) -> dict[str, object]:
    """For ``metrics.json``: the share right of the held-out pictures with its interval, and that of those learned from."""
    share, low, high = right(counts(labels, exam.said, exam.probabilities.shape[1]))
    found = {"accuracy": share, "interval_95": [low, high], "held_out": len(labels), "mistaken": int((exam.said != labels).sum())}
    return {"step": exam.step, **found, "accuracy_learned_from": exam.learned}


def told(exam: Exam, labels: Int[np.ndarray, " n"]) -> str:
    """The same in words."""
    share, low, high = right(counts(labels, exam.said, exam.probabilities.shape[1]))
    return f"{share:.1%} of {len(labels)} held-out pictures are right (95 % interval {low:.1%} to {high:.1%})"
