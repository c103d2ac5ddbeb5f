"""What fires: one traced forward gives a module's layers, their shapes, layouts and receptive fields."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from interp.core.again import looked_again
from interp.core.capture import describe, hooked, quiet, tensor_of
from interp.core.heads import Output, reading_of
from interp.core.layout import ChannelsLast, Layout, Maps, infer
from interp.core.model import Layer, Model, ModelSpec
from interp.core.outputs import listed
from interp.core.own_draws import drawing
from interp.core.placing import PlaceTracker
from interp.core.receptive import FieldTracker
from interp.errors import InterpError, Unsupported
from interp.images import Preprocess

# Two images: an output whose first size is not 2 has merged the images with something else.
BATCH = 2
# Where torch keeps the modules that compute a layer's weights from others: they see no picture.
PARAMETRIZATIONS = "parametrizations"


def model(module: nn.Module, spec: ModelSpec, preprocess: Preprocess, seed: int = 0) -> Model:
    """Trace ``module`` with images of its own size and return its `Model`; the module is left as it was.

    ``seed`` is that of the random numbers that the network draws itself in its forward, if it does.

    Raises Unsupported where the forward fails or returns no class scores.
    """
    if isinstance(module, torch.jit.ScriptModule):
        raise Unsupported(
            f"'{spec.reference}' is a scripted module, whose layers cannot be hooked: give the Python module it was made from"
        )
    tracer = _Tracer(module, preprocess)
    result = tracer.run(spec.reference, seed)
    silent = [name for name in tracer.names if name not in tracer.calls]
    layers = tuple(tracer.layers())
    found = Model(module, spec, preprocess, layers, _answering(module, layers, result), tuple(silent))
    return looked_again(found, tracer.images, result, seed)


class _Tracer:
    def __init__(self, module: nn.Module, preprocess: Preprocess) -> None:
        self.module = module
        self.names = {name: m for name, m in module.named_modules() if name and PARAMETRIZATIONS not in name.split(".")}
        sample = next(module.parameters(), torch.zeros(()))
        rng = torch.Generator().manual_seed(0)
        precision = next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)
        shape = (BATCH, len(preprocess.mean), *preprocess.size)
        self.images = torch.rand(shape, generator=rng).to(sample.device, precision)
        self.calls: dict[str, int] = {}
        self.seen: dict[str, Layer] = {}
        self.grids: list[tuple[int, int]] = [preprocess.size]
        self.before: Layout | None = None
        self.tracker: FieldTracker | None = None
        self.places: PlaceTracker | None = None

    def run(self, reference: str, seed: int) -> Tensor:
        # A copy: a network may change what it is given.
        images = self.images.clone()
        self.tracker, self.places = FieldTracker(images), PlaceTracker(images)
        try:
            with (
                quiet(self.module),
                hooked(self.names, self.fired),
                torch.no_grad(),
                drawing(seed, images.device),
                self.tracker,
                self.places,
            ):
                output = self.module(images)
        except InterpError:  # from a head, which says what it could not read
            raise
        except Exception as error:
            reason = str(error).strip().split("\n")[0]
            shape = "x".join(map(str, images.shape))
            raise Unsupported(f"'{reference}' cannot be run on images of shape {shape}: {type(error).__name__}: {reason}") from error
        result = tensor_of(output)
        if result is None:
            there = listed(output)
            choose = f": choose one of its outputs with --output: {there}; or explain a number of it with --target" if there else ""
            raise Unsupported(f"'{reference}' returns {describe(output)}, not one tensor of class scores{choose}")
        if result.ndim < 2 or result.shape[0] != BATCH:
            explain = "" if result.shape[:1] != (BATCH,) else ": explain the one number of each with --target file.py:function"
            raise Unsupported(
                f"'{reference}' returns a tensor of shape {tuple(result.shape)} for {BATCH} images, not class scores (n, classes){explain}"
            )
        return result

    def fired(self, name: str, output: Any) -> None:
        self.calls[name] = self.calls.get(name, 0) + 1
        module = self.names[name]
        kind = _kind(module)
        tensor = tensor_of(output)
        layout, field, problem = None, None, ""
        shape: tuple[int, ...] = ()
        if tensor is None:
            problem = f"it returns {describe(output)}, not one tensor"
        elif tensor.ndim < 2 or tensor.shape[0] != BATCH:
            shape = tuple(tensor.shape)
            problem = f"its output {shape} does not keep the images apart"
        elif not tensor.is_floating_point():
            problem = f"its output is {tensor.dtype}"
        else:
            shape = tuple(tensor.shape[1:])
            # Class maps are (classes, rows, cols) by definition, whatever their sizes.
            known = isinstance(module, Output) and len(shape) == 3
            assert self.tracker is not None
            assert self.places is not None
            field = self.tracker.of(tensor)
            if field is None and torch.equal(tensor[0], tensor[1]):
                problem = f"its output {shape} does not depend on the picture"
            else:
                layout, problem = self._laid_out(kind, shape, Maps() if known else self.places.layout(tensor))
        self._remember(layout, shape)
        leaf = all(part == PARAMETRIZATIONS for part, _ in module.named_children())
        parameters = sum(p.numel() for p in module.parameters())
        # Moved to the end at each call: the order of the layers is that of their last firing.
        self.seen.pop(name, None)
        self.seen[name] = Layer(name, kind, shape, self.calls[name], layout, parameters, field, leaf, problem)

    def _laid_out(self, kind: str, shape: tuple[int, ...], told: Layout | str | None) -> tuple[Layout | None, str]:
        """What was followed to the output has the first word, its sizes the second."""
        if isinstance(told, str):
            return None, told
        layout = told or infer(kind, shape, self.grids, self.before)
        return layout, "" if layout is not None else f"its output {shape} is no map, token grid or vector"

    def _remember(self, layout: Layout | None, shape: tuple[int, ...]) -> None:
        if layout is None:
            return
        self.before = layout
        if isinstance(layout, Maps):
            self.grids.insert(0, (shape[1], shape[2]))
        elif isinstance(layout, ChannelsLast):
            self.grids.insert(0, (shape[0], shape[1]))

    def layers(self) -> list[Layer]:
        return list(self.seen.values())


def _kind(module: nn.Module) -> str:
    """The class of a module; of one with computed weights, the class that it had before torch made another for them."""
    return type(module).__mro__[is_parametrized(module)].__name__


def _answering(module: nn.Module, layers: tuple[Layer, ...], result: Tensor) -> str:
    """The layer whose units are the classes: the head that answered, or that of the network itself."""
    reading = reading_of(module)
    if reading is None:
        return _output_layer(layers, result)
    return reading.answered or _output_layer(tuple(layer for layer in layers if layer.name != reading.target), result)


def _output_layer(layers: tuple[Layer, ...], result: Tensor) -> str:
    """The layer whose units are the classes: the last leaf that fired with one channel per class and one place."""
    classes = result.shape[-1] if result.ndim == 2 else result.shape[1]
    for leaf_only in (True, False):
        for layer in reversed(layers):
            if layer.layout is not None and (layer.leaf or not leaf_only) and layer.map_shape == (classes, 1, 1):
                return layer.name
    raise Unsupported(
        f"no layer gives one value for each of the {classes} scores of the network's result, shape {tuple(result.shape)}: "
        "read the result itself, of maps the mean over all places, with --output 0"
    )
