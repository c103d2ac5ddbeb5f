"""``Model``: a network, ready to be looked at: its layers are those that a traced forward saw firing."""

from __future__ import annotations

import fnmatch
import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor, nn

from interp.core.answers import Answer
from interp.core.capture import describe, module_of, quiet, record, tensor_of
from interp.core.layout import ChannelsLast, Layout, Maps, Tokens
from interp.core.own_draws import drawing
from interp.core.receptive import ReceptiveField
from interp.core.unit import AnyUnit, Unit, UnitPattern, is_glob
from interp.errors import InterpError, UnknownName, Unsupported, a, nearest
from interp.images import Preprocess
from interp.runs.entries import InputEntry

# How far outside [0, 1] an image may go, as noise and interpolation do, before it is taken for a mistake.
_LEEWAY = 0.5

# Of a pattern: far longer ones take minutes to be read, in the time of the square of their brackets.
_LONGEST = 1000

AS_GIVEN = "as given"
"""The weights of a module that was given in Python, of which no command knows."""

Strengths = Callable[[Sequence[str]], Mapping[str, Sequence[float]]]
"""From names of layers to the strength of each of their channels."""


@dataclass(frozen=True)
class Layer:
    """A module that fired: its name, class name, output shape without the batch, number of calls, and layout.

    ``problem`` says in words why its output cannot be shown as maps, where it cannot.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    calls: int
    layout: Layout | None
    parameters: int = 0
    field: ReceptiveField | None = None
    leaf: bool = True
    problem: str = ""

    def __repr__(self) -> str:
        """``Layer('conv1', Conv2d, 64 x 112 x 112, maps)``."""
        shape = " x ".join(map(str, self.shape)) or "no shape"
        times = f", {self.calls} calls" if self.calls != 1 else ""
        return f"Layer('{self.name}', {self.kind}, {shape}, {self.layout or 'no maps'}{times})"

    @property
    def channels(self) -> int:
        """Number of units that can be named as ``layer:channel``; raises Unsupported where the layer has no maps."""
        return self.map_shape[0]

    @property
    def map_shape(self) -> tuple[int, int, int]:
        """(channels, rows, cols) of the layer's maps; raises Unsupported where it has none."""
        if isinstance(self.layout, Maps):
            return (self.shape[0], self.shape[1], self.shape[2])
        if isinstance(self.layout, ChannelsLast):
            return (self.shape[2], self.shape[0], self.shape[1])
        if isinstance(self.layout, Tokens):
            return (self.shape[1], *self.layout.grid)
        if self.layout is not None:
            return (self.shape[0], 1, 1)
        raise Unsupported(f"layer '{self.name}' ({self.kind}) has no maps: {self.problem or 'its output has no places'}")

    @property
    def label(self) -> str:
        return self.name if self.calls == 1 else f"{self.name} (call {self.calls} of {self.calls})"


@dataclass(frozen=True)
class ModelSpec:
    """Where a model came from: enough to load it again, and to tell whether it is the same.

    ``reference`` and ``weights`` stand in titles and captions, so they hold no absolute path. ``files`` are the user's own that
    were read for it: weights, code, and pictures to normalize by, with their hashes. ``notes`` are what the user chose other than
    the network's makers, each with a name: how images become its input, what of its output is read.
    """

    reference: str
    weights: str = ""
    sha256: str = ""
    classes: tuple[str, ...] = ()
    files: tuple[InputEntry, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, eq=False)
