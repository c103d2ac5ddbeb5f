"""Weights files: read without running anything that is in them, fitted to a module, hashed."""

from __future__ import annotations

import hashlib
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from interp.errors import BadFile, UnknownName, a, nearest
from interp.zoo import objects

TORCH_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".th", ".tar")
_MAIN = ("state_dict", "model_state_dict", "model")
_WRAPPERS = (*_MAIN, "state_dict_ema", "model_ema", "ema_state_dict", "module", "network", "net", "weights")
_PREFIXES = ("module.", "model.", "_orig_mod.")
_COUNTER = "num_batches_tracked"
# Places in a checkpoint: how many are named, and how deep they are looked for.
_LISTED, _DEEPEST = 8, 6
# Weights hardly shrink when they are packed; what shrinks a hundredfold is nothing but repetition.
_MOST_UNPACKED = 100
# What torch.optim.swa_utils.AveragedModel keeps beside the weights.
_BESIDE = ("n_averaged",)
# torchvision's DenseNet files were written before dots in module names were forbidden.
_DENSE = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)$")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The tensors of a weights file by name; the ``key`` they were found under, "" where at the top; the ``others`` that hold some too."""

    tensors: dict[str, Tensor]
    key: str = ""
    others: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """Which weights were taken, where there was a choice; "" where there was none."""
        return f"{self.key}, not {' or '.join(self.others)}" if self.others else ""


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a weights file, by name, on the CPU; see `checkpoint`."""
    return checkpoint(path).tensors


def checkpoint(path: Path, key: str | None = None) -> Checkpoint:
    """The tensors of a ``.safetensors`` or ``.pt`` / ``.pth`` / ``.bin`` / ``.ckpt`` file, by name, on the CPU.

    A checkpoint may hold them under ``state_dict``, ``model`` or ``model_state_dict``, and averaged ones beside them
    (``state_dict_ema``, ``model_ema``): the first there is of these, in this order, or what is called ``key`` (``teacher``,
    ``ema.model``). Objects beside the weights, as Lightning's hyperparameters, are left out. Nothing in the file is executed.
    Raises BadFile where it is missing, empty, truncated, no weights file, or holds pickled code; UnknownName where there is no
    such key.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    try:
        if path.stat().st_size == 0:
            raise BadFile(f"the weights file '{path}' is empty")
        if path.is_dir():
            raise BadFile(f"'{path}' is a folder, not a weights file{_sharded(path)}")
        with path.open("rb"):
            pass
    except (OSError, ValueError) as error:
        near = nearest(path.name, [p.name for p in path.parent.iterdir()]) if path.parent.is_dir() else ""
        reason = getattr(error, "strerror", None) or str(error)
        raise BadFile(f"cannot read the weights file '{path}': {reason.lower()}{'; ' + near if near else ''}") from None
    if suffix == ".safetensors":
        state = _read_safetensors(path)
        if key is not None:
            raise UnknownName(f"no '{key}' in '{path}': a safetensors file holds one set of weights, so leave --weights-key out")
        return Checkpoint(state)
    if suffix in TORCH_SUFFIXES:
        content = _read_torch(path)
        try:
            return _found(content, path, key)
        except (TypeError, AttributeError):  # a mapping whose methods the file has replaced by values
            raise BadFile(f"'{path}' is no complete weights file saved by torch: what it holds is no mapping of weights") from None
    raise BadFile(f"'{path}' is no weights file by its name: give .safetensors, or {', '.join(TORCH_SUFFIXES[:4])} saved by torch")


def _sharded(folder: Path) -> str:
    """What to do with a checkpoint that several processes wrote."""
    if not (folder / ".metadata").is_file():
        return ""
    return ", but a distributed checkpoint: make one file of it with torch.distributed.checkpoint.format_utils.dcp_to_torch_save"


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        state = load_file(path, device="cpu")
    except (SafetensorError, OSError, ValueError, KeyError, MemoryError) as error:
        raise BadFile(f"'{path}' is no complete safetensors file: {_first_line(error)}") from None
    if not state:
        raise BadFile(f"'{path}' holds no weights: it has no tensors")
    return dict(state)


