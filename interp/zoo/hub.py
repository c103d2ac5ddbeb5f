"""Networks by name from torchvision and timm: architecture, weights, preprocessing and class names as their makers give them."""

from __future__ import annotations

import http.client
import io
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision import models

from interp.core import rng
from interp.errors import BadFile, InterpError, Unsupported
from interp.images import Preprocess
from interp.runs.entries import InputEntry
from interp.zoo import weights as files
from interp.zoo.reference import Timm, Torchvision, segmenters, timm_package

_MODELS: Any = models  # whose API is not typed
# Seconds without an answer after which a server counts as unreachable.
PATIENCE = 10.0
_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.", "aux_classifier.")


@dataclass(frozen=True)
class Random:
    """No trained weights: the architecture's own initialization, drawn from ``seed``."""

    seed: int

    def __str__(self) -> str:
        return f"random (seed {self.seed})"


@dataclass(frozen=True)
class WeightsFile:
    """A weights file, and which weights in it where it holds several."""

    path: Path
    key: str | None = None

    def __str__(self) -> str:
        return str(self.path)

    def read(self) -> files.Checkpoint:
        """Raises as `weights.checkpoint` does."""
        return files.checkpoint(self.path, self.key)

    def said(self, found: files.Checkpoint) -> str:
        """The file for a manifest, with which of its weights were taken where there was a choice."""
        which = found.said or self.key
        return f"{self.path} ({which})" if which else str(self.path)


@dataclass(frozen=True, eq=False)
class Source:
    """A network and what its makers say about it. ``classes`` may be of another number than its outputs.

    ``code`` are the user's files that it was built by.
    """

    module: nn.Module
    preprocess: Preprocess
    classes: tuple[str, ...]
    weights: str
    code: tuple[InputEntry, ...] = ()


@contextmanager
def seeded(seed: int, *names: object) -> Iterator[None]:
    """torch's own initializations inside depend on ``seed`` and ``names`` alone; the global generator is as before outside."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(rng.generator(seed, "weights", *names).initial_seed())
        yield


def from_torchvision(reference: Torchvision, weights: WeightsFile | Random | None) -> Source:
    """The torchvision network; ``weights`` None downloads its own, once, into torch's cache.

    Raises InterpError where they cannot be downloaded, BadFile where a file does not fit.
    """
    entry = _MODELS.get_model_weights(reference.name)[reference.weights or "DEFAULT"]

    def build(classes: int | None) -> nn.Module:
        with seeded(weights.seed if isinstance(weights, Random) else 0, reference.name):
            return _torchvision_network(reference.name, entry, classes)

    if weights is None:
        state = _downloaded(reference, entry)
        module = _filled(build, state, Path(entry.url.rpartition("/")[2]))
        origin = str(entry.name)
    else:
        module, origin = _given(build, weights)
    return Source(module, preset(entry.transforms()), tuple(entry.meta.get("categories") or ()), origin)


def _given(build: Callable[[int | None], nn.Module], weights: WeightsFile | Random) -> tuple[nn.Module, str]:
    """The network with random weights, or those of a file; and where they are from, in words."""
    if isinstance(weights, Random):
        return build(None), str(weights)
    found = weights.read()
    return _filled(build, found.tensors, weights.path), weights.said(found)


def _torchvision_network(name: str, entry: Any, classes: int | None) -> nn.Module:
    options: dict[str, Any] = {} if classes is None else {"num_classes": classes}
    if name in ("googlenet", "inception_v3"):
        # As torchvision builds them for its own weights; the auxiliary heads serve training only and never fire in eval.
        options |= {"transform_input": True, "aux_logits": False, "init_weights": False}
    if name in segmenters():
        # Its own weights hold those of the backbone too; the auxiliary head serves training only.
        options["weights_backbone"] = None
    if name.startswith("vit_"):
        options["image_size"] = entry.meta["min_size"][0]
    module: nn.Module = _MODELS.get_model(name, weights=None, **options)
    return module


def preset(transforms: Any) -> Preprocess:
    """torchvision's ``ImageClassification`` preset as a `Preprocess`; of ``SemanticSegmentation``, which crops nothing, the square."""
    crop = getattr(transforms, "crop_size", transforms.resize_size)
    return Preprocess(
        size=(crop[0], crop[-1]),
        resize=transforms.resize_size[0],
        mean=tuple(transforms.mean),
        std=tuple(transforms.std),
        interpolation=transforms.interpolation.value,
    )


