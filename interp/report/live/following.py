"""``Follower``: a recording as it grows, of which each look reads only what is new, and no more often than is good for the training."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from interp.errors import BadFile, InterpError
from interp.report.live.scales import Reach, Step
from interp.report.live.tail import Tail
from interp.report.live.views import View, views_of
from interp.watching import Header, Record, Recording
from interp.watching import header as heads
from interp.watching.lines import Lines
from interp.watching.looking import SCORES, SILENT, UNIT_SCORES
from interp.watching.record import FOLDER, records_of

Arrays = Mapping[str, NDArray[np.generic]]

REST, SHARE = 0.3, 10
"""From one look to the next it rests so many seconds, and so many times as long as the look took: a tenth of one core, at most."""
_SLICE = 0.25
"""Seconds in which arrays are read in one look: a long recording is taken in slices."""
_PATIENCE = 2.0
"""So many seconds a fault may last before it is told: what is being written may look like one for a moment."""
_KEPT = 4


@dataclass(frozen=True, eq=False)
class Taken:
    """What is kept of a record's arrays: how far each goes, and the small ones whole; ``broken``: why they cannot be read."""

    reaches: Mapping[str, Reach]
    small: Arrays
    broken: str = ""


@dataclass(frozen=True, eq=False)
class Seen:
    """A recording as it was at a look; ``header`` is None where there is none yet.

    ``identity`` is another for every recording that is begun in the folder, ``number`` where anything here is. ``views`` are what can be
    drawn of each record, ``photos`` the probe images. ``unread``: how many records' arrays are still to be read for the scales.
    """

    header: Header | None = None
    identity: str = ""
    number: int = 0
    records: tuple[Record, ...] = ()
    views: tuple[View, ...] = ()
    photos: Float[np.ndarray, "n c rows cols"] | None = None
    taken: Mapping[str, Taken] | None = None
    unread: int = 0

    def of(self, stem: str) -> Taken | None:
        """What is known of the arrays of a record; None where they were not read yet."""
        return (self.taken or {}).get(stem)

    def step(self, view: View) -> Step:
        """The scale of a view, over all records whose arrays were read."""
        return Step.over(self._reaches.get(view.array, Reach(0.0, False)), signed=view.signed)

    @cached_property
    def _reaches(self) -> dict[str, Reach]:
        """How far each array goes in all records."""
        found: dict[str, Reach] = {}
        for record in self.records:
            taken = self.of(record.entry.stem)
            for name, reach in taken.reaches.items() if taken else ():
                found[name] = found.get(name, reach) | reach
        return found


