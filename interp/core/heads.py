"""Networks that return no class scores, seen as ones that do: their output is read by modules that fire last.

What is read is then a layer like any other, ``output`` or ``target``, whose units every mission can be asked about.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn, stack
from torch.utils import _pytree as pytree

from interp.core.capture import describe, tensor_of
from interp.core.outputs import picked
from interp.core.written import READING
from interp.errors import InterpError, Unsupported

OUTPUT, TARGET = "output", "target"


@dataclass(frozen=True)
class Explained:
    """A function of the user's from a network's output to one number per image, by its ``name`` as it was asked for.

    ``told`` says in one line what went wrong in it, and where.
    """

    name: str
    function: Callable[[Any], Any]
    told: Callable[[BaseException], str] = repr


class Output(nn.Module):
    """The tensor that was chosen of a network's output, as it is."""

    def forward(self, chosen: Tensor) -> Tensor:
        return chosen


class Target(nn.Module):
    """A function of the user's on a network's output, which comes taken apart (see `torch.utils._pytree`) -> (N, 1)."""

    def __init__(self, explained: Explained) -> None:
        super().__init__()
        self.explained = explained

    def forward(self, images: int, spec: Any, *leaves: Any) -> Float[Tensor, "n 1"]:
        """Raises InterpError where the function fails, or gives no number for each of the ``images``."""
        name = self.explained.name
        try:
            value = self.explained.function(pytree.tree_unflatten(list(leaves), spec))
        except Exception as error:
            raise InterpError(f"the target {self.explained.told(error)}") from error
        if isinstance(value, (list, tuple)) and value and all(isinstance(one, Tensor) and one.numel() == 1 for one in value):
            value = stack([one.reshape(()) for one in value])
        if not isinstance(value, Tensor) or not value.is_floating_point():
            kind = f"a tensor of {value.dtype}" if isinstance(value, Tensor) else describe(value)
            raise InterpError(f"the target '{name}' gave {kind} for {images} images: return a float tensor of {images} numbers")
        if value.shape not in ((images,), (images, 1)):
            shape = tuple(value.shape)
            raise InterpError(f"the target '{name}' gave a tensor of shape {shape} for {images} images: return one number each")
        return value.reshape(images, 1)


@dataclass
class Reading:
    """How the output of ``network`` is read: the tensor ``chosen`` of it, the function ``explained``, and the names of the ``heads``.

    ``answered`` is the name of the head whose result the last forward returned, "" where that was the network's own.
    """

    network: nn.Module
    chosen: str | None
    explained: Explained | None
    heads: dict[str, str] = field(default_factory=dict)
    answered: str = ""

    @property
    def target(self) -> str:
        """The name of the layer that is the target, "" where there is none."""
        return self.heads.get(TARGET, "")

    def run(self, images: Tensor, modules: dict[str, nn.Module | None], training: bool) -> Any:
        """What the network returns, with these submodules, and in this mode; both are its own again afterwards."""
        network = self.network
        before = (network._modules, network.training)
        vars(network)["_modules"] = {name: module for name, module in modules.items() if name not in self.heads.values()}
        network.training = training
        try:
            return network(images)
        finally:
            vars(network)["_modules"], network.training = before

    def scores(self, output: Any) -> Tensor | None:
        """(N, classes) of what was chosen or returned; None where it is nothing like that."""
        scores = tensor_of(output)
        if scores is None or not scores.is_floating_point():
            return None
        if scores.ndim == 4 and (self.chosen is not None or scores.shape[2:] == (1, 1)):
            return scores.mean(dim=(2, 3))
        return scores if scores.ndim == 2 else None


class Headed(nn.Module):
    """``network`` with the modules ``output`` and ``target`` behind it, those that were asked for; all else by the same names.

    It returns class scores (N, classes): those of the tensor called ``output`` in what the network returns (of class maps (N,
    classes, rows, cols) the mean over all places), or what the network itself returns where that is one tensor. Where neither is
    so, and there is a target, it returns the target. The network, its parameters and its modules are the very same objects, and
    nothing is added to it. What belongs to this class alone is told by `reading_of`: a network may have modules of any name.
    """

    def __init__(self, network: nn.Module, output: str | None = None, target: Explained | None = None) -> None:
        super().__init__()
        reading = Reading(network, output, target)
        # Not as a submodule, which would put a prefix before every name. The dictionaries are shared, so that moving and loading hold.
        vars(self)[READING] = reading
        for shared in ("_parameters", "_buffers", "_non_persistent_buffers_set"):
            vars(self)[shared] = vars(network)[shared]
        self._modules.update(network._modules)
        self.training = network.training
        heads: dict[str, nn.Module] = {} if output is None else {OUTPUT: Output()}
        for kind, head in (heads if target is None else {**heads, TARGET: Target(target)}).items():
            name = kind
            while hasattr(self, name) or hasattr(network, name):
                name += "_"
            reading.heads[kind] = name
            self.add_module(name, head)

    def forward(self, images: Tensor) -> Tensor:
        """Raises UnknownName for an output that is not there, Unsupported where nothing in it could be class scores."""
        reading = reading_of(self)
        assert reading is not None
        output = reading.run(images, self._modules, self.training)
        if reading.chosen is not None:
            output = self._modules[reading.heads[OUTPUT]](picked(output, reading.chosen))  # type: ignore[misc]
        value: Tensor | None = None
        if reading.target:
            leaves, spec = pytree.tree_flatten(output)
            value = self._modules[reading.target](len(images), spec, *leaves)  # type: ignore[misc]
        scores = reading.scores(output)
        reading.answered = reading.heads[OUTPUT] if scores is not None and reading.chosen is not None else ""
        if scores is not None:
            return scores
        if value is None:
            raise Unsupported(
                f"the output '{reading.chosen}' is a tensor of shape {tuple(output.shape)} for {len(images)} images, neither class scores "
                "(n, classes) nor class maps (n, classes, rows, cols): choose another, or explain a number of it with --target "
                "file.py:function"
            )
        reading.answered = reading.target
        return value


def reading_of(module: nn.Module) -> Reading | None:
    """How the output of a `Headed` network is read; None of any other."""
    found: Reading | None = vars(module).get(READING)
    return found
