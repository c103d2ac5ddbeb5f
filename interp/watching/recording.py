"""``Recording``: what `interp.watch` wrote, read back in order; also while it is written."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from safetensors import SafetensorError
from safetensors.numpy import load_file

from interp.errors import BadFile, UnknownName, nearest
from interp.watching import header as heads
from interp.watching import lines as scalars
from interp.watching.header import Header
from interp.watching.lines import Lines
from interp.watching.record import Record, records_of

PROBES = "probes.safetensors"


@dataclass(frozen=True, eq=False)
class Recording:
    """A folder of records as it was when it was read: ``header`` says of what, ``records`` are in the order of their steps.

    Records and lines of a session that a later one took back, by starting at an earlier step, are left out.
    """

    folder: Path
    header: Header
    records: tuple[Record, ...]
    lines: Lines

    def __repr__(self) -> str:
        steps = f"steps {self.steps[0]} to {self.steps[-1]}" if self.records else "no record yet"
        return f"Recording('{self.folder.name}', {self.header.network.reference}, {len(self.records)} records, {steps})"

    @classmethod
    def read(cls, folder: str | Path) -> Recording:
        """The recording in ``folder``.

        Raises BadFile where there is none, or it is of another version, damaged, or a record is half missing.
        """
        folder = Path(folder)
        header, lines = heads.read(folder), scalars.read(folder)
        kept = [record for record in records_of(folder, header) if not lines.superseded(record.step, record.entry.session)]
        return cls(folder, header, tuple(sorted(kept, key=lambda record: (record.step, record.entry.session))), lines)

    @property
    def steps(self) -> tuple[int, ...]:
        return tuple(record.step for record in self.records)

    @property
    def last_step(self) -> int:
        """The last step of which anything was written; 0 where nothing was."""
        told = [one.step for one in self.lines.numbers] + [one.step for one in self.lines.events]
        return max([*told, *self.steps], default=0)

    @property
    def closed(self) -> bool:
        """Whether the last session was closed, by an error too; one that goes on, or was killed, was not."""
        return bool(self.lines.events) and self.lines.events[-1].kind == scalars.CLOSED

    @property
    def complete(self) -> bool:
        """Whether the last session was closed, and not by an error."""
        return self.closed and self.ended_by is None

    @property
    def ended_by(self) -> str | None:
        """The kind of the error that ended the training, such as ``RuntimeError``, at `last_step`; None where none is known of."""
        error = self.lines.events[-1].said.get("error") if self.closed else None
        return None if error is None else str(error)

    @property
    def passed_over(self) -> int:
        """How many records were due and left out, as they did not fit the budget."""
        end = self.lines.events[-1].said.get("passed_over", 0) if self.closed else 0
        return sum(record.entry.passed_over for record in self.records) + (end if isinstance(end, int) else 0)

    @property
    def spent(self) -> float:
        """Seconds that the recorder took in the last session, as far as was told by now."""
        end = self.lines.events[-1].said.get("spent") if self.closed else None
        return float(end) if isinstance(end, (int, float)) else self.records[-1].entry.spent if self.records else 0.0

    @property
    def share(self) -> float | None:
        """What part of the time the recorder took in the last session; None where that was not told yet."""
        end = self.lines.events[-1].said.get("share") if self.closed else None
        if isinstance(end, (int, float)):
            return float(end)
        begun = max((event.seconds for event in self.lines.events if event.kind == scalars.BEGUN), default=0.0)
        last = self.records[-1].entry if self.records else None
        return None if last is None or last.seconds <= begun else last.spent / (last.seconds - begun)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the numbers that the user gave, in the order in which they first came."""
        return tuple(dict.fromkeys(name for line in self.lines.numbers for name in line.values))

    def curve(self, name: str) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """Steps and values of a number that the user gave; raises UnknownName where there is none of that name."""
        if name not in self.names:
            hint = nearest(name, self.names) or ("there are " + ", ".join(self.names) if self.names else "none was given")
            raise UnknownName(f"no numbers called '{name}' in `{self.folder}`: {hint}")
        found = [(line.step, line.values[name]) for line in self.lines.numbers if name in line.values]
        return np.array([step for step, _ in found], np.int64), np.array([value for _, value in found], np.float64)

    def statistic(self, layer: str, name: str) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """Steps and values of a convolution's summary, of the records that have it (see `interp.watching.filters.summed_up`)."""
        found = [(record.step, record.summary[layer][name]) for record in self.records if name in record.summary.get(layer, {})]
        return np.array([step for step, _ in found], np.int64), np.array([value for _, value in found], np.float64)

    @cached_property
    def probes(self) -> Float[np.ndarray, "n c rows cols"]:
        """The probe images, as they went into the `Model`; BadFile where they are missing, or of another size than the header says."""
        path = self.folder / PROBES
        try:
            images = load_file(path)["images"]
        except (OSError, SafetensorError, KeyError) as error:
            raise BadFile(f"the probe images `{path}` cannot be read: {' '.join(str(error).split())}") from None
        wanted = (len(self.header.probes), *self.header.shape)
        if images.shape != wanted:
            said, size = (" x ".join(map(str, shape)) for shape in (images.shape, wanted))
            raise BadFile(f"the probe images `{path}` are {said}, and those of the recording are {size} (images x channels x rows x cols)")
        return images
