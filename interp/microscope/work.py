"""``Order``: a stage of the work as a task that any process can do, its result kept under the hash of all it depends on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from interp.core.memory import limited
from interp.core.model import Model
from interp.core.repeatable import Repeatable, on_threads
from interp.microscope.recipe import Recipe, model_of
from interp.microscope.store import Arrays, Store


class Stage(ABC):
    """A piece of work on a model: a frozen dataclass of plain values."""

    @abstractmethod
    def arrays(self, model: Model) -> Arrays:
        """Do it."""

    def depends(self) -> object:
        """What the result depends on beside the model, as a plain value or dataclass."""
        return self


@dataclass(frozen=True)
class Order:
    """A ``stage`` for the model of ``recipe``, on so many ``threads``; its result belongs under ``key`` in the store in ``folder``."""

    key: str
    folder: Path
    mark: str
    recipe: Recipe
    threads: int
    stage: Stage


def carry_out(order: Order) -> Arrays | None:
    """Do it, unless it is done. The result goes into the store; it is returned where this process sees no such store."""
    store = Store(order.folder)
    shared = store.sees(order.mark)
    if shared and order.key in store:
        return None
    with on_threads(order.threads), Repeatable() as repeatable:
        model = model_of(order.recipe)
        repeatable.on(model.device)
        with limited(model):
            arrays = order.stage.arrays(model)
    if not shared:
        return arrays
    store.put(order.key, arrays)
    return None
