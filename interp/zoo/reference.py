"""``Reference``: which network is meant, as a value. Strings are parsed here, once."""

from __future__ import annotations

import importlib
import importlib.util
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from interp.errors import InterpError, UnknownName, Unsupported, nearest

_OWN = re.compile(r"(?P<path>.+\.py)(?::(?P<factory>.*))?", re.DOTALL)
_WEIGHTS_FILE = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
_WAYS = "timm's models are 'timm/NAME', your own 'path/to/net.py:factory'"


class Reference:
    """A network by name: `Embedded`, `Torchvision`, `Timm` or `Own`. ``str`` and ``parse`` are inverses."""

    @staticmethod
    def parse(text: str) -> Reference:
        """``embedded``, ``resnet50``, ``resnet50@IMAGENET1K_V2``, ``timm/convnext_tiny`` or ``path/to/net.py:factory``.

        Raises UnknownName with the nearest names, Unsupported for a network that is no classifier, and
        InterpError where the text has another form or timm is not installed.
        """
        text = text.strip()
        if text == "embedded":
            return Embedded()
        own = _OWN.fullmatch(text)
        if own is not None:
            return _own(text, own)
        if text.lower().endswith(_WEIGHTS_FILE):
            raise InterpError(f"'{text}' is a weights file, not a model: name the network it belongs to, `MODEL --weights {text}`")
        if text.startswith("timm/"):
            return _timm(text.removeprefix("timm/"))
        return _torchvision(text)


@dataclass(frozen=True)
class Embedded(Reference):
    """The network that ships with the package."""

    def __str__(self) -> str:
        return "embedded"


@dataclass(frozen=True)
class Torchvision(Reference):
    """A torchvision classifier, or segmentation network; ``weights`` None means torchvision's own default."""

    name: str
    weights: str | None = None

    @property
    def segments(self) -> bool:
        """Whether it gives a map of each class rather than its score."""
        return self.name in segmenters()

    def __str__(self) -> str:
        return self.name if self.weights is None else f"{self.name}@{self.weights}"


@dataclass(frozen=True)
class Timm(Reference):
    """A timm classifier, such as ``convnext_tiny`` or, with the tag of its weights, ``convnext_tiny.fb_in22k``."""

    name: str

    def __str__(self) -> str:
        return f"timm/{self.name}"


@dataclass(frozen=True)
class Own(Reference):
    """A function (or class) without arguments in the user's own file, which gives the network."""

    path: Path
    factory: str

    def __str__(self) -> str:
        return f"{self.path}:{self.factory}"


def timm_package() -> Any:
    """The package timm; raises InterpError that names the extra where it is not installed."""
    if importlib.util.find_spec("timm") is None:
        raise InterpError("models 'timm/NAME' need the package timm, which is not installed: `pip install 'interp[timm]'`")
    return importlib.import_module("timm")


def _own(text: str, match: re.Match[str]) -> Own:
    factory = match["factory"]
    if factory is None or not factory.isidentifier():
        raise InterpError(f"'{text}' names no function in the file: write '{match['path']}:factory', a function that returns the network")
    return Own(Path(match["path"]), factory)


def _timm(name: str) -> Timm:
    timm = timm_package()
    architecture, _, tag = name.partition(".")
    known = timm.list_models()
    if architecture not in known:
        raise UnknownName(f"no model 'timm/{name}': {_near(architecture, known, 'timm/') or '`timm.list_models()` lists them'}")
    tagged = timm.list_pretrained(f"{architecture}.*") if tag else []
    if tag and name not in tagged:
        hint = _near(name, tagged, "timm/") or ("there are " + ", ".join(f"'timm/{t}'" for t in tagged) if tagged else "it has none")
        raise UnknownName(f"no weights '{tag}' for 'timm/{architecture}': {hint}")
    return Timm(name)


def _near(name: str, choices: list[str], prefix: str) -> str:
    return nearest(name, choices).replace("'", f"'{prefix}", 1).replace(" or '", f" or '{prefix}")


def _models() -> Any:
    from torchvision import models

    return models


@cache
def _classifiers() -> frozenset[str]:
    return frozenset(_models().list_models(module=_models()))


@cache
def segmenters() -> frozenset[str]:
    """The names of torchvision's segmentation networks."""
    return frozenset(_models().list_models(module=_models().segmentation))


def _torchvision(text: str) -> Torchvision:
    name, at, weights = text.partition("@")
    if name not in _classifiers() and name not in segmenters():
        raise _no_classifier(name)
    if not at:
        return Torchvision(name)
    entries = [*_models().get_model_weights(name).__members__]
    if weights not in (*entries, "DEFAULT"):
        hint = nearest(weights, entries) or "there are " + ", ".join(f"'{e}'" for e in entries)
        raise UnknownName(f"no weights '{weights}' for '{name}': {hint}")
    return Torchvision(name, weights)


def _no_classifier(name: str) -> InterpError:
    if not name:
        return UnknownName(f"no model is named: write 'embedded' or a name such as 'resnet50'; {_WAYS}")
    classifiers = sorted(_classifiers())
    if name in _models().list_models():
        kind = _models().get_model_builder(name).__module__.split(".")[2].replace("_", " ")
        hint = nearest(name, classifiers) or "try resnet50"
        own = ""
        if kind == "detection":
            own = "; of a detector, its backbone can be given by a function of yours ('net.py:factory'), or all of it with --target"
        return Unsupported(f"'{name}' is one of torchvision's {kind} models, and interp looks into image classifiers: {hint}{own}")
    return UnknownName(
        f"no model '{name}': {nearest(name, ['embedded', *classifiers, *sorted(segmenters())]) or 'try embedded or resnet50'}; {_WAYS}"
    )
