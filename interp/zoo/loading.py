"""The one door to models: a reference, or the user's own module, becomes a `Model`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from interp.core import trace
from interp.core.answers import Answer
from interp.core.heads import Explained, Headed, reading_of
from interp.core.model import AS_GIVEN, Model, ModelSpec
from interp.errors import InterpError, Unsupported
from interp.images import Preprocess
from interp.runs.entries import InputEntry, Role
from interp.runs.plain import portable
from interp.zoo import embedded, own
from interp.zoo import weights as files
from interp.zoo.device import device as device_of
from interp.zoo.hub import Random, Source, WeightsFile, from_timm, from_torchvision, seeded
from interp.zoo.inputs import Inputs
from interp.zoo.reference import Embedded, Own, Reference, Timm, Torchvision
from interp.zoo.suitable import bare, why

# What outputs of scores of classes are called, or a part of it.
_SCORES = re.compile(r"out(?!lier)|logit|score|cls|class|pred|prob|label|categor|segm|^sem|aux|^head$|^y$|^x$")


def load(
    reference: str | Reference | nn.Module = "embedded",
    *,
    weights: Path | str | None = None,
    random_weights: bool = False,
    seed: int = 0,
    device: str | None = None,
    preprocess: Preprocess | Mapping[str, Any] | None = None,
    classes: Sequence[str] | None = None,
    output: str | int | None = None,
    target: str | Callable[[Any], Any] | None = None,
    weights_key: str | None = None,
    inputs: Inputs | None = None,
) -> Model:
    """A `Model` of ``embedded``, ``resnet50[@WEIGHTS]``, ``timm/NAME``, ``path/to/net.py:factory``, or of a module of your own.

    ``weights`` is a file that takes the place of the pretrained weights; with ``random_weights`` there are none, and
    ``seed`` fixes the initialization (no global generator is touched). ``device`` None is the CPU, or where a given
    module already is. ``preprocess`` (or its fields as a dictionary; default for a module: 224 px, ImageNet's mean and deviation) and
    ``classes`` (names in the order of the outputs) replace what the source says; ``inputs`` change single values of the former. A
    module that is given stays as it is: mode, gradients, hooks. What ``torch.compile`` or DataParallel put around it is taken off.

    ``output`` is the name, or the index, of the tensor that holds the class scores in what the network returns (``out``, ``logits``,
    ``aux.0``; of class maps (n, classes, rows, cols) the mean over all places is the score). ``target`` is a function from what the
    network returns to one number per image, or ``path/to/file.py:function``: it is the unit 0 of the model's layer ``target``, and takes
    the place of the classes where there are none. ``weights_key`` says which weights of the file: ``state_dict_ema``, ``teacher``.

    Raises UnknownName, BadFile, Unsupported or InterpError, each in one line.
    """
    if weights is not None and random_weights:
        raise InterpError("a weights file and random weights were asked for at once: choose one of `--weights FILE` and `--random-weights`")
    if weights_key is not None and weights is None:
        raise InterpError(f"`--weights-key {weights_key}` chooses among the weights of a file: name one with `--weights FILE`")
    output = None if output is None else str(output)
    place = None if device is None else device_of(device)
    which = Reference.parse(reference) if isinstance(reference, str) else reference if isinstance(reference, Reference) else None
    if which is not None:
        _refuse_unread(which, output, target)
        chosen = Random(seed) if random_weights else None if weights is None else WeightsFile(Path(weights), weights_key)
        name, source = portable(str(which)), _source(which, chosen)
        source.module.eval().requires_grad_(False)
    elif weights is not None or random_weights:
        raise InterpError("a module that is given keeps its weights: load others into it before")
    else:
        name = type(reference).__name__
        source = Source(bare(reference, name), Preprocess(), (), AS_GIVEN)
    if place is not None:
        source.module.to(place)
    said_so = source.preprocess if preprocess is None else own.preprocess_of(preprocess, "`preprocess`")
    used, pictures, said = (inputs or Inputs()).over(said_so, source.module)
    explained, code = _explained(target)
    read = () if weights is None else (InputEntry.of(Path(weights), Role.WEIGHTS),)
    files.refuse_unfinite(source.module, name if weights is None else Path(weights).name)
    hashed, read = files.state_sha256(source.module), (*source.code, *read, *pictures, *code)
    spec = ModelSpec(name, portable(source.weights), hashed, files=read, notes=_notes(output, explained, said))
    module = source.module if output is None and explained is None else Headed(source.module, output, explained)
    model = _traced(module, spec, used, which, seed)
    reading = reading_of(module)
    if explained is not None and reading is not None and model.output == reading.target:
        return _named(model, (explained.name,))
    if classes is not None or (isinstance(which, Own) and output is None):
        return _named(model, source.classes if classes is None else tuple(classes))
    named = _named(model, source.classes if len(source.classes) == model.classes else ())
    return _counted(named, output)


def _counted(model: Model, output: str | None) -> Model:
    """``model``, whose classes are numbers of something else where the chosen ``output`` is not called as scores of classes are."""
    if output is None or model.spec.classes or model.answer is not Answer.LOGITS or _called_scores(output):
        return model
    notes = dict(model.spec.notes)
    notes["Scores"] = f"{notes['Scores']}; taken for numbers that are no classes, so without probabilities"
    return replace(model, answer=Answer.NUMBERS, spec=replace(model.spec, notes=tuple(notes.items())))


def _called_scores(output: str) -> bool:
    """Whether some part of an output's name is an index, or says that it holds scores of classes."""
    return any(part.isdecimal() or _SCORES.search(part.lower()) for part in output.split("."))


def _traced(module: nn.Module, spec: ModelSpec, preprocess: Preprocess, which: Reference | None, seed: int) -> Model:
    """The `Model`; where the network does not run, why: by its convolutions, or by the line of the user's own code."""
    try:
        return trace.model(module, spec, preprocess, seed)
    except Unsupported as error:
        if error.__cause__ is None:
            raise
        reason = why(module, preprocess)
        if not isinstance(which, Own):
            raise (Unsupported(f"{error}; {reason}") if reason else error) from error.__cause__
        shape = "x".join(map(str, (len(preprocess.mean), *preprocess.size)))
        said = own.located(error.__cause__, which.path)
        # What tells of channels or of other dimensions names its own remedy, or that there is none.
        change = reason or "--input-size ROWS COLS changes their size, as does `preprocess` in the file"
        raise Unsupported(f"{said} (on images of {shape} (channels x rows x cols): {change})") from error


def _refuse_unread(which: Reference, output: str | None, target: object) -> None:
    """Refuse before the work what torchvision's segmentation networks would come to: they return class maps by name."""
    if isinstance(which, Torchvision) and which.segments and output is None and target is None:
        raise Unsupported(
            f"'{which}' gives a map of each class, not class scores: take the mean of each map with `--output out`, "
            "or explain a number of your own with `--target file.py:function`"
        )


def _explained(target: str | Callable[[Any], Any] | None) -> tuple[Explained | None, tuple[InputEntry, ...]]:
    if target is None:
        return None, ()
    if not isinstance(target, str):
        return Explained(getattr(target, "__name__", type(target).__name__), target), ()
    which = Reference.parse(target)
    if not isinstance(which, Own):
        raise InterpError(f"the target '{target}' is no function in a file: write 'path/to/file.py:function'")
    return own.target(which)


def _notes(output: str | None, target: Explained | None, said: str) -> tuple[tuple[str, str], ...]:
    """What the user chose that a reader of the run has to know, for its facts."""
    notes = {
        "Input": said,
        "Scores": "" if output is None else f"output '{output}' of the network; of class maps the mean over all places",
        "Target": "" if target is None else f"'{target.name}', a function of the network's output",
    }
    return tuple((name, text) for name, text in notes.items() if text)


def _source(reference: Reference, weights: WeightsFile | Random | None) -> Source:
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
            source = Source(bare(made, portable(str(reference))), preprocess, names, str(weights or "as made by the factory"), code)
        else:
            raise InterpError(f"'{reference!r}' is no reference to a model")
    if isinstance(weights, WeightsFile):
        found = weights.read()
        files.apply(source.module, found.tensors, weights.path)
        source = replace(source, weights=weights.said(found))
    return source


def _lasting(reference: Reference) -> tuple[object, ...]:
    """Names for what is drawn that stay when the user's file is moved, or named by another path."""
    return (reference.path.name, reference.factory) if isinstance(reference, Own) else (reference,)


def _named(model: Model, classes: tuple[str, ...]) -> Model:
    if classes and len(classes) != model.classes:
        raise InterpError(f"{len(classes)} class names were given for '{model.spec.reference}', which has {model.classes} outputs")
    return replace(model, spec=replace(model.spec, classes=classes))