def _filled(build: Callable[[int | None], nn.Module], state: Mapping[str, Tensor], path: Path) -> nn.Module:
    """The network with ``state`` in it; where that has another number of classes, so has the network."""
    module = build(None)
    own = module.state_dict()
    state = {k: v for k, v in files.fitted(state, set(own)).items() if k in own or not k.startswith(_AUXILIARY)}
    classes = files.other_classes(module, state)
    if classes is not None:
        module = build(classes)
    files.apply(module, state, path)
    return module


def _no_download(reference: Torchvision | Timm, error: BaseException) -> InterpError:
    reason = getattr(error, "reason", None) or error
    text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return InterpError(
        f"the weights of '{reference}' could not be downloaded ({text.strip().splitlines()[0]}): "
        "give a file with `--weights FILE`, or take `--random-weights`"
    )


@contextmanager
def _patient() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            yield
    finally:
        socket.setdefaulttimeout(before)


def _downloaded(reference: Torchvision, entry: Any) -> dict[str, Tensor]:
    """The weights from torch's cache, or else its server; torch writes to a temporary file and renames it when complete."""
    cached = Path(torch.hub.get_dir()) / "checkpoints" / entry.url.rpartition("/")[2]
    there = cached.exists()
    try:
        with _patient():
            state: dict[str, Tensor] = entry.get_state_dict(progress=False, check_hash=True, weights_only=True, map_location="cpu")
            return state
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise _no_download(reference, error) from error
    except Exception as error:
        if there:
            raise BadFile(f"the cached weights '{cached}' are damaged: delete the file, so that it is downloaded again") from error
        raise _no_download(reference, error) from error


def from_timm(reference: Timm, weights: WeightsFile | Random | None) -> Source:
    """The timm network; ``weights`` None takes its pretrained ones. Raises as `from_torchvision` does."""
    timm = timm_package()
    config = timm.get_pretrained_cfg(reference.name)
    if config is not None and config.num_classes == 0:
        raise Unsupported(f"'{reference}' gives features and has no classes, and interp looks into image classifiers")

    def build(classes: int | None) -> nn.Module:
        options = {} if classes is None else {"num_classes": classes}
        with seeded(weights.seed if isinstance(weights, Random) else 0, reference):
            module: nn.Module = timm.create_model(reference.name, pretrained=False, **options)
            return module

    if weights is None:
        module, origin = _timm_pretrained(timm, reference, config), str(config.tag or "pretrained")
    else:
        module, origin = _given(build, weights)
    return Source(module, _timm_preprocess(timm, module), _timm_classes(timm, module), origin)


def _timm_pretrained(timm: Any, reference: Timm, config: Any) -> nn.Module:
    if config is None or not config.has_weights:
        raise InterpError(f"timm has no weights for '{reference}': give a file with `--weights FILE`, or take `--random-weights`")
    overlay: dict[str, Any] = {}
    if config.hf_hub_id:
        import huggingface_hub as hub

        found = [hub.try_to_load_from_cache(config.hf_hub_id, name) for name in ("model.safetensors", "pytorch_model.bin")]
        cached = next((f for f in found if isinstance(f, str)), None)
        if cached is not None:
            overlay = {"file": cached, "source": "file"}
        else:
            _ask(reference, hub.constants.ENDPOINT)
    try:
        with _patient():
            module: nn.Module = timm.create_model(reference.name, pretrained=True, pretrained_cfg_overlay=overlay or None)
            return module
    except Exception as error:
        raise _no_download(reference, error) from error


def _ask(reference: Timm, url: str) -> None:
    """One quick question to the server: Hugging Face's own client would try for most of a minute."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=PATIENCE):
            pass
    except urllib.error.HTTPError as error:
        error.close()  # an answer all the same
    except (OSError, http.client.HTTPException) as error:
        raise _no_download(reference, error) from error


def _timm_preprocess(timm: Any, module: nn.Module) -> Preprocess:
    config = timm.data.resolve_model_data_config(module)
    _, rows, cols = config["input_size"]
    known = ("bilinear", "bicubic", "nearest", "lanczos", "hamming", "box")
    return Preprocess(
        size=(rows, cols),
        resize=int(min(rows, cols) / config["crop_pct"]),
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        interpolation=config["interpolation"] if config["interpolation"] in known else "bilinear",
    )


def _timm_classes(timm: Any, module: Any) -> tuple[str, ...]:
    if module.num_classes == 1000:
        return tuple(_MODELS.ResNet50_Weights.DEFAULT.meta["categories"])
    subset = timm.data.infer_imagenet_subset(module)
    if subset is None:
        return ()
    info = timm.data.ImageNetInfo(subset)
    return tuple(info.index_to_description(i) for i in range(info.num_classes()))
