"""What is seen of one network that may have learned a cue: its answers, attributions, class images, and units' top examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from interp import activations
from interp.activations import Rank
from interp.attribution.cams import GradCAM
from interp.attribution.controls import RandomMap
from interp.attribution.integrated import IntegratedGradients
from interp.core.method import Method
from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.featurevis import AscentConfig, Feature, Precision, visualize
from interp.metrics.localization import relevance_mass
from interp.synthetic.cue import Cue, Marked, colour
from interp.synthetic.network import weights

GRADCAM, INTEGRATED = GradCAM.title, IntegratedGradients.title
LAYER = "stage2.1"
"""The last layer with places of the networks here: the logits are a linear map of its means over places."""

Maps = Float[np.ndarray, "n rows cols"]


@dataclass(frozen=True)
class Detail:
    """What is spent on views: ``steps`` of ascent for a class image, ``examples`` of a unit, ``points`` of integrated gradients."""

    steps: int = 64
    examples: int = 8
    points: int = 16

    def __post_init__(self) -> None:
        """Raises InterpError where a number is below 1."""
        for name in ("steps", "examples", "points"):
            if getattr(self, name) < 1:
                raise InterpError(f"`{name}` is {getattr(self, name)}: give at least 1")


@dataclass(frozen=True, eq=False)
class Pictures:
    """Held-out pictures in all versions: the same objects on the same grounds, with marks that agree, contradict, or are absent.

    ``untied`` has marks that tell nothing, so that examples that share a mark and those that share a shape are told apart.
    Maps are made of the first ``probes`` pictures.
    """

    versions: Mapping[Cue, Marked]
    untied: Marked
    probes: int

    def probed(self, cue: Cue) -> Marked:
        return self.versions[cue].first(self.probes)

    @property
    def masks(self) -> Bool[np.ndarray, "n rows cols"]:
        """Of the probes' objects."""
        return self.probed(Cue.ABSENT).masks

    @property
    def places(self) -> Bool[np.ndarray, "n rows cols"]:
        """Of the probes' marks, or where they would be."""
        return self.probed(Cue.ABSENT).places


@dataclass(frozen=True, eq=False)
class Examples:
    """The unit of `LAYER` that adds most to a class's logit over the others', and the pictures that excite it most, strongest first.

    ``images`` are indices into the untied pictures; ``with_mark`` and ``with_shape`` the shares of them that have the class's.
    """

    label: int
    unit: Unit
    images: Int[np.ndarray, " k"]
    with_mark: float
    with_shape: float


@dataclass(frozen=True, eq=False)
class Views:
    """Of one arm: ``accuracy`` on all pictures of a version; the class that it ``said`` of each probe, of which ``maps`` tell why.

    ``maps`` are signed, at the pictures' size, by method and version (integrated gradients of agreeing marks alone); ``images`` those
    of the classes, and ``hues`` their likeness to the classes' marks. A random map has maps alone.
    """

    pictures: Pictures
    accuracy: Mapping[Cue, float]
    said: Mapping[Cue, Int[np.ndarray, " n"]]
    maps: Mapping[str, Mapping[Cue, Maps]]
    images: Sequence[Feature] = ()
    hues: Float[np.ndarray, " classes"] | None = None
    examples: Sequence[Examples] = ()


def seen(model: Model, pictures: Pictures, detail: Detail, seed: int) -> Views:
    """All views of one network; what is explained of a picture is the class that the network says."""
    answers = {cue: _said(model, one) for cue, one in pictures.versions.items()}
    said = {cue: found[: pictures.probes] for cue, found in answers.items()}
    integrated = IntegratedGradients(n_steps=detail.points)
    agreeing = {Cue.AGREEING: said[Cue.AGREEING]}
    images = visualize(model, _classes(model), AscentConfig(steps=detail.steps, precision=Precision.FLOAT32), seed)
    return Views(
        pictures,
        {cue: float((found == pictures.versions[cue].labels).mean()) for cue, found in answers.items()},
        said,
        {GRADCAM: _maps(model, GradCAM(LAYER), pictures, said), INTEGRATED: _maps(model, integrated, pictures, agreeing)},
        images,
        np.array([likeness(feature.image, label, len(images)) for label, feature in enumerate(images)]),
        _examples(model, pictures, detail.examples),
    )


