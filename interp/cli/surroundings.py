"""What interp finds around it, for ``interp doctor``: versions, devices, folders, weights. Nothing that names a person or a host."""

from __future__ import annotations

import contextlib
import getpass
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePath
from typing import Any

# Beside those that decide results: what a page, a table or a file is made with.
_MORE = ("tyro", "rich", "jinja2", "pyarrow", "jaxtyping")
# So many files of weights are named; of others only the number is told.
_MOST = 12


@dataclass(frozen=True)
class Section:
    """A title and rows of (name, value)."""

    title: str
    rows: tuple[tuple[str, str], ...]


def surroundings() -> Iterator[Section]:
    """The sections in order; where one cannot be told, its row says why."""
    parts: dict[str, Callable[[], list[tuple[str, str]]]] = {
        "interp": _interp,
        "packages": _packages,
        "devices": _devices,
        "folders": _folders,
        "weights on this machine": _weights,
    }
    for title, rows in parts.items():
        try:
            found = rows()
        except Exception as error:
            found = [("not told", f"{type(error).__name__}: {error}")]
        yield Section(title, tuple((name, private(value)) for name, value in found))


def private(text: str) -> str:
    """``text`` in one line, with the home folder as ``~`` and no name of the user or the host."""
    text = " ".join(text.split())
    with contextlib.suppress(RuntimeError):
        home = str(Path.home())
        if len(PurePath(home).parts) > 1:
            text = re.sub(re.escape(home) + r"(?![\w.-])", "~", text)
    hidden = {"HOST": platform.node()}
    with contextlib.suppress(Exception):  # no such user, where a container runs under a bare number
        hidden["USER"] = getpass.getuser()
    for word, name in hidden.items():
        # Only as a part of a path: a user may be called "cpu".
        if name:
            text = re.sub(r"(?<=[\\/])" + re.escape(name) + r"(?=[\\/\s]|$)", word, text)
    return text


def _interp() -> list[tuple[str, str]]:
    from interp import __version__
    from interp.runs.machine import system_name
    from interp.runs.origin import source_commit

    commit = source_commit()
    source = "installed, no checkout" if commit is None else f"commit {commit.hash[:12]}{', changed since' if commit.dirty else ''}"
    return [
        ("version", f"{__version__} ({source})"),
        ("python", f"{platform.python_version()}, {platform.python_implementation()}"),
        ("system", ", ".join(filter(None, (system_name(), _distribution())))),
        ("output", f"{sys.stdout.encoding or 'unknown'}, names of files in {sys.getfilesystemencoding()}"),
    ]


def _distribution() -> str:
    if platform.system() == "Darwin":
        return f"macOS {platform.mac_ver()[0]}"
    if platform.system() == "Windows":
        return f"Windows {platform.release()}"
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return ""


def _packages() -> list[tuple[str, str]]:
    from interp.runs.origin import PACKAGES

    found = []
    for name in (*(known for known in PACKAGES if known != "interp"), *_MORE):
        try:
            found.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            found.append((name, "absent: `pip install 'interp[timm]'` brings it" if name == "timm" else "ABSENT, but needed"))
    return found


def _devices() -> list[tuple[str, str]]:
    import torch

    from interp.core.support import support
    from interp.zoo.device import available

    found = []
    for name in available():
        try:
            found.append((name, str(support(torch.device(name)))))
        except RuntimeError as error:
            found.append((name, f"cannot be used: {error}"))
    set_by = [f"{name}={os.environ[name]}" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES") if name in os.environ]
    return [*found, *([("set", ", ".join(set_by))] if set_by else [])]


def _folders() -> list[tuple[str, str]]:
    rows = [
        ("torch hub", _folder(_torch_hub())),
        ("hugging face", _folder(_hugging_face())),
        ("temporary", _folder(Path(tempfile.gettempdir()))),
        ("runs", _folder(Path("results"))),
    ]
    free = shutil.disk_usage(_there(Path.cwd()))
    return [*rows, ("free for runs", _size(free.free))]


def _torch_hub() -> Path:
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints"


def _hugging_face() -> Path:
    try:
        from huggingface_hub import constants
    except ImportError:
        home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
        return Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub")
    return Path(constants.HF_HUB_CACHE)


def _folder(path: Path) -> str:
    """Where it is, and whether it can be written to, or made."""
    nearest = _there(path.absolute())
    may = os.access(nearest, os.W_OK | os.X_OK)
    if nearest == path.absolute():
        return f"{path}, {'writable' if may else 'NOT WRITABLE'}"
    return f"{path}, not there yet{'' if may else ', and CANNOT BE MADE'}"


def _there(path: Path) -> Path:
    return next((each for each in (path, *path.parents) if each.exists()), path)


def _weights() -> list[tuple[str, str]]:
    from interp.zoo import embedded

    found = [("embedded", f"version {embedded.VERSION}, {_size(embedded.WEIGHTS.stat().st_size)}, ships with interp")]
    names = _torchvision_files()
    cached = [path for path in sorted(_torch_hub().glob("*")) if path.name in names]
    found += [(names[path.name], f"torch hub, {_size(path.stat().st_size)}") for path in cached]
    snapshots = [path for path in sorted(_hugging_face().glob("models--timm--*")) if any(path.glob("snapshots/*/*"))]
    found += [(f"timm/{path.name.removeprefix('models--timm--')}", "hugging face") for path in snapshots]
    left = len(found) - _MOST
    return [*found[:_MOST], *([("and more", f"{left} other networks")] if left > 0 else [])]


def _torchvision_files() -> dict[str, str]:
    """Names of files in the cache -> what interp calls their network, with the weights."""
    from torchvision import models

    api: Any = models  # which is not typed
    entries = [(name, entry) for name in api.list_models(module=models) for entry in api.get_model_weights(name)]
    return {str(entry.url).rpartition("/")[2]: f"{name}@{entry.name}" for name, entry in entries}


def _size(count: int) -> str:
    from interp.core.support import in_words

    return in_words(count)
