"""Checkpoints that hold Python objects beside the weights, as Lightning's hyperparameters: read without these.

For whatever class a file names there stands in one that does nothing, under torch's own reader for weights only, so that nothing that the
file names is imported or called. What it says of the objects is lost; tensors, numbers, texts, lists and mappings are kept.
"""

from __future__ import annotations

import _compat_pickle
import pickle
import warnings
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

# Functions and classes of these are not what hyperparameters are made of, but what runs: such a file is refused.
_RUNNING = frozenset(
    ("builtins", "os", "posix", "nt", "sys", "subprocess", "shutil", "importlib", "runpy", "socket", "code", "pty", "ctypes")
)
_HARMLESS = ("set", "frozenset", "complex", "slice", "range", "object", "getattr", "bytearray")


class _Mapping:
    """What is made in the place of an object: an empty mapping, which torch's reader lets take items, or attributes."""

    def __new__(cls, *_: object, **__: object) -> OrderedDict[Any, Any]:  # type: ignore[misc]
        return OrderedDict()


class _Nothing:
    """The same for objects whose state is no mapping of attributes: it takes any, and does nothing with it."""

    def __init__(self, *_: object, **__: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...


def without(path: Path) -> Mapping[Any, Any] | None:
    """What is in a checkpoint, its objects replaced by nothing; None where that cannot be, or none of it is weights.

    That is so of a whole pickled network, of files of torch's older format, and of those that name functions which run things.
    """
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(str(path))
        if any(_runs(*name.split(".", 1)) for name in names):
            return None
        content = _read(path, names)
        return content if isinstance(content, Mapping) and any(map(_is_state, content.values())) else None
    except Exception:  # whatever stands in the file, it was read as far as it can be, and said no
        return None


def _read(path: Path, names: Sequence[str]) -> object:
    """The content with stand-ins; which kind an object needs, only its reading tells."""
    for kinds in ({"functools.partial": _Nothing}, dict.fromkeys(names, _Nothing)):
        stands: Any = [(type("StandIn", (kinds.get(name, _Mapping),), {}), name) for name in names]
        try:
            with warnings.catch_warnings(), torch.serialization.safe_globals(stands):
                warnings.simplefilter("ignore")
                return torch.load(path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, TypeError, ValueError):
            continue
    return None


def _runs(package: str, name: str = "") -> bool:
    package = _compat_pickle.IMPORT_MAPPING.get(package, package)  # old protocols write the names of Python 2
    return package in _RUNNING and not (package == "builtins" and name in _HARMLESS)


def _is_state(value: object) -> bool:
    """Whether it is a mapping of tensors and nothing else: a state dict."""
    return isinstance(value, Mapping) and bool(value) and all(isinstance(one, Tensor) for one in value.values())
