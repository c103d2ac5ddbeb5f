"""Hugging Face data sets that were saved to disk (``Dataset.save_to_disk``); read by the extra ``datasets``, without network or code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from interp import images
from interp.datasets.dataset import DataSet
from interp.errors import BadFile, InterpError
from interp.images import Photo

_ONE, _SEVERAL = "state.json", "dataset_dict.json"
_LABELS = ("label", "labels", "fine_label", "class", "cls")


def is_saved(folder: Path) -> bool:
    """Whether the folder was made by ``save_to_disk``."""
    return (folder / _SEVERAL).is_file() or ((folder / _ONE).is_file() and (folder / "dataset_info.json").is_file())


class HuggingFace(DataSet):
    """The rows of a saved data set: its first column of pictures, and its labels where one column is called so.

    Raises BadFile where it cannot be read, holds no pictures, or has several parts (name one: ``folder/train``); InterpError where the
    extra is not installed.
    """

    def __init__(self, folder: Path, files: Sequence[tuple[Path, str]]) -> None:
        try:
            import datasets  # type: ignore[import-untyped, unused-ignore]
        except ImportError:
            raise InterpError(f"'{folder}' is a Hugging Face data set: `pip install 'interp[datasets]'` brings what reads it") from None
        parts = _parts(folder)
        if len(parts) > 1:
            raise BadFile(f"'{folder}' has the parts {', '.join(parts)}: give one of them, such as {(folder / parts[0]).as_posix()}")
        try:
            self._rows: Any = datasets.Dataset.load_from_disk(str(folder / parts[0]) if parts else str(folder), keep_in_memory=False)
        except Exception as error:  # whatever Arrow, JSON and the library find in files that are none of their own
            raise BadFile(
                f"'{folder}' cannot be read as a Hugging Face data set: {' '.join(str(error).split()) or type(error).__name__}"
            ) from None
        features = self._rows.features
        pictures = [name for name, kind in features.items() if isinstance(kind, datasets.Image)]
        if not pictures:
            raise BadFile(f"'{folder}' has no column of pictures: there are {', '.join(features) or 'none'}")
        if not len(self._rows):
            raise BadFile(f"'{folder}' holds no rows")
        self._folder, self._files, self._column = folder, tuple(files), pictures[0]
        self._rows = self._rows.cast_column(self._column, datasets.Image(decode=False)).with_format(None)
        labels = next((name for name in _LABELS if name in features), None)
        self._labels = None if labels is None else self._rows[labels][:]
        self._names: Sequence[str] = getattr(features[labels], "names", ()) if labels is not None else ()

    @property
    def title(self) -> str:
        return self._folder.resolve().name

    def __len__(self) -> int:
        return len(self._rows)

    def name(self, index: int) -> str:
        return f"row {index}"

    def label(self, index: int) -> str | None:
        label = None if self._labels is None else self._labels[index]
        if isinstance(label, bool) or not isinstance(label, int | str):
            return None
        return self._names[label] if isinstance(label, int) and 0 <= label < len(self._names) else str(label)

    def photo(self, index: int) -> Photo:
        try:
            found = self._rows[index][self._column]
        except Exception as error:  # of a damaged table
            raise BadFile(f"'{self.name(index)}' cannot be read: {' '.join(str(error).split()) or type(error).__name__}") from None
        data = found.get("bytes") if isinstance(found, dict) else None
        if data is None:
            # A path leads out of the data set, to wherever somebody else's machine had it.
            raise BadFile(
                f"'{self.name(index)}' holds no picture, only {'a path' if isinstance(found, dict) and found.get('path') else 'nothing'}"
            )
        return images.of_bytes(self.name(index), data)

    def files(self) -> tuple[tuple[Path, str], ...]:
        return self._files


def _parts(folder: Path) -> list[str]:
    if not (folder / _SEVERAL).is_file():
        return []
    try:
        found = json.loads((folder / _SEVERAL).read_text("utf-8"))["splits"]
        parts = [name for name in found if isinstance(name, str) and "/" not in name and "\\" not in name and name not in ("", ".", "..")]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise BadFile(f"'{folder / _SEVERAL}' cannot be read: give the folder of one part") from None
    if not parts:
        raise BadFile(f"'{folder}' names no part in {_SEVERAL}: give the folder of one part")
    return parts
