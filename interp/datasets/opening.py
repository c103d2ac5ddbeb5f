"""From what a user types to a `DataSet`: the one place where the kinds of data are told apart."""

from __future__ import annotations

import os
from pathlib import Path

from interp.datasets.arrays import Arrays
from interp.datasets.dataset import DataSet
from interp.datasets.folder import Folder
from interp.datasets.huggingface import HuggingFace, is_saved
from interp.datasets.parquet import Parquet, has_pictures
from interp.datasets.shards import Shards
from interp.errors import BadFile, nearest

_TORCHVISION = "torchvision:"
_FORMS = "give a folder of pictures, .tar, .npz, .parquet, or torchvision:NAME:FOLDER"
_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")


def open_dataset(reference: str | Path) -> DataSet:
    """The pictures in a folder (also in folders inside), a tar file or a folder of tar files (WebDataset), a folder that Hugging Face's
    ``save_to_disk`` made, Parquet files with a column of pictures or a folder of them, an ``.npz`` with ``images``; or
    ``torchvision:MNIST:FOLDER``, ``torchvision:MNIST/test:FOLDER``.

    Raises BadFile where there is nothing of these kinds.
    """
    text = str(reference)
    if text.startswith(_TORCHVISION):
        return _of_torchvision(text)
    path = Path(reference)
    if path.is_dir():
        return _of_folder(path)
    if path.name.lower().endswith(_COMPRESSED):
        raise BadFile(f"'{path}' is compressed, and would have to be unpacked for each picture: decompress it to .tar first")
    if path.suffix.lower() == ".tar" and path.is_file():
        return Shards((path,), path.name, (path.name,))
    if path.suffix.lower() == ".npz" and path.is_file():
        return Arrays(path)
    if path.suffix.lower() == ".parquet" and path.is_file():
        return Parquet((path,), path.name)
    if path.exists():
        raise BadFile(f"'{path}' is no data set: {_FORMS}")
    names = [found.name for found in path.parent.iterdir()] if path.parent.is_dir() else []
    hint = nearest(path.name, names)
    raise BadFile(f"there is no data set '{path}': {hint or _FORMS}")


def root_of(reference: str | Path) -> Path:
    """The file or folder that a reference names."""
    text = str(reference)
    return Path(text.removeprefix(_TORCHVISION).partition(":")[2]) if text.startswith(_TORCHVISION) else Path(reference)


def _of_folder(path: Path) -> DataSet:
    if is_saved(path):
        return HuggingFace(path, _all(path))
    tars = _plain(path, ".tar")
    if tars:
        return Shards(tars, path.resolve().name, tuple(tar.name for tar in tars))
    tables = _plain(path, ".parquet")
    # Beside pictures lie tables that say something of them, and hold none.
    return Parquet(tables, path.resolve().name) if tables and has_pictures(tables[0]) else Folder(path)


def _plain(folder: Path, suffix: str) -> tuple[Path, ...]:
    """The files of one kind that lie in a folder itself, hidden ones left out."""
    return tuple(sorted(p for p in folder.iterdir() if p.suffix.lower() == suffix and p.is_file() and not p.name.startswith(".")))


def _of_torchvision(text: str) -> DataSet:
    from interp.datasets.torchvision_sets import torchvision_set

    named, _, folder = text.removeprefix(_TORCHVISION).partition(":")
    name, _, split = named.partition("/")
    if not name or not folder:
        raise BadFile(f"'{text}' names no torchvision data set: write torchvision:MNIST:FOLDER or torchvision:MNIST/test:FOLDER")
    root = Path(folder)
    return torchvision_set(name, split, root, _all(root))


def _all(root: Path) -> tuple[tuple[Path, str], ...]:
    """Every file below a folder, with its path in there."""
    found = [Path(base) / name for base, _, names in os.walk(root) for name in names]
    return tuple((path, path.relative_to(root).as_posix()) for path in sorted(found))
