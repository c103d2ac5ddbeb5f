"""``Recipe``: which network, in words that another process can load it by; each process loads it once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from interp import zoo
from interp.core.model import Model
from interp.errors import InterpError
from interp.zoo.inputs import Inputs


@dataclass(frozen=True)
class Recipe:
    """The arguments of `zoo.load`, and the SHA-256 of the weights that have to come out."""

    reference: str = "embedded"
    weights: Path | None = None
    random_weights: bool = False
    seed: int = 0
    device: str = "cpu"
    output: str | None = None
    weights_key: str | None = None
    inputs: Inputs = field(default_factory=Inputs)
    memory: int | None = None
    sha256: str = ""

    def load(self) -> Model:
        """The model, loaded anew. Raises InterpError where it cannot be had, or has other weights than those."""
        model = zoo.load(
            self.reference,
            weights=self.weights,
            random_weights=self.random_weights,
            seed=self.seed,
            device=self.device,
            output=self.output,
            weights_key=self.weights_key,
            inputs=self.inputs,
        )
        if self.sha256 and model.spec.sha256 != self.sha256:
            raise InterpError(
                f"a worker loads other weights for '{self.reference}' ({model.spec.sha256[:8]}, the microscope is of {self.sha256[:8]}): "
                "give all workers the same files"
            )
        return model if self.memory is None else replace(model, memory=self.memory)


_loaded: dict[Recipe, Model] = {}


def provide(recipe: Recipe, model: Model) -> None:
    """Let this process use a model that it has already."""
    _loaded.clear()
    _loaded[recipe] = model


def model_of(recipe: Recipe, load: Callable[[Recipe], Model] = Recipe.load) -> Model:
    """The model of a recipe: loaded at the first call in this process, the one before it forgotten."""
    if recipe not in _loaded:
        provide(recipe, load(recipe))
    return _loaded[recipe]