class Follower:
    """Looks into the folder of a recording, which may not be there yet; safe to be asked by several threads."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder = folder
        self.waiting, self.problem = "", ""
        self.seen, self.tail = Seen(), Tail(folder)
        self._clock, self._next, self._well = clock, 0.0, clock()
        self._lock, self._reading = threading.Lock(), threading.Lock()
        self._listed: tuple[object, ...] = ()
        self._all: list[Record] = []
        self._damaged: list[BadFile] = []
        self._kept: OrderedDict[tuple[str, str], Arrays] = OrderedDict()

    def look(self) -> Seen:
        """The recording as it is now, or was a moment ago. A fault is told in ``problem``, and what was seen before it stays."""
        with self._lock:
            start = self._clock()
            if start >= self._next:
                try:
                    self._look()
                    self.problem, self._well = self._damage(), start
                except InterpError as error:
                    if start - self._well >= _PATIENCE or self.seen.header is None:
                        self.problem = str(error)
                end = self._clock()
                # What is taken in slices comes to an end, and a page waits for it.
                self._next = end + (REST if self.seen.unread else max(REST, SHARE * (end - start)))
            return self.seen

    def arrays(self, identity: str, stem: str) -> Arrays | None:
        """The arrays of a record by the name of its files; None where there is none of that name now. BadFile where it is damaged."""
        seen = self.seen
        record = next((one for one in seen.records if one.entry.stem == stem), None) if identity == seen.identity else None
        return None if record is None else self._read(identity, record)

    @property
    def newest(self) -> float | None:
        """When something was last written, in seconds since 1970; None where nothing was."""
        times = [self.tail.changed] if self.tail.changed else []
        if self.seen.records:
            with contextlib.suppress(OSError):
                times.append((self.folder / FOLDER / f"{self.seen.records[-1].entry.stem}.json").stat().st_mtime)
        return max(times, default=None)

    def _look(self) -> None:
        self.waiting = self._absent()
        if self.waiting:
            self._forget("")
            return
        identity = self._identity()
        if identity != self.seen.identity or self.seen.header is None:
            self._forget(identity)
            header = heads.read(self.folder)
            recording = Recording(self.folder, header, (), Lines())
            views, photos = views_of(recording), recording.probes
            self.seen = replace(self.seen, header=header, views=views, photos=photos, number=self.seen.number + 1)
        begun = len(self.tail.starts)
        self.tail.read_on()
        self._list(len(self.tail.starts) != begun)
        self._scan()

    def _absent(self) -> str:
        if not os.path.lexists(self.folder):
            return f"there is no folder `{self.folder}` yet"
        if not self.folder.is_dir():
            raise BadFile(f"`{self.folder}` is a file, and a recording is a folder")
        return "" if (self.folder / heads.NAME).exists() else f"`{self.folder}` holds no recording yet: no `{heads.NAME}` is in it"

    def _identity(self) -> str:
        path = self.folder / heads.NAME
        try:
            return hashlib.sha256(f"{path.stat().st_mtime_ns}".encode() + path.read_bytes()).hexdigest()[:12]
        except OSError as error:
            raise BadFile(f"`{path}` cannot be read: {error.strerror}") from None

    def _forget(self, identity: str) -> None:
        if self.seen.identity != identity or self.seen.header is not None:
            self.seen = Seen(identity=identity, number=self.seen.number + 1)
        self.tail, self._listed, self._all, self._damaged = Tail(self.folder), (), [], []

    def _list(self, taken_back: bool) -> None:
        """The records, read anew where one came, or a session took some back."""
        assert self.seen.header is not None
        place = self.folder / FOLDER
        try:
            listed = tuple(sorted(name for name in os.listdir(place) if not name.startswith(".")))
        except FileNotFoundError:
            listed = ()
        known = listed == self._listed
        if known and not taken_back and not self._damaged:
            return
        if not known or self._damaged:  # what is damaged may be put right
            self._damaged = []
            self._all = records_of(self.folder, self.seen.header, self._damaged)
        lines = Lines(starts=tuple(self.tail.starts))
        kept = [record for record in self._all if not lines.superseded(record.step, record.entry.session)]
        records = tuple(sorted(kept, key=lambda record: (record.step, record.entry.session)))
        self._listed = listed
        if not known or taken_back or len(records) != len(self.seen.records):
            self.seen = replace(self.seen, records=records, number=self.seen.number + 1)

    def _damage(self) -> str:
        """Which records are left out, or in part, because a file of theirs is damaged: the first of them, and how many there are."""
        found = [str(error) for error in self._damaged]
        found += [taken.broken for record in self.seen.records if (taken := self.seen.of(record.entry.stem)) and taken.broken]
        return "" if not found else found[0] + (f", and {len(found) - 1} more like it" if len(found) > 1 else "")

    def _scan(self) -> None:
        """Read arrays for a while, those of the newest record first."""
        taken, end = dict(self.seen.taken or {}), self._clock() + _SLICE
        missing = [record for record in reversed(self.seen.records) if record.entry.stem not in taken]
        for count, record in enumerate(missing):
            if count and self._clock() >= end:
                break
            taken[record.entry.stem] = self._take(record)
        if missing:
            unread = sum(record.entry.stem not in taken for record in self.seen.records)
            self.seen = replace(self.seen, taken=taken, unread=unread, number=self.seen.number + 1)

    def _take(self, record: Record) -> Taken:
        try:
            arrays = self._read(self.seen.identity, record)
        except BadFile as error:
            return Taken({}, {}, str(error))
        names = {view.array for view in self.seen.views if view.scaled}
        small = {name: arrays[name] for name in (SCORES, UNIT_SCORES, SILENT) if name in arrays}
        return Taken({name: Reach.of(arrays[name]) for name in names if name in arrays}, small)

    def _read(self, identity: str, record: Record) -> Arrays:
        """The arrays of the last few records stay at hand: a page asks for several pictures of one."""
        key = (identity, record.entry.stem)
        with self._reading:
            if key not in self._kept:
                # A record keeps its arrays for as long as it lives: a copy of it is read.
                self._kept[key] = replace(record).arrays
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return self._kept[key]