class Model:
    """A network whose input is (N, C, H, W) in [0, 1], RGB, grey or other bands; normalization happens inside, once.

    ``layers`` are in the order in which they fire; ``output`` is the name of the layer whose units are the classes. ``memory``: bytes
    that the images of a batch may take while they go through it, None for no limit (`interp.core.memory`). ``answer``: what the numbers
    are that it returns. ``draws``: the seed of the random numbers that the network draws itself in a forward, None where it draws none.
    """

    module: nn.Module
    spec: ModelSpec
    preprocess: Preprocess
    layers: tuple[Layer, ...]
    output: str
    silent: tuple[str, ...] = field(default=(), repr=False)
    memory: int | None = field(default=None, repr=False)
    answer: Answer = field(default=Answer.LOGITS, repr=False)
    draws: int | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        """``Model('resnet18', IMAGENET1K_V1, input 3 x 224 x 224, 68 layers, output 'fc' of 1000, 11,689,512 parameters, cpu)``."""
        shape = " x ".join(map(str, (len(self.preprocess.mean), *self.preprocess.size)))
        parts = [f"'{self.spec.reference}'", self.spec.weights or "unknown weights", f"input {shape}", f"{len(self.layers)} layers"]
        parts += [f"output '{self.output}' of {self.classes}", f"{sum(p.numel() for p in self.module.parameters()):,} parameters"]
        return f"Model({', '.join([*parts, str(self.device)])})"

    @cached_property
    def _by_name(self) -> dict[str, Layer]:
        return {layer.name: layer for layer in self.layers}

    @property
    def device(self) -> torch.device:
        tensor = next((t for ts in (self.module.parameters(), self.module.buffers()) for t in ts), None)
        return torch.device("cpu") if tensor is None else tensor.device

    def checked(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """``images`` as an input of this model: detached, on its device, in its precision.

        Raises InterpError where they are not (N, C, H, W) floats, none at all, not finite, or so far outside
        [0, 1] that they must have been normalized already or be 0 to 255. Noise around [0, 1] passes, and so
        does any range where this model normalizes nothing (mean 0, std 1).
        """
        channels = len(self.preprocess.mean)
        if not isinstance(images, Tensor) or images.ndim != 4 or images.shape[1] != channels:
            given = f"a tensor of shape {tuple(images.shape)}" if isinstance(images, Tensor) else f"a {type(images).__name__}"
            raise InterpError(f"`images` is {given}: give a tensor (n, {channels}, rows, cols)")
        if not images.is_floating_point():
            raise InterpError(f"`images` is {images.dtype}: give floats in [0, 1], for instance divided by 255")
        if len(images) == 0:
            raise InterpError("`images` holds no image: give at least one")
        images = images.detach()
        low, high = float(images.min()), float(images.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise InterpError("`images` holds NaN or infinite values: give floats in [0, 1]")
        normalizes = any(self.preprocess.mean) or any(s != 1 for s in self.preprocess.std)
        if normalizes and not (low >= -_LEEWAY and high <= 1 + _LEEWAY):
            kind = " RGB" if channels == 3 else ""
            raise InterpError(f"`images` run from {low:.3g} to {high:.3g}: give [0, 1]{kind}, as the model normalizes inside")
        precision = next((p.dtype for p in self.module.parameters() if p.is_floating_point()), torch.float32)
        return images.to(self.device, precision)

    def normalized(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """[0, 1] RGB to what the module expects."""
        mean = torch.tensor(self.preprocess.mean, device=images.device, dtype=images.dtype).view(1, -1, 1, 1)
        std = torch.tensor(self.preprocess.std, device=images.device, dtype=images.dtype).view(1, -1, 1, 1)
        return (images - mean) / std

    def __call__(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """Logits (N, classes) of [0, 1] RGB images, in eval mode with frozen parameters; differentiable in the images."""
        with quiet(self.module):
            return self.forward(images)

    def forward(self, images: Float[Tensor, "n c h w"]) -> Tensor:
        """As ``__call__``, in whatever mode the module is in: for use inside ``quiet``."""
        given = self.normalized(images.to(self.device))
        precision = next((p.dtype for p in self.module.parameters() if p.dtype.is_floating_point), given.dtype)
        if precision.itemsize < given.dtype.itemsize:  # a network in half precision takes no float32
            given = given.to(precision)
        try:
            with nullcontext() if self.draws is None else drawing(self.draws, given.device):
                result = self.module(given)
        except (RuntimeError, AssertionError, ValueError) as error:
            if "numpy() on Tensor that requires grad" in str(error):
                raise Unsupported(
                    f"the score of '{self.spec.reference}' does not depend differentiably on the picture: its forward computes with numpy"
                ) from error
            size = tuple(images.shape[-2:])
            if size == self.preprocess.size:
                raise
            reason = str(error).strip().split("\n")[0]
            raise Unsupported(
                f"'{self.spec.reference}' cannot be run on images of {size} px (rows, cols): {reason}; "
                f"give images of {self.preprocess.size} px"
            ) from error
        if not isinstance(result, Tensor):
            tensor = tensor_of(result)
            if tensor is None:
                raise Unsupported(f"the model '{self.spec.reference}' returns {describe(result)}, not one tensor of class scores")
            result = tensor
        return result[:, :, 0, 0] if result.ndim == 4 and result.shape[2:] == (1, 1) else result

    def layer(self, name: str) -> Layer:
        """The layer of that name; raises UnknownName naming the nearest, or why it never fires."""
        found = self._by_name.get(name)
        if found is not None:
            return found
        if name in self.silent:
            raise UnknownName(
                f"layer '{name}' of '{self.spec.reference}' exists but never fires in an evaluation forward: "
                f"{self._listed} lists those that do"
            )
        hint = nearest(name, self._by_name) or f"{self._listed} lists them"
        raise UnknownName(f"no layer '{name}' in '{self.spec.reference}': {hint}")

    @property
    def _listed(self) -> str:
        """What lists the layers."""
        return "`model.layers`" if self.spec.weights == AS_GIVEN else f"`interp layers {self.spec.reference}`"

    def select(self, patterns: str | Iterable[str]) -> list[Layer]:
        """Layers by name or glob (``layer[1-4].*.conv2``), in firing order; each pattern must match at least one."""
        patterns = [patterns] if isinstance(patterns, str) else list(patterns)
        chosen: set[str] = set()
        for pattern in patterns:
            if not is_glob(pattern):
                chosen.add(self.layer(pattern).name)
                continue
            if len(pattern) > _LONGEST:
                raise InterpError(
                    f"'{pattern[:60]}...' is a pattern of {len(pattern)} characters: give at most {_LONGEST}, or several patterns"
                )
            matching = fnmatch.filter(self._by_name, pattern)
            if not matching:
                self.layer(pattern)
            chosen.update(matching)
        return [layer for layer in self.layers if layer.name in chosen]

    def unit(self, unit: AnyUnit) -> Unit:
        """``unit``, checked: its layer fires, its channel and place exist. Raises InterpError otherwise.

        A number is that of a class; a text is read as `class_unit` does.
        """
        if not isinstance(unit, Unit):
            return self.class_unit(unit if isinstance(unit, str) else _number(unit))
        layer = self.layer(unit.layer)
        channels, rows, cols = layer.map_shape
        if not 0 <= unit.channel < channels:
            raise UnknownName(f"no unit '{unit}': layer '{layer.name}' has {channels} channels, 0 to {channels - 1}")
        if unit.at is not None and not (0 <= unit.at[0] < rows and 0 <= unit.at[1] < cols):
            raise UnknownName(
                f"no unit '{unit}': the maps of '{layer.name}' have {rows} rows and {cols} columns, "
                f"so row,col goes up to {rows - 1},{cols - 1}"
            )
        return unit

    def units(self, texts: str | Iterable[str], strengths: Strengths | None = None) -> list[Unit]:
        """Units from ``layer:channel``, ``layer:0-15``, ``glob:*`` or ``layer:top8``; each checked, each once.

        ``strengths`` says how strong the channels of some layers are, by which ``top8`` picks; raises InterpError where
        it is needed and not given. Layers without maps that a glob covers are left out (`unmapped` names them); one
        that is named is refused.
        """
        patterns = [UnitPattern.parse(text) for text in ([texts] if isinstance(texts, str) else texts)]
        layers = [self._mapped(pattern) for pattern in patterns]
        ranked: Mapping[str, Sequence[float]] = {}
        wanted = dict.fromkeys(layer.name for p, found in zip(patterns, layers, strict=True) if p.top is not None for layer in found)
        if wanted:
            if strengths is None:
                pattern = next(p for p in patterns if p.top is not None)
                raise InterpError(f"'{pattern.layer}:top{pattern.top}' needs images that say which channels are strongest: name channels")
            ranked = strengths(list(wanted))
        found: dict[Unit, None] = {}
        for pattern, matching in zip(patterns, layers, strict=True):
            for layer in matching:
                channels = pattern.channels_of(layer.channels) if pattern.top is None else pattern.strongest(ranked[layer.name])
                found.update({self.unit(Unit(layer.name, channel, pattern.at)): None for channel in channels})
        return list(found)

    def unmapped(self, texts: str | Iterable[str]) -> list[Layer]:
        """The layers that globs among the unit patterns cover and `units` leaves out, as their output has no maps."""
        patterns = [UnitPattern.parse(text) for text in ([texts] if isinstance(texts, str) else texts)]
        layers = {layer.name: layer for p in patterns if p.glob for layer in self.select(p.layer) if layer.layout is None}
        return list(layers.values())

    def _mapped(self, pattern: UnitPattern) -> list[Layer]:
        layers = self.select(pattern.layer)
        mapped = [layer for layer in layers if layer.layout is not None] if pattern.glob else layers
        if not mapped:
            first = layers[0]
            raise Unsupported(f"none of the {len(layers)} layers that '{pattern.layer}' matches has maps: '{first.name}': {first.problem}")
        return mapped

    @property
    def classes(self) -> int:
        return self.layer(self.output).channels

    def class_name(self, index: int) -> str:
        if index < len(self.spec.classes):
            return self.spec.classes[index]
        return f"{'number' if self.answer is Answer.NUMBERS else 'class'} {index}"

    @property
    def has_probabilities(self) -> bool:
        """Whether what it returns are scores of two classes or more, or probabilities already; not so the means of class maps."""
        return self.answer is not Answer.NUMBERS and self.classes > 1 and self.layer(self.output).map_shape[1:] == (1, 1)

    def probabilities(self, rows: Float[Tensor, "n classes"]) -> Float[Tensor, "n classes"]:
        """Of what the model returned for n images; raises Unsupported where that are numbers of something other than classes."""
        if self.answer is Answer.NUMBERS:
            raise Unsupported(
                f"what '{self.spec.reference}' returns is taken for numbers, not scores of classes, so there are no probabilities: "
                "use its score, or name its `classes`"
            )
        return self.answer.probabilities(rows)

    def class_unit(self, target: int | str) -> Unit:
        """The unit of a class, by index, name, or unit string; raises UnknownName with the nearest names."""
        text = str(target).strip()
        if ":" in text and text not in self.spec.classes:
            return self.unit(Unit.parse(text))
        # Nine digits at most: Python refuses to read thousands of them, and no network has so many classes.
        if text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 10:
            index = int(text)
            if not 0 <= index < self.classes:
                raise UnknownName(f"no class {index}: '{self.spec.reference}' has {self.classes} classes, 0 to {self.classes - 1}")
            return Unit(self.output, index)
        same = [i for i, name in enumerate(self.spec.classes) if name.lower() == text.lower()]
        if len(same) == 1:
            return Unit(self.output, same[0])
        if same:
            raise InterpError(f"'{text}' names {len(same)} classes: give one of the numbers {', '.join(map(str, same))}")
        hint = nearest(text, self.spec.classes) or f"give a number from 0 to {self.classes - 1}"
        raise UnknownName(f"no class '{text}' in '{self.spec.reference}': {hint}")

    def capture(
        self, layers: Sequence[str], images: Float[Tensor, "n c h w"], *, truncate: bool = False, gradients: bool = False
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        """Raw outputs of ``layers`` for [0, 1] images in one forward, and the logits (None with ``truncate``). See `capture.record`.

        ``input_of(layer)`` in place of a layer stands for what goes into it.
        """
        calls = {key: self.layer(module_of(key)).calls for key in layers}
        return record(self.module, lambda: self.forward(images), calls, truncate=truncate, gradients=gradients)

    def maps(self, name: str, output: Tensor) -> Float[Tensor, "n c h w"]:
        """A layer's raw output as maps (N, C, H, W); raises Unsupported where it has none."""
        layer = self.layer(name)
        if layer.layout is None:
            raise Unsupported(f"layer '{name}' ({layer.kind}) has no maps: {layer.problem}")
        layout = layer.layout
        if isinstance(layout, Tokens) and layout.prefix + layout.grid[0] * layout.grid[1] != output.shape[1]:
            places = output.shape[1] - layout.prefix
            side = math.isqrt(max(places, 0))
            if side * side != places:
                raise Unsupported(f"layer '{name}' gives {output.shape[1]} tokens at this image size, which form no square grid")
            layout = Tokens(layout.prefix, (side, side))
        return layout.maps(output)


def _number(given: object) -> int:
    """A whole number of any kind, NumPy's and torch's too."""
    try:
        return operator.index(given)  # type: ignore[arg-type]
    except TypeError:
        raise InterpError(f"{a(given)} is no unit: give a Unit, 'layer:channel', or a class by its number or name") from None
