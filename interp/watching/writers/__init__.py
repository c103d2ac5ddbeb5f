"""Where else a recording goes while it is made: TensorBoard, Weights & Biases, or a `Writer` of the user's own."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from interp.errors import InterpError, UnknownName, Unsupported, a, nearest
from interp.watching.looking import Look

# name -> (module, class, the packages that it needs); imported only where asked for.
_KNOWN = {
    "tensorboard": ("tensorboard", "TensorBoard", "tensorboard"),
    "wandb": ("weights_and_biases", "WeightsAndBiases", "wandb"),
}


@runtime_checkable
class Writer(Protocol):
    """Is told of the user's numbers and of each record, with the number of the step.

    Of numbers it is told for several steps at once, half a second late at most while steps go on. Where that takes more than a quarter
    of the budget, it is told of fewer steps: the folder has all of them.
    """

    def numbers(self, step: int, values: Mapping[str, float]) -> None: ...

    def record(self, step: int, look: Look) -> None: ...

    def close(self) -> None: ...


def check(asked: Sequence[Any]) -> None:
    """Refuse what is asked for before anything is made.

    Raises UnknownName for a name that is none, Unsupported where its package is not installed, InterpError for what is no writer.
    """
    if isinstance(asked, str):
        raise InterpError(f"`writers` is '{asked}': give a sequence, such as ['{asked}']")
    for one in asked:
        if isinstance(one, str):
            _class(one)
        elif not isinstance(one, Writer):
            raise InterpError(f"{a(one)} is no writer: give {' or '.join(map(repr, _KNOWN))}, or an object with numbers, record and close")


def made(asked: Sequence[str | Writer], folder: Path) -> list[Writer]:
    """Those named, writing below ``folder``, and those given."""
    return [_class(one)(folder) if isinstance(one, str) else one for one in asked]


def _class(name: str) -> Callable[[Path], Writer]:
    if name not in _KNOWN:
        raise UnknownName(f"no writer '{name}': {nearest(name, _KNOWN) or 'there are ' + ', '.join(_KNOWN)}")
    module, kind, package = _KNOWN[name]
    try:
        found: Callable[[Path], Writer] = getattr(importlib.import_module(f"interp.watching.writers.{module}"), kind)
    except ImportError as error:
        raise Unsupported(
            f"the writer '{name}' needs the package '{package}', which is not installed ({error}): install it, or leave it out"
        ) from None
    return found
