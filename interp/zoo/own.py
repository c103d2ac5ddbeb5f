"""The user's own network: a function in a Python file. What goes wrong in there is said with its file and line."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from interp.errors import BadFile, InterpError, UnknownName, Unsupported, nearest
from interp.images import Preprocess
from interp.zoo.reference import Own

_NAME = "_interp_own_network"


def build(own: Own) -> tuple[nn.Module, Preprocess, tuple[str, ...]]:
    """Call the factory and return its network, preprocessing and class names.

    The network, or else the file, may say how its images are prepared and what its classes are called::

        classes = ["cat", "dog"]
        preprocess = {"size": (32, 32), "resize": 32, "mean": (0.5,), "std": (0.25,)}  # fields of interp.images.Preprocess

    Without them it is shown 224 px crops with ImageNet's mean and standard deviation, and classes are numbers.
    Raises BadFile, UnknownName or InterpError in one line, with the line of the user's file where there is one.
    """
    path = own.path
    if not path.is_file():
        near = nearest(path.name, [p.name for p in path.parent.glob("*.py")]) if path.parent.is_dir() else ""
        raise BadFile(f"no file '{path}' to take '{own.factory}' from{': ' + near if near else ''}")
    with _imports_from(path.resolve().parent):
        file = _execute(path)
        if not hasattr(file, own.factory):
            callables = [n for n, v in vars(file).items() if callable(v) and getattr(v, "__module__", None) == _NAME]
            listed = "it has " + ", ".join(f"'{n}'" for n in callables[:6]) if callables else "it has no functions"
            hint = nearest(own.factory, callables) or listed
            raise UnknownName(f"no '{own.factory}' in '{path}': {hint}")
        module = _call(getattr(file, own.factory), own)
    preprocess = _preprocess(module, file, path)
    return module, preprocess, _classes(module, file, path)


def _execute(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(_NAME, path)
    assert spec is not None
    assert spec.loader is not None
    file = importlib.util.module_from_spec(spec)
    sys.modules[_NAME] = file
    try:
        spec.loader.exec_module(file)
    except (Exception, SystemExit) as error:
        raise BadFile(f"{located(error, path)}") from error
    return file


def _call(factory: Any, own: Own) -> nn.Module:
    if isinstance(factory, nn.Module):
        return factory
    if not callable(factory):
        raise InterpError(f"'{own.factory}' in '{own.path}' is a {type(factory).__name__}: name a function that returns the network")
    try:
        inspect.signature(factory).bind()
    except TypeError as error:
        raise InterpError(f"'{own}' cannot be called without arguments ({error}): name a function that needs none") from None
    except ValueError:
        pass
    try:
        module = factory()
    except (Exception, SystemExit) as error:
        raise InterpError(f"{located(error, own.path)}") from error
    if not isinstance(module, nn.Module):
        raise InterpError(f"'{own}' returned a {type(module).__name__}, not a torch.nn.Module")
    return module


def located(error: BaseException, path: Path) -> str:
    """``'net.py', line 12: NameError: name 'x' is not defined``: the deepest place of the user's folder in the error, in one line."""
    folder = path.resolve().parent
    place, line = str(path), 0
    for frame in traceback.extract_tb(error.__traceback__):
        file = Path(frame.filename)
        if file.is_file() and file.resolve().parent == folder:
            place, line = (str(path) if file.resolve() == path.resolve() else frame.filename), frame.lineno or 0
    reason = str(error).strip().splitlines()[0] if str(error).strip() else "no message"
    if isinstance(error, SyntaxError) and error.filename:
        same = Path(error.filename).resolve() == path.resolve()
        place, line, reason = (str(path) if same else error.filename), error.lineno or 0, error.msg
    where = f"'{place}', line {line}" if line else f"'{place}'"
    return f"{where}: {type(error).__name__}: {reason}"


@contextmanager
def _imports_from(folder: Path) -> Iterator[None]:
    """The user's file may import its neighbours; afterwards the path and the loaded modules are as before."""
    before, path = dict(sys.modules), list(sys.path)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path[:] = path
        for name in [n for n in sys.modules if n not in before]:
            origin = getattr(sys.modules[name], "__file__", None)
            # Site packages below the folder (a .venv in the project) stay: they are nobody's neighbours.
            if name == _NAME or (origin and _below(Path(origin), folder)):
                del sys.modules[name]


def _below(file: Path, folder: Path) -> bool:
    return file.resolve().is_relative_to(folder) and "site-packages" not in file.parts


def _preprocess(module: nn.Module, file: ModuleType, path: Path) -> Preprocess:
    on_module = getattr(module, "preprocess", None)
    # A network may have a submodule or method of that name, which is not meant for us; a file's is.
    value = on_module if isinstance(on_module, (Preprocess, Mapping)) else getattr(file, "preprocess", None)
    if value is None:
        return Preprocess()
    if isinstance(value, Preprocess):
        return value
    if not isinstance(value, Mapping):
        kind = type(value).__name__
        raise Unsupported(f"'preprocess' in '{path}' is a {kind}: write the fields of interp.images.Preprocess, such as size and mean")
    try:
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, (list, tuple)) else v for k, v in value.items()}
        return Preprocess(**fields)
    except (TypeError, ValueError, InterpError) as error:
        raise InterpError(f"'preprocess' in '{path}' does not fit interp.images.Preprocess: {error}") from None


def _classes(module: nn.Module, file: ModuleType, path: Path) -> tuple[str, ...]:
    value = getattr(module, "classes", None)
    if not _names(value):
        value = getattr(file, "classes", None)
        if value is not None and not _names(value):
            raise InterpError(f"'classes' in '{path}' is no list of names: write them in the order of the network's outputs")
    return tuple(value) if value is not None else ()


def _names(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(v, str) for v in value) and len(value) > 0