def _read_torch(path: Path) -> Any:
    _refuse_bomb(path)
    try:
        return _loaded(path)
    except MemoryError:
        raise BadFile(f"the weights file '{path}' asks for more memory than there is") from None
    except Exception as error:  # whatever torch finds in a file that is none of its own
        text = str(error)
        if "TorchScript" in text:
            raise BadFile(f"'{path}' is a TorchScript archive, which is code: save `model.state_dict()` instead") from None
        if isinstance(error, pickle.UnpicklingError) and (code := _code_in(text, path)) is not None:
            content = objects.without(path)
            if content is not None:
                return content
            raise BadFile(
                f"'{path}' holds Python objects ({code}), not only weights; they were not loaded and nothing was run: "
                "save `model.state_dict()` instead"
            ) from None
        raise BadFile(f"'{path}' is no complete weights file saved by torch: truncated, or of another kind") from None


def _refuse_bomb(path: Path) -> None:
    """BadFile where the file is a zip of a few bytes that unpacks to very many: torch would give them the memory that they ask for."""
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(item.file_size for item in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return  # no zip, or one that torch will say is broken
    if unpacked > _MOST_UNPACKED * size:
        raise BadFile(
            f"the weights file '{path}' has {size} bytes, and unpacks to {unpacked}: torch saves weights unpacked, save them anew"
        )


def _loaded(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.load(path, map_location="cpu", weights_only=True)


def _code_in(text: str, path: Path) -> str | None:
    # Of what is built in, torch names the function alone.
    found = re.search(r"GLOBAL\s+([A-Za-z_][\w.]*)", text) or re.search(r"(?:global:?|class|type)\s+`?([A-Za-z_][\w.]*\.[\w.]+)", text)
    if found is not None:
        return found[1].rstrip(".")
    # Pickle's newer protocols, which torch does not write: not read as far as the names of what is in them.
    with path.open("rb") as file:
        return "a plain pickle" if "Unsupported" in text and file.read(1) == pickle.PROTO else None


def _found(content: Any, path: Path, key: str | None) -> Checkpoint:
    """Where the weights are in ``content``, as `checkpoint` says."""
    place = key or ""
    if key is not None:
        content = _at(content, key, path)
    others: tuple[str, ...] = ()
    while isinstance(content, Mapping):
        tensors = {str(k): v for k, v in content.items() if isinstance(v, Tensor)}
        inner = [w for w in _WRAPPERS if _holds_tensors(content.get(w))]
        if not inner or (tensors and inner[0] not in _MAIN):
            if not tensors:
                keys = ", ".join(repr(str(k)) for k in list(content)[:4]) or "none"
                choose = _sets(content, place)
                why = f"take {_listed(choose)} with --weights-key" if choose else f"none is a tensor or one of {', '.join(_MAIN)}"
                raise BadFile(f"'{path}' holds no weights{f' in {place!r} itself' if place else ''}: its keys are {keys}; {why}")
            _refuse_quantized(content, path)
            return Checkpoint(tensors, place, others)
        others = others or (() if key else tuple(inner[1:]))
        place = f"{place}.{inner[0]}" if place else inner[0]
        content = content[inner[0]]
    raise BadFile(f"'{path}' holds {a(content)}, not weights by name: save `model.state_dict()`")


def _at(content: Any, key: str, path: Path, place: str = "") -> Any:
    """What is called ``key`` in ``place`` of a checkpoint; dots lead into what it holds. Raises UnknownName with what there is."""
    first, _, rest = key.partition(".")
    inner = content if isinstance(content, Mapping) else {}
    if key in inner:
        return inner[key]
    if rest and isinstance(inner.get(first), Mapping):
        return _at(inner[first], rest, path, f"{place}{first}.")
    there = _sets(inner, place.rstrip("."))
    key = place + key
    hint = nearest(key, there) or (f"there are {_listed(there)}" if there else "it holds one set of weights, so leave --weights-key out")
    raise UnknownName(f"no '{key}' in '{path}': {hint}")


def _sets(content: Mapping[Any, Any], place: str = "", depth: int = 0) -> list[str]:
    """Where in ``content``, which is at ``place``, there are tensors by name, as --weights-key takes it; but for an optimizer's."""
    found = []
    for key, value in content.items() if depth <= _DEEPEST else ():
        if isinstance(value, Mapping) and not str(key).startswith("optim"):
            where = f"{place}.{key}" if place else str(key)
            found += [where] if _holds_tensors(value) else _sets(value, where, depth + 1)
    return found


def _listed(places: Sequence[str]) -> str:
    return " or ".join(places[:_LISTED]) + (f" or one of {len(places) - _LISTED} more" if len(places) > _LISTED else "")


def _holds_tensors(value: Any, depth: int = 0) -> bool:
    """Whether it is a mapping with tensors in it, or one that holds such a mapping under a name that weights go by."""
    if not isinstance(value, Mapping) or depth > _DEEPEST:
        return False
    return any(isinstance(v, Tensor) for v in value.values()) or any(_holds_tensors(value.get(w), depth + 1) for w in _WRAPPERS)


def _refuse_quantized(content: Mapping[Any, Any], path: Path) -> None:
    if any("_packed_params" in str(k) or (isinstance(v, Tensor) and v.is_quantized) for k, v in content.items()):
        raise BadFile(f"'{path}' holds quantized weights, which have no gradients: give those of the float network they were made from")


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def fitted(state: Mapping[str, Tensor], names: set[str]) -> dict[str, Tensor]:
    """``state`` with such prefixes left out as bring its names to ``names``: ``module.``, ``model.``, ``_orig_mod.``, any that all share.

    Lightning's is what the module that holds the network calls it.
    """
    given = best = {_DENSE.sub(r"\1\2", k): v for k, v in state.items() if k not in _BESIDE}
    while True:
        first = {k.partition(".")[0] + "." for k in best if "." in k}
        shared = tuple(first) if len(first) == 1 and all("." in k for k in best) else ()
        prefixes = dict.fromkeys((*_PREFIXES, *shared))
        tried = [{k.removeprefix(p): v for k, v in best.items()} for p in prefixes if any(k.startswith(p) for k in best)]
        tried = [t for t in tried if len(t) == len(best) and _hits(t, names) >= _hits(best, names)]
        if not tried or (_hits(best, names) and _hits(best, names) == max(_hits(t, names) for t in tried)):
            # Where nothing fits, a message has to name what stands in the file.
            return best if _hits(best, names) else given
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
        # What a Lightning module has beside its network, such as a loss with weights of its own.
        beside = "" if missing or shapes or kinds else "; the file holds more than the network: load it in net.py, without these"
        raise BadFile(f"the weights file '{path}' is not of this network ({type(module).__name__}): {'; '.join(parts)}{beside}")
    for key in common:
        own[key].copy_(given[key])


def refuse_unfinite(module: nn.Module, name: str) -> None:
    """Raise BadFile that names the first parameter of ``module`` with NaN or infinite values, or buffer with NaN.

    Buffers may be infinite: masks are.
    """
    parameters = ((key, value, torch.isfinite) for key, value in module.named_parameters())
    buffers = ((key, value, lambda values: ~torch.isnan(values)) for key, value in module.named_buffers())
    for key, value, fine in (*parameters, *buffers):
        if not (value.is_floating_point() and value.layout is torch.strided) or value.is_quantized:
            continue
        bad = int((~fine(value.detach())).sum())
        if bad:
            what = "NaN" if bool(torch.isnan(value).any()) else "infinite values"
            raise BadFile(f"the weights '{key}' of '{name}' hold {what} ({bad} of {value.numel()} numbers): its training has diverged")


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