def random_views(model: Model, of: Views, seed: int) -> Views:
    """Random maps of the same pictures and classes, in the place of every method's."""
    maps = _maps(model, RandomMap(seed), of.pictures, of.said)
    return replace(of, accuracy={}, maps=dict.fromkeys(of.maps, maps), images=(), hues=None, examples=())


def attribution_within(maps: Float[np.ndarray, "n rows cols"], masks: Bool[np.ndarray, "n rows2 cols2"]) -> Float[np.ndarray, " n"]:
    """Share of each map's positive part that lies within its mask, bilinear at the mask's size; NaN where no value is positive."""
    return relevance_mass(resized(maps, (masks.shape[1], masks.shape[2])), masks)


def attribution_outside(maps: Float[np.ndarray, "n rows cols"], masks: Bool[np.ndarray, "n rows2 cols2"]) -> Float[np.ndarray, " n"]:
    """The rest of it: one less `attribution_within`."""
    return 1 - attribution_within(maps, masks)


def resized(maps: Float[np.ndarray, "n rows cols"], size: tuple[int, int]) -> Float[np.ndarray, "n rows2 cols2"]:
    """Bilinear, corners not aligned, as `Heatmap.resized`."""
    values = torch.from_numpy(np.array(maps))[:, None]
    found: np.ndarray = torch.nn.functional.interpolate(values, size=size, mode="bilinear", align_corners=False)[:, 0].numpy()
    return found


def likeness(image: Float[np.ndarray, "h w 3"], label: int, classes: int) -> float:
    """Cosine, in the plane of hues, between the mean colour of an image in [0, 1] and that of the mark of class ``label``; 0 of a grey one.

    Of an image that is the same whatever the class, the mean over classes is 0, as the marks' hues are spread evenly.
    """
    own, marks = _chroma(image.reshape(-1, 3).mean(0)), _chroma(colour(label, classes) / 255)
    length = float(np.hypot(*own) * np.hypot(*marks))
    return float(own @ marks) / length if length > 1e-9 else 0.0


def _chroma(rgb: Float[np.ndarray, " 3"]) -> Float[np.ndarray, " 2"]:
    """A colour seen along the grey axis: red to the right, green and blue a third of the circle away."""
    red, green, blue = (float(value) for value in rgb)
    return np.array([red - (green + blue) / 2, np.sqrt(3) / 2 * (green - blue)])


def _classes(model: Model) -> list[Unit]:
    return [model.class_unit(label) for label in range(len(model.spec.classes))]


@torch.no_grad()
def _said(model: Model, pictures: Marked) -> Int[np.ndarray, " n"]:
    found: np.ndarray = torch.cat([model(batch).argmax(1) for batch in pictures.tensor.split(100)]).numpy()
    return found


def _maps(model: Model, method: Method, pictures: Pictures, said: Mapping[Cue, Int[np.ndarray, " n"]]) -> dict[Cue, Maps]:
    found = {}
    for cue, classes in said.items():
        probes = pictures.probed(cue)
        heatmaps = method(model, probes.tensor, [model.class_unit(int(label)) for label in classes])
        found[cue] = resized(np.stack([one.values for one in heatmaps]), model.preprocess.size)
    return found


def _examples(model: Model, pictures: Pictures, count: int) -> list[Examples]:
    untied, found = pictures.untied, []
    largest = activations.of(model, untied.tensor, [LAYER])[LAYER].strength(Rank.MAX)
    for label, channel in enumerate(leading_units(model, pictures.versions[Cue.AGREEING])):
        images = np.argsort(-largest[:, channel], kind="stable")[:count]
        mark, shape = (float((values[images] == label).mean()) for values in (untied.marks, untied.labels))
        found.append(Examples(label, Unit(LAYER, channel), images, mark, shape))
    return found


def leading_units(model: Model, pictures: Marked) -> list[int]:
    """For each class the channel of `LAYER` that adds most, on its pictures, to the class's logit above the mean of all logits.

    A logit is the sum over channels of weight times mean over places, so a channel's part of it is exact.
    """
    means = activations.of(model, pictures.tensor, [LAYER])[LAYER].strength(Rank.MEAN)
    above = weights(model)["fc.weight"] - weights(model)["fc.weight"].mean(0)
    return [int((above[label] * means[pictures.labels == label].mean(0)).argmax()) for label in range(len(above))]
