"""The one door to models: a reference, or the user's own module, becomes a `Model`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import nn

from interp.core import trace
from interp.core.model import Model, ModelSpec
from interp.errors import InterpError, Unsupported
from interp.images import Preprocess
from interp.runs.entries import InputEntry, Role
from interp.runs.plain import portable
from interp.zoo import embedded, own
from interp.zoo import weights as files
from interp.zoo.device import device as device_of
from interp.zoo.hub import Random, Source, from_timm, from_torchvision, seeded
from interp.zoo.reference import Embedded, Own, Reference, Timm, Torchvision


def load(
    reference: str | Reference | nn.Module = "embedded",
    *,
    weights: Path | str | None = None,
    random_weights: bool = False,
    seed: int = 0,
    device: str | None = None,
    preprocess: Preprocess | None = None,
    classes: Sequence[str] | None = None,
) -> Model:
    """A `Model` of ``embedded``, ``resnet50[@WEIGHTS]``, ``timm/NAME``, ``path/to/net.py:factory``, or of a module of your own.

    ``weights`` is a file that takes the place of the pretrained weights; with ``random_weights`` there are none, and
    ``seed`` fixes the initialization (no global generator is touched). ``device`` None is the CPU, or where a given
    module already is. ``preprocess`` (default for a module: 224 px, ImageNet's mean and standard deviation) and
    ``classes`` (names in the order of the outputs) replace what the source says. A module that is given stays as it is:
    mode, gradients, hooks.

    Raises UnknownName, BadFile, Unsupported or InterpError, each in one line.
    """
    if weights is not None and random_weights:
        raise InterpError("a weights file and random weights were asked for at once: choose one of `--weights FILE` and `--random-weights`")
    place = None if device is None else device_of(device)
    if isinstance(reference, nn.Module):
        if weights is not None or random_weights:
            raise InterpError("a module that is given keeps its weights: load others into it before")
        name = type(reference).__name__
        which: Reference | None = None
        source = Source(reference, Preprocess(), (), "as given")
    else:
        which = Reference.parse(reference) if isinstance(reference, str) else reference
        name = portable(str(which))
        source = _source(which, Random(seed) if random_weights else None if weights is None else Path(weights))
        source.module.eval().requires_grad_(False)
    if place is not None:
        source.module.to(place)
    read = () if weights is None else (InputEntry.of(Path(weights), Role.WEIGHTS),)
    spec = ModelSpec(name, portable(source.weights), files.state_sha256(source.module), files=(*source.code, *read))
    try:
        model = trace.model(source.module, spec, preprocess or source.preprocess)
    except Unsupported as error:
        if not isinstance(which, Own) or error.__cause__ is None:
            raise
        used = preprocess or source.preprocess
        shape = "x".join(map(str, (len(used.mean), *used.size)))
        said = own.located(error.__cause__, which.path)
        raise Unsupported(f"{said} (on images of {shape}, which `preprocess` in the file can change)") from error
    if classes is not None or isinstance(which, Own):
        return _named(model, source.classes if classes is None else tuple(classes))
    return _named(model, source.classes if len(source.classes) == model.classes else ())


def _source(reference: Reference, weights: Path | Random | None) -> Source:
    if isinstance(reference, Torchvision):
        return from_torchvision(reference, weights)
    if isinstance(reference, Timm):
        return from_timm(reference, weights)
    with seeded(weights.seed if isinstance(weights, Random) else 0, *_lasting(reference)):
        if isinstance(reference, Embedded):
            names = tuple(c.name for c in embedded.classes())
            module = embedded.network(trained=weights is None)
            source = Source(module, embedded.PREPROCESS, names, str(weights or f"version {embedded.VERSION}"))
        elif isinstance(reference, Own):
            made, preprocess, names, code = own.build(reference)
            source = Source(made, preprocess, names, str(weights or "as made by the factory"), code)
        else:
            raise InterpError(f"'{reference!r}' is no reference to a model")
    if isinstance(weights, Path):
        files.apply(source.module, files.read(weights), weights)
    return source


def _lasting(reference: Reference) -> tuple[object, ...]:
    """Names for what is drawn that stay when the user's file is moved, or named by another path."""
    return (reference.path.name, reference.factory) if isinstance(reference, Own) else (reference,)


def _named(model: Model, classes: tuple[str, ...]) -> Model:
    if classes and len(classes) != model.classes:
        raise InterpError(f"{len(classes)} class names were given for '{model.spec.reference}', which has {model.classes} outputs")
    return replace(model, spec=replace(model.spec, classes=classes))
