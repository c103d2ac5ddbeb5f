"""The product of networks that may have learned a cue: figures of each view, the margins, and what the views do not show."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

import numpy as np

from interp.comparisons import spurious_figures as drawn
from interp.comparisons.spurious import LEVEL, PRIMARY, Arm, Measure, Pair, by_pair, margins, outside_over_time, separated, t_interval
from interp.comparisons.spurious_views import GRADCAM, LAYER
from interp.images import uint8
from interp.metrics.statistics import Interval
from interp.report.product import Figure, Numbers, Product
from interp.report.spurious_training import Found
from interp.report.truth import bounds
from interp.runs import Tolerance
from interp.site import Table
from interp.synthetic.cue import Cue

PICTURES, TIME, MAPS, IMAGES, UNITS, MARGINS = "Pictures", "While they learn", "Attribution", "Class images", "Units", "Margins"
_SHOWN = 8
"""Training pictures in the figure."""
_TABLED = (Measure.GRADCAM_OUTSIDE, Measure.INTEGRATED_OUTSIDE)

TOLERANCES: Mapping[str, Tolerance] = {
    "*": Tolerance.DERIVED,
    "pictures/*": Tolerance.EXACT,
    "features/*": Tolerance.OPTIMIZED,
    "figures/class-images": Tolerance.OPTIMIZED,
    "examples/*": Tolerance.TOLD,
    "figures/examples": Tolerance.TOLD,
    "metrics/measures/class images*": Tolerance.TOLD,
    "metrics/measures/top examples*": Tolerance.TOLD,
}
"""On another machine training sums in another order, and so finds other networks; which pictures excite a unit most hangs on them."""


def product(found: Found, title: str, text: str) -> Product:
    """Figures, tables, arrays and metrics; ``text`` leads the page."""
    values = by_pair(found.pairs)
    change = margins(values)
    verdict = said(change, len(found.pairs))
    text_of_margins = "\n\n".join([*verdict, *not_shown(found.pairs, change)])
    numbers = [
        Numbers(MARGINS, _table(values, change), {"spurious.csv": _csv(found.pairs, values)}, text_of_margins),
        Numbers(MARGINS, _by_pair(found.pairs, values), {}),
    ]
    return Product(
        title,
        f"{text} {verdict[0]}",
        _figures(found),
        _arrays(found),
        {"measures": _metrics(values, change), "accuracy": _accuracies(found.pairs), "primary": PRIMARY.value, "pairs": len(found.pairs)},
        numbers=numbers,
        tolerances=TOLERANCES,
    )


def _figures(found: Found) -> list[Figure]:
    pairs, names = found.pairs, found.plan.shapes.names
    views = pairs[0].views
    return [
        Figure("pictures", drawn.pictures(found.taught, names, _SHOWN), "Training pictures with marks", _PICTURES, PICTURES),
        Figure("over-time", drawn.over_time(pairs), "Grad-CAM outside the object against steps of training", _TIME, TIME),
        Figure("gradcam", drawn.gradcam_by_cue(views, names), "Grad-CAM of both networks on the same pictures", _GRADCAM, MAPS),
        Figure("integrated", drawn.integrated(views, names), "Integrated gradients beside controls", _INTEGRATED, MAPS),
        Figure("class-images", drawn.class_images(pairs, names), "Optimized images of the classes", _IMAGES, IMAGES),
        Figure("examples", drawn.examples(views, names), "Top examples of units of both networks", _EXAMPLES, UNITS),
        Figure("margins", drawn.margins_figure(pairs), "Margins between the networks with intervals", _MARGINS, MARGINS),
        Figure("accuracy", drawn.accuracies(pairs), "Accuracy and attribution by network", _ACCURACY, MARGINS),
    ]


_PICTURES = (
    "Both networks see the same objects on the same grounds in the same order. For the cue network the mark's colour goes with the "
    "class, for the control it tells nothing. Below each picture: its class, and the class whose colour the mark has."
)
_TIME = (
    f"Positive Grad-CAM at {LAYER} of held-out pictures whose marks agree, of the class that the network says at the moment. Dashed: the "
    "untrained network, from which both start, and a random map, which puts on a part as much as its share of the area."
)
_GRADCAM = (
    "The first pair, one picture of each class, in three versions that differ in the mark alone. Below each map: the class that the "
    "network says, which the map explains."
)
_INTEGRATED = (
    "The same pictures; from the mean colour. The untrained network and the random map are controls: they know nothing of any "
    "training picture."
)
_IMAGES = (
    "Each class's logit, maximized from the same start. Left: the colour of the class's mark. The hue of a nearly grey image is "
    "arbitrary; where colour tells nothing, cosines are about 0 in the mean over the classes."
)
_EXAMPLES = (
    f"The unit of {LAYER} that adds most to a class's logit above the others', in the first pair, and the held-out pictures that excite "
    "it most, of a set in which marks tell nothing. What the examples of a row share is what the unit answers to."
)
_MARGINS = "Right of the line: more in the cue network."
_ACCURACY = "The untrained network and the random map know nothing of any training picture."


def said(change: Mapping[Measure, Interval], pairs: int) -> list[str]:
    """What the margins say, that of the measure chosen beforehand first."""
    first = change[PRIMARY]
    # A cue off the object draws attribution there: less of it may be a difference, but is no sign of a cue.
    verdict = "separates" if first.low > 0 else "does not separate"
    less = " There is less of it in the cue network, where a cue would make it more." if first.high < 0 else ""
    sentences = [
        f"{PRIMARY.value} {verdict} the cue network from the control: {_words(first)}, the mean over {pairs} pairs of the share of the "
        f"positive attribution there, cue network less control.{less}"
    ]
    others = {measure: one for measure, one in change.items() if measure is not PRIMARY}
    for apart, words in ((True, "Of the other measures the intervals of these exclude 0"), (False, "Of these they do not")):
        named = [f"{measure.value} {_words(one)}" for measure, one in others.items() if separated(one) is apart]
        if named:
            sentences.append(f"{words}: {'; '.join(named)}.")
    return [*sentences, "The first was chosen beforehand; the intervals of the others are not corrected for their number."]


def not_shown(pairs: Sequence[Pair], change: Mapping[Measure, Interval]) -> list[str]:
    """What a reader could take the views to show and they do not, with the numbers that say so."""
    values = by_pair(pairs)
    level = {arm: t_interval(values[arm][PRIMARY]) for arm in Arm}
    apart = t_interval(values[Arm.CUE][PRIMARY] - values[Arm.RANDOM][PRIMARY])
    lost, hue = float(values[Arm.CONTROL][Measure.LOST_CONTRADICTING].mean()), float(values[Arm.CUE][Measure.HUE].mean())
    return [
        "What the views do not show. How much lies outside of the object says little by itself: Grad-CAM puts "
        f"{level[Arm.CONTROL].mean:.0%} there in the control, which loses {max(lost, 0):.1%} of its answers where the mark contradicts, "
        f"{level[Arm.UNTRAINED].mean:.0%} in the untrained network, and {level[Arm.RANDOM].mean:.0%} would be there by chance (the cue "
        f"network's differs from that by {_words(apart)}). Its maps have few places and are wider than the mark; only beside a control is "
        "the number evidence, and who suspects a cue has none.",
        _without_mark(change[Measure.GRADCAM_NO_MARK]),
        f"Class images can show the hue of a mark (mean cosine {_signed(f'{hue:.2f}')}) but not where it was or that it was one square, as "
        "the network averages over places. All views here are of a cue that is small, coloured and off the object: they were not tried "
        "on one that lies on the object or has no place of its own.",
    ]


def _without_mark(margin: Interval) -> str:
    if margin.low > 0:
        return (
            f"Where no mark is shown the cue network's Grad-CAM lies outside of the object more than the control's too ({_words(margin)}): "
            "attribution off the object need not lie on the cue, and does not say what the cue is."
        )
    return f"Where no mark is shown the cue network's Grad-CAM does not lie further outside of the object ({_words(margin)})."


def _words(found: Interval) -> str:
    if not found.known:
        return f"{_signed(f'{found.mean:+.3f}')} (no interval)"
    return _signed(f"{found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}]")


def _signed(text: str) -> str:
    """With true minus signs."""
    return text.replace("-", "\N{MINUS SIGN}")


def _capital(measure: Measure) -> str:
    return measure.value[0].upper() + measure.value[1:]


def _table(values: Mapping[Arm, Mapping[Measure, np.ndarray]], change: Mapping[Measure, Interval]) -> Table:
    rows = [
        (_capital(measure), *(_mean(values[arm][measure]) for arm in Arm), _words(one), "yes" if separated(one) else "no")
        for measure, one in change.items()
    ]
    headers = ("Measure", *(arm.value.capitalize() for arm in Arm), f"Margin [{LEVEL:.0%} interval]", "Separated")
    caption = "Means over the pairs; margin: cue network less control of the same pair; separated where its interval excludes 0."
    return Table(headers, tuple(rows), caption, strong=frozenset({(0, len(headers) - 2)}))


def _mean(values: np.ndarray) -> str:
    return "\N{EN DASH}" if np.isnan(values).all() else _signed(f"{np.nanmean(values):.3f}")


def _by_pair(pairs: Sequence[Pair], values: Mapping[Arm, Mapping[Measure, np.ndarray]]) -> Table:
    """Seed by seed: accuracy by version, attribution outside the object, and the margin that decides."""
    rows = []
    for place, pair in enumerate(pairs):
        margin = values[Arm.CUE][PRIMARY][place] - values[Arm.CONTROL][PRIMARY][place]
        for arm in drawn.LEARNED:
            right = [f"{pair.views[arm].accuracy[cue]:.1%}" for cue in Cue]
            outside = [f"{values[arm][measure][place]:.3f}" for measure in _TABLED]
            rows.append((str(pair.seed), arm.value, *right, *outside, _signed(f"{margin:+.3f}") if arm is Arm.CUE else ""))
    headers = ("Seed", "Network", *(f"Correct, mark {cue}" for cue in Cue), *(measure.value for measure in _TABLED), f"Margin, {GRADCAM}")
    return Table(headers, tuple(rows), "Pair by pair: accuracy on held-out pictures, attribution where the mark agrees.", names=2)


def _csv(pairs: Sequence[Pair], values: Mapping[Arm, Mapping[Measure, np.ndarray]]) -> bytes:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("measure", "arm", "seed", "value"))
    for arm, measures in values.items():
        for measure, row in measures.items():
            writer.writerows(
                (measure.value, arm.value, p.seed, "" if np.isnan(v) else repr(float(v))) for p, v in zip(pairs, row, strict=True)
            )
    for pair in pairs:
        for arm, views in pair.views.items():
            writer.writerows((f"accuracy, mark {cue}", arm.value, pair.seed, repr(right)) for cue, right in views.accuracy.items())
    return stream.getvalue().encode()


def _metrics(values: Mapping[Arm, Mapping[Measure, np.ndarray]], change: Mapping[Measure, Interval]) -> dict[str, object]:
    return {
        measure.value: {
            "margin": {**bounds(one), "level": LEVEL, "separated": separated(one)},
            **{arm.value: {**bounds(t_interval(row[measure])), "by_pair": _listed(row[measure])} for arm, row in values.items()},
        }
        for measure, one in change.items()
    }


def _accuracies(pairs: Sequence[Pair]) -> dict[str, object]:
    arms = (*drawn.LEARNED, Arm.UNTRAINED)
    found = {arm: {cue: np.array([pair.views[arm].accuracy[cue] for pair in pairs]) for cue in Cue} for arm in arms}
    return {
        arm.value: {cue.value: {**bounds(t_interval(row)), "by_pair": _listed(row)} for cue, row in rows.items()}
        for arm, rows in found.items()
    }


def _listed(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]


def _arrays(found: Found) -> dict[str, np.ndarray]:
    """Of all pairs the courses and class images; of the first also the maps and pictures that are drawn."""
    pairs, names = found.pairs, found.plan.shapes.names
    arrays: dict[str, np.ndarray] = {"steps": np.array(pairs[0].courses[Arm.CUE].steps)}
    for arm in drawn.LEARNED:
        arrays[f"outside/{arm}"] = outside_over_time(pairs, arm)
        for pair in pairs:
            arrays[f"gradcam/{pair.seed}/{arm}"] = pair.courses[arm].maps
            for name, feature in zip(names, pair.views[arm].images, strict=True):
                key = f"features/{pair.seed}/{arm}/{name}"
                arrays |= {f"{key}/image": uint8(feature.image), f"{key}/scores": feature.scores}
        arrays[f"pictures/learned/{arm}"] = found.taught[arm].images
        arrays |= {f"examples/{arm}/{one.unit}": one.images for one in pairs[0].views[arm].examples}
    for cue in Cue:
        arrays[f"pictures/held out/{cue}"] = pairs[0].views[Arm.CUE].pictures.probed(cue).images
    first = next(iter(pairs)).views[Arm.CUE].pictures
    arrays |= {"pictures/held out/objects": first.masks, "pictures/held out/marks": first.places}
    return arrays
