"""The site's folder and the hidden one beside it that holds finished work; who may write there, and what an earlier build left."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from pathlib import Path
from types import TracebackType

from interp.errors import BadFile
from interp.runs.lock import Lock
from interp.runs.manifest import MANIFEST
from interp.runs.partial import write_whole
from interp.runs.plain import canonical
from interp.site.microscope.address import DATA, PAGE, PICTURES, folder_of

_STATE = "state.json"
_PARTIAL = re.compile(r"\..+\.[0-9a-f]{8}\.partial")


class SitePlace:
    """``with SitePlace(site, network, name) as place``: the folder is this process's while inside.

    ``work`` is the hidden folder beside the site, ``.NAME.work``: it stays, so that another build of the same network finds what is
    finished. Raises BadFile for the folder of another network, one that holds something else, and where another process builds it.
    """

    def __init__(self, site: Path, network: str, name: str) -> None:
        self.site = Path(os.path.realpath(site))
        self.work = work_of(site)
        self._network, self._name = network, name
        self._lock: Lock | None = None

    def __enter__(self) -> SitePlace:
        refuse_other(self.site, self._network, self._name)
        try:
            self.work.mkdir(parents=True, exist_ok=True)
            self._lock = Lock.take(self.work)
        except BlockingIOError:
            raise BadFile(f"another process builds `{self.site.name}`: wait for it, or choose another folder (`--out`)") from None
        except OSError as error:
            raise BadFile(f"`{self.work}` cannot be made: {error.strerror or error}; choose another folder (`--out`)") from None
        try:
            self._claim()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _claim(self) -> None:
        state = self._read()
        known = state.get("network")
        if known is not None and known != self._network:
            raise BadFile(
                f"`{self.work}` holds finished work of another network ('{state.get('name')}', {str(known)[:12]}): choose another folder "
                "(`--out`), or remove it"
            )
        if self.site.is_dir() and known is None and any(self.site.iterdir()) and not (self.site / DATA / "network.json").is_file():
            raise BadFile(f"`{self.site}` holds something that is no microscope: nothing is overwritten, choose another folder (`--out`)")
        self.site.mkdir(parents=True, exist_ok=True)
        self._write({"network": self._network, "name": self._name, "pages": state.get("pages", {})})
        # Nobody else writes here, so what is half-made is of a process that was killed.
        for folder in (self.site, self.site / DATA, self.site / PICTURES, *(self.site / PICTURES).glob("*")):
            _sweep(folder)

    def begin(self) -> None:
        """From here on pages change: the site is not finished until `manifest.json` is there again."""
        with contextlib.suppress(FileNotFoundError):
            (self.site / MANIFEST).unlink()

    @property
    def written(self) -> dict[str, str]:
        """The layers whose pages were written, each with the key of what they show."""
        pages = self._read().get("pages", {})
        return {str(layer): str(key) for layer, key in pages.items()} if isinstance(pages, dict) else {}

    def is_written(self, layer: str, key: str) -> bool:
        """Whether the pages of ``layer`` are there and show that."""
        return self.written.get(layer) == key and (self.site / folder_of(layer) / PAGE).is_file()

    def note(self, layer: str, key: str | None) -> None:
        """Remember that the pages of ``layer`` were written, or (None) are no more."""
        pages = self.written
        if key is None:
            pages.pop(layer, None)
        else:
            pages[layer] = key
        self._write({"network": self._network, "name": self._name, "pages": pages})

    def drop(self, layers: set[str]) -> None:
        """Remove the pages of layers that are not among ``layers`` any more."""
        for layer in set(self.written) - layers:
            name = folder_of(layer)
            for folder in (self.site / name, self.site / PICTURES / name):
                shutil.rmtree(folder, ignore_errors=True)
            (self.site / DATA / f"{name}.json").unlink(missing_ok=True)
            self.note(layer, None)

    def _read(self) -> dict[str, object]:
        try:
            found = json.loads((self.work / _STATE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self, state: dict[str, object]) -> None:
        try:
            write_whole(self.work / _STATE, canonical(state).encode())
        except OSError as error:
            raise BadFile(f"`{self.work}` cannot be written: {error.strerror or error}; make room, and the same command goes on") from None


def work_of(site: Path) -> Path:
    """The hidden folder beside a site that holds the finished work for it."""
    real = Path(os.path.realpath(site))
    return real.parent / f".{real.name}.work"


def refuse_other(site: Path, network: str, name: str) -> None:
    """Raise BadFile where ``site`` is the microscope of other weights."""
    if site.exists() and not site.is_dir():
        raise BadFile(f"`{site}` is a file, not a folder: choose another folder (`--out`)")
    try:
        told = json.loads((site / DATA / "network.json").read_text(encoding="utf-8"))
        reference, weights = str(told["reference"]), str(told["weights_sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    if weights != network:
        raise BadFile(
            f"`{site}` is the microscope of '{reference}' with weights {weights[:12]}, not of '{name}' with {network[:12]}: "
            "choose another folder (`--out`)"
        )


def _sweep(folder: Path) -> None:
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            if _PARTIAL.fullmatch(entry.name) and not entry.is_symlink():
                shutil.rmtree(entry.path, ignore_errors=True) if entry.is_dir() else Path(entry.path).unlink(missing_ok=True)
