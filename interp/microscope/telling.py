"""What a layer's pages say of it and of its units, in numbers and in sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interp.activations import stream
from interp.microscope.results import LayerWork, Made, UnitWork

Numbers = tuple[tuple[str, float | str], ...]

_SAID = {
    "natural": "photographs do better",
    "control": "hardly above noise of the same spectrum",
    "fragile": "the score is lost by small shifts or JPEG",
    "grey": "nearly without contrast",
    "saturated": "much of it is black or white",
    "checkerboard": "a checkerboard pattern lies over it",
    "dead": "the unit never fired",
}
_NUMBERS = {
    "above_noise": "above noise (sd)",
    "kept_shifted": "kept after shifts",
    "kept_jpeg": "kept after JPEG",
    "contrast": "contrast",
    "saturation": "saturated",
}
_STATISTICS = {
    "mean": "mean",
    "sd": "standard deviation",
    "minimum": "smallest",
    "maximum": "largest",
    "zeros": "share of zeros",
    "active": "active in pictures",
}
_WEIGHTS = {
    "l1": "weights, L1 norm",
    "l2": "weights, L2 norm",
    "stable_rank": "stable rank",
    "effective_rank": "effective rank",
    "variance_entropy": "variance entropy",
    "sparsity": "sparsity",
    "orthogonality": "orthogonality",
    "nearest_cosine": "cosine to the nearest",
    "flatness": "spectral flatness",
    "moran": "Moran's I",
    "noise_p": "p of noise",
}
_FIT = {"r2": "Gabor fit, R\u00b2", "p": "p of Gabor fit"}
_WAVE = {"orientation": "Gabor orientation (degrees)", "frequency": "Gabor frequency (cycles per pixel)"}


def read_at(layer: str, behind: Sequence[str], found: stream.LayerStatistics) -> str:
    """What is to be known of a layer's statistics: ``behind`` what they are read, and of how many values; "" where of all at the layer."""
    said = []
    if behind:
        said.append(f"Statistics are read behind {', '.join(behind)}; examples, optimized images and tuning are of {layer} itself.")
        if found.kind.startswith("BatchNorm"):
            said.append("No activation that could be read by itself follows: the share of zeros says little.")
    if found.counted < found.values:
        said.append(f"Quantiles and histogram are of a sample: {found.counted:,} of a unit's {found.values:,} values.")
    return " ".join(said)


def heat(work: LayerWork) -> str:
    """What is seen in the maps over examples; "" where there are none."""
    if not work.at or not work.plan.options.maps:
        return ""
    if work.at != work.layer:
        return f"Maps over the pictures: Grad-CAM of the unit at {work.at}."
    return (
        "Maps over the pictures: the unit's activation at every place. "
        "Grad-CAM of a unit needs a layer with places before its own, and there is none."
    )


def of_layer(work: LayerWork) -> Numbers:
    """The numbers at the head of a layer's page."""
    found = work.statistics
    return (
        ("pictures", float(found.images)),
        ("dead units", float(found.dead.sum())),
        ("rare units", float(found.rare.sum())),
    )


def of_unit(work: LayerWork, channel: int) -> Numbers:
    """The statistics of a unit, of its activations and of its weights."""
    found = work.statistics
    numbers: list[tuple[str, float | str]] = [(label, float(getattr(found, name)[channel])) for name, label in _STATISTICS.items()]
    numbers += [(f"quantile {level:g}", float(found.quantiles[channel, k])) for k, level in enumerate(found.levels) if 0 < level < 1]
    if found.selectivity is not None and found.preferred is not None:
        numbers.append(("class selectivity", float(found.selectivity[channel])))
        preferred = int(found.preferred[channel])
        if preferred >= 0:
            numbers.append(("preferred class", work.scan.labels[preferred]))
    numbers += [(label, float(work.weights[name][channel])) for name, label in _WEIGHTS.items() if name in work.weights]
    numbers += [(label, float(work.gabor[name][channel])) for name, label in _gabor(work, channel).items()]
    return tuple((name, value) for name, value in numbers if isinstance(value, str) or np.isfinite(value))


def _gabor(work: LayerWork, channel: int) -> dict[str, str]:
    """What is told of a filter's fit: a wave only of one that is beyond chance, and no bell."""
    if not work.gabor:
        return {}
    waves = work.gabor["gabor_like"][channel] and not work.gabor["blob"][channel]
    return _FIT | (_WAVE if waves else {})


def notes(work: LayerWork, unit: UnitWork) -> tuple[str, ...]:
    """What is to be said of a unit before anything else."""
    statistics, channel = work.statistics, unit.channel
    said = [f"No image could be made ({made.name}): {'; '.join(made.notes)}" for made in unit.made if made.failed]
    if statistics.dead[channel]:
        changes = statistics.minimum[channel] != statistics.maximum[channel]
        said.append(f"Dead: over all pictures of the data it {'is never above 0' if changes else 'does not change'}.")
    elif statistics.rare[channel]:
        said.append("Rare: it is active in fewer than 1 % of the pictures.")
    noise = work.weights.get("noise")
    if noise is not None and noise[channel]:
        said.append(f"Noise: its weights cannot be told from noise (p = {work.weights['noise_p'][channel]:.2g}).")
    copies = work.weights.get("duplicate_of")
    if copies is not None and copies[channel] >= 0 and copies[channel] != channel:
        said.append(f"Duplicate: its weights are as good as those of {work.layer}:{int(copies[channel])}.")
    return tuple(said)


def left_out(work: LayerWork, unit: UnitWork, side: stream.Side) -> str:
    """What is said of examples that are not shown, as others show the same place; "" where there are none."""
    top = side is stream.Side.TOP
    shown, asked = (unit.tops, work.plan.options.top) if top else (unit.bottoms, work.plan.options.bottom)
    kept = int((work.statistics.examples(side).images[unit.channel] >= 0).sum())
    if [seen.rank for seen in shown] == list(range(min(asked, kept))):
        return ""
    said = f"Of crops of one picture that overlap by more than half, the {'strongest' if top else 'weakest'} is shown."
    return said if len(shown) == asked else f"{said} There are no more than {len(shown)} such among the {kept} that were kept."


def against(made: Made) -> tuple[str, ...]:
    """What speaks against an optimized image."""
    return tuple(_SAID.get(note, note) for note in made.notes)


def worth(made: Made) -> Numbers:
    """What an optimized image is worth: beside photographs, beside noise, after small changes."""
    numbers: list[tuple[str, float | str]] = []
    if made.natural is not None:
        numbers.append(("most on photographs", made.natural))
    if made.ratio is not None:
        numbers.append(("of the natural maximum", made.ratio))
    return (*numbers, *((label, made.numbers[name]) for name, label in _NUMBERS.items() if name in made.numbers))
