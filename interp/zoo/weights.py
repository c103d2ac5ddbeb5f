"""Weights files: read without running anything that is in them, fitted to a module, hashed."""

from __future__ import annotations

import hashlib
import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from interp.errors import BadFile, nearest

TORCH_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".th", ".tar")
_WRAPPERS = ("state_dict", "model_state_dict", "model")
_PREFIXES = ("module.", "model.", "_orig_mod.")
_COUNTER = "num_batches_tracked"
# What torch.optim.swa_utils.AveragedModel keeps beside the weights.
_BESIDE = ("n_averaged",)
# torchvision's DenseNet files were written before dots in module names were forbidden.
_DENSE = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)$")


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` or ``.pt`` / ``.pth`` / ``.bin`` / ``.ckpt`` file, by name, on the CPU.

    A checkpoint may hold them under ``state_dict``, ``model`` or ``model_state_dict``. Nothing in the file is
    executed. Raises BadFile where it is missing, empty, truncated, no weights file, or holds pickled code.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    try:
        if path.stat().st_size == 0:
            raise BadFile(f"the weights file '{path}' is empty")
        if path.is_dir():
            raise BadFile(f"'{path}' is a folder, not a weights file")
        with path.open("rb"):
            pass
    except (OSError, ValueError) as error:
        near = nearest(path.name, [p.name for p in path.parent.iterdir()]) if path.parent.is_dir() else ""
        reason = getattr(error, "strerror", None) or str(error)
        raise BadFile(f"cannot read the weights file '{path}': {reason.lower()}{'; ' + near if near else ''}") from None
    if suffix == ".safetensors":
        return _read_safetensors(path)
    if suffix in TORCH_SUFFIXES:
        return _tensors(_read_torch(path), path)
    raise BadFile(f"'{path}' is no weights file by its name: give .safetensors, or {', '.join(TORCH_SUFFIXES[:4])} saved by torch")


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        state = load_file(path, device="cpu")
    except (SafetensorError, OSError, ValueError, KeyError, MemoryError) as error:
        raise BadFile(f"'{path}' is no complete safetensors file: {_first_line(error)}") from None
    if not state:
        raise BadFile(f"'{path}' holds no weights: it has no tensors")
    return dict(state)


def _read_torch(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise BadFile(f"the weights file '{path}' asks for more memory than there is") from None
    except Exception as error:  # whatever torch finds in a file that is none of its own
        text = str(error)
        if "TorchScript" in text:
            raise BadFile(f"'{path}' is a TorchScript archive, which is code: save `model.state_dict()` instead") from None
        if isinstance(error, pickle.UnpicklingError) and (code := _code_in(text, path)) is not None:
            raise BadFile(
                f"'{path}' holds Python objects ({code}), not only weights; they were not loaded and nothing was run: "
                "save `model.state_dict()` instead"
            ) from None
        raise BadFile(f"'{path}' is no complete weights file saved by torch: truncated, or of another kind") from None


def _code_in(text: str, path: Path) -> str | None:
    found = re.search(r"(?:GLOBAL|global:?|class|type)\s+`?([A-Za-z_][\w.]*\.[\w.]+)", text)
    if found is not None:
        return found[1].rstrip(".")
    # Pickle's newer protocols, which torch does not write: not read as far as the names of what is in them.
    with path.open("rb") as file:
        return "a plain pickle" if "Unsupported" in text and file.read(1) == pickle.PROTO else None


def _tensors(content: Any, path: Path) -> dict[str, Tensor]:
    while isinstance(content, Mapping):
        tensors = {str(k): v for k, v in content.items() if isinstance(v, Tensor)}
        inner = next((content[w] for w in _WRAPPERS if isinstance(content.get(w), Mapping)), None)
        if inner is None:
            if tensors:
                return tensors
            keys = ", ".join(repr(str(k)) for k in list(content)[:4]) or "none"
            raise BadFile(f"'{path}' holds no weights: its keys are {keys}; none is a tensor or one of {', '.join(_WRAPPERS)}")
        content = inner
    raise BadFile(f"'{path}' holds a {type(content).__name__}, not weights by name: save `model.state_dict()`")


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def fitted(state: Mapping[str, Tensor], names: set[str]) -> dict[str, Tensor]:
    """``state`` with such prefixes (``module.``, ``model.``, ``_orig_mod.``) left out as bring its names to ``names``."""
    best = {_DENSE.sub(r"\1\2", k): v for k, v in state.items() if k not in _BESIDE}
    while True:
        tried = [{k.removeprefix(p): v for k, v in best.items()} for p in _PREFIXES if any(k.startswith(p) for k in best)]
        tried = [t for t in tried if len(t) == len(best) and _hits(t, names) >= _hits(best, names)]
        if not tried or (_hits(best, names) and _hits(best, names) == max(_hits(t, names) for t in tried)):
            return best
        best = max(tried, key=lambda t: _hits(t, names))


def _hits(state: Mapping[str, Tensor], names: set[str]) -> int:
    return sum(k in names for k in state)


def other_classes(module: nn.Module, state: Mapping[str, Tensor]) -> int | None:
    """The number of classes of ``state`` where that is all in which it differs from ``module``; None otherwise."""
    own = module.state_dict()
    given = fitted(state, set(own))
    differing = [(tuple(own[k].shape), tuple(v.shape)) for k, v in given.items() if k in own and own[k].shape != v.shape]
    if not differing or any(a[1:] != b[1:] or not a or not b for a, b in differing):
        return None
    before, after = {a[0] for a, _ in differing}, {b[0] for _, b in differing}
    return next(iter(after)) if len(before) == len(after) == 1 else None


@torch.no_grad()
def apply(module: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Put ``state`` (from ``path``, for the message) into ``module``, cast to the module's own number types.

    All or nothing: raises BadFile that names the first missing and unexpected keys and the shapes that differ,
    and then leaves the module as it was. BatchNorm's ``num_batches_tracked`` may be missing or superfluous.
    """
    own = {k: v for k, v in module.state_dict().items() if isinstance(v, Tensor)}
    given = fitted(state, set(own))
    missing = [k for k in own if k not in given and not k.endswith(_COUNTER)]
    unexpected = [k for k in given if k not in own and not k.endswith(_COUNTER)]
    common = [k for k in own if k in given]
    differ = [k for k in common if given[k].shape != own[k].shape]
    shapes = [f"{k} is {_shape(given[k])} in the file and {_shape(own[k])} in the network" for k in differ]
    kinds = [f"{k} is {given[k].dtype}" for k in common if own[k].is_floating_point() and not given[k].is_floating_point()]
    parts = []
    for problems, word in ((missing, "missing"), (unexpected, "unexpected"), (shapes, "of another shape"), (kinds, "of another kind")):
        if problems:
            parts.append(f"{len(problems)} {word} ({', '.join(problems[:3])}{', ...' if len(problems) > 3 else ''})")
    if parts:
        raise BadFile(f"the weights file '{path}' is not of this network ({type(module).__name__}): {'; '.join(parts)}")
    for key in common:
        own[key].copy_(given[key])


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a single number"


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def state_sha256(module: nn.Module) -> str:
    """SHA-256 over the names (sorted), number types, shapes and bytes of a module's state dict, wherever it lies."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        if isinstance(tensor, Tensor):
            digest.update(f"{name}\x1f{tensor.dtype}\x1f{tuple(tensor.shape)}\x1e".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
