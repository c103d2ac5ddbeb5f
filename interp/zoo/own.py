"""The user's own network, or target: a function in a Python file. What goes wrong in there is said with its file and line."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePath
from types import ModuleType
from typing import Any

from torch import nn

from interp.core.heads import Explained
from interp.errors import BadFile, InterpError, UnknownName, Unsupported, a, nearest
from interp.images import Preprocess
from interp.runs.entries import InputEntry, Role
from interp.runs.inputs import beside
from interp.zoo.reference import Own
from interp.zoo.suitable import EXPORTED

_NAME = "_interp_own_network"


def build(own: Own) -> tuple[nn.Module, Preprocess, tuple[str, ...], tuple[InputEntry, ...]]:
    """Call the factory and return its network, preprocessing, class names, and the files of code that were read for it.

    The network, or else the file, may say how its images are prepared and what its classes are called::

        classes = ["cat", "dog"]
        preprocess = {"size": (32, 32), "resize": 32, "mean": (0.5,), "std": (0.25,)}  # fields of interp.Preprocess

    Without them it is shown 224 px crops with ImageNet's mean and standard deviation, and classes are numbers.
    The files are the given one and those below its folder that it imported until the network stood.
    Raises BadFile, UnknownName or InterpError in one line, with the line of the user's file where there is one.
    """
    path = own.path
    with _imports_from(path) as neighbours:
        file, factory = _named(own)
        module = _call(factory, own)
        code = _code(path, neighbours())
    preprocess = _preprocess(module, file, path)
    return module, preprocess, _classes(module, file, path), code


def target(own: Own) -> tuple[Explained, tuple[InputEntry, ...]]:
    """The function of a network's output that is explained in place of a class, and the files of code that were read for it.

    It is given what the network returns (or what was chosen of it) for N images, and returns N numbers::

        def fox_against_dog(output):
            return output[:, 1] - output[:, 0]

    Raises BadFile, UnknownName or InterpError in one line, with the line of the user's file where there is one.
    """
    with _imports_from(own.path) as neighbours:
        _, function = _named(own)
        if not callable(function):
            raise InterpError(
                f"'{own.factory}' in '{own.path}' is {a(function)}: name a function of the network's output, one number per image"
            )
        try:
            inspect.signature(function).bind(None)
        except TypeError as error:
            raise InterpError(f"'{own}' cannot be called with the network's output alone ({error}): name a function of it") from None
        except ValueError:
            pass
        code = _code(own.path, neighbours())
    return Explained(own.factory, function, lambda error: located(error, own.path)), code


def _named(own: Own) -> tuple[ModuleType, Any]:
    """The user's file, run, and what is called ``factory`` in it."""
    path = own.path
    if not path.is_file():
        near = nearest(path.name, [p.name for p in path.parent.glob("*.py")]) if path.parent.is_dir() else ""
        raise BadFile(f"no file '{path}' to take '{own.factory}' from{': ' + near if near else ''}")
    file = _execute(path)
    if not hasattr(file, own.factory):
        callables = [n for n, v in vars(file).items() if callable(v) and getattr(v, "__module__", None) == _NAME]
        listed = "it has " + ", ".join(f"'{n}'" for n in callables[:6]) if callables else "it has no functions"
        hint = nearest(own.factory, callables) or listed
        raise UnknownName(f"no '{own.factory}' in '{path}': {hint}")
    return file, getattr(file, own.factory)


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
        raise InterpError(f"'{own.factory}' in '{own.path}' is {a(factory)}: name a function that returns the network")
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
        if type(module).__name__ == "ExportedProgram":
            raise Unsupported(f"'{own}' returned {EXPORTED}")
        raise InterpError(f"'{own}' returned {a(module)}, not a torch.nn.Module")
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


def _code(path: Path, neighbours: Mapping[PurePath, Path]) -> tuple[InputEntry, ...]:
    entries = [replace(InputEntry.of(file, Role.CODE), path=beside(path, below)) for below, file in sorted(neighbours.items())]
    return (InputEntry.of(path, Role.CODE), *entries)


@contextmanager
def _imports_from(path: Path) -> Iterator[Callable[[], Mapping[PurePath, Path]]]:
    """The user's file may import its neighbours; afterwards the path and the loaded modules are as before.

    What is given tells which neighbours were imported so far, by where they lie below the file's folder. A link to a file has two
    folders, its own and that of what it links to: neighbours are looked for in both.
    """
    before, searched = dict(sys.modules), list(sys.path)
    folders = list(dict.fromkeys((path.absolute().parent, path.resolve().parent)))
    sys.path[:0] = map(str, folders)

    def imported() -> dict[str, tuple[PurePath, Path]]:
        new = {name: _origin(module) for name, module in list(sys.modules.items()) if name not in before and name != _NAME}
        places = {name: (_below(origin, folders), origin) for name, origin in new.items() if origin is not None}
        return {name: (below, origin) for name, (below, origin) in places.items() if below is not None}

    try:
        yield lambda: {below: file for below, file in imported().values() if file.is_file()}
    finally:
        sys.path[:] = searched
        for name in [*imported(), _NAME]:
            sys.modules.pop(name, None)


def _origin(module: ModuleType) -> Path | None:
    """The file of a module; of a package without one its folder."""
    file = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), None)
    return Path(file) if file else None


def _below(file: Path, folders: Sequence[Path]) -> PurePath | None:
    """How a file lies below the first of ``folders`` that it lies in; None for site packages in there, which are nobody's neighbours."""
    if "site-packages" in file.parts:
        return None
    tried = ((each, folder) for folder in folders for each in (file, file.resolve()))
    return next((each.relative_to(folder) for each, folder in tried if each.is_relative_to(folder)), None)


def _preprocess(module: nn.Module, file: ModuleType, path: Path) -> Preprocess:
    on_module = getattr(module, "preprocess", None)
    # A network may have a submodule or method of that name, which is not meant for us; a file's is.
    value = on_module if isinstance(on_module, (Preprocess, Mapping)) else getattr(file, "preprocess", None)
    return Preprocess() if value is None else preprocess_of(value, f"'preprocess' in '{path}'")


def preprocess_of(value: object, what: str) -> Preprocess:
    """A `Preprocess`, or one from a mapping of its fields; raises InterpError, naming ``what`` it was given as, where it is neither."""
    if isinstance(value, Preprocess):
        return value
    if not isinstance(value, Mapping):
        kind = type(value).__name__
        raise Unsupported(f"{what} is a {kind}: write the fields of interp.Preprocess, such as size and mean")
    try:
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, (list, tuple)) else v for k, v in value.items()}
        return Preprocess(**fields)
    except (TypeError, ValueError, InterpError) as error:
        raise InterpError(f"{what} does not fit interp.Preprocess: {error}") from None


def _classes(module: nn.Module, file: ModuleType, path: Path) -> tuple[str, ...]:
    value = getattr(module, "classes", None)
    if not _names(value):
        value = getattr(file, "classes", None)
        if value is not None and not _names(value):
            raise InterpError(f"'classes' in '{path}' is no list of names: write them in the order of the network's outputs")
    return tuple(value) if value is not None else ()


def _names(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(v, str) for v in value) and len(value) > 0
