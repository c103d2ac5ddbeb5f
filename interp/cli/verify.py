"""``interp verify``: whether runs are as they were written, and come out the same when they are made again."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from interp.cli.options import Flag
from interp.cli.words import at_least
from interp.errors import BadFile, InterpError

if TYPE_CHECKING:
    from interp.proof.proof import Proof

RunsNamed = Annotated[
    tuple[Path, ...],
    tyro.conf.Positional,
    tyro.conf.arg(metavar="RUN", help="folders with runs at or below them, or what begins only a run's name or identity in results/"),
]


@dataclass(frozen=True)
class Verify:
    """Check runs: files and arrays against their manifests, then each made again from its manifest, and compared.

    A run of your own code starts that code, if it is still the recorded one.
    """

    runs: RunsNamed = (Path("results"),)
    files_only: Flag = False
    """Only hash the files and arrays; make nothing again."""
    inputs: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="DIR ...")] = ()
    """Where pictures, weights and code of the runs are, if not in the current folder."""
    threads: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Make again with so many threads, instead of as many as were used."""
    device: Annotated[str | None, tyro.conf.arg(metavar="DEVICE")] = None
    """Make again on this device, instead of the one that was used: cpu, cuda, cuda:N, mps or auto."""
    against: Annotated[Path | None, tyro.conf.arg(metavar="OTHER")] = None
    """Make nothing again: compare the one RUN with this finished one."""
    record: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Keep what is found in this file, such as results/verified.json, from which the gallery tells it."""

    def run(self) -> None:
        from interp.cli.verify_table import verify_table
        from interp.cli.waiting import waiting

        runs = self._checked()
        prove = self._prove()
        proofs = []
        with waiting() as line:
            for number, run in enumerate(runs, 1):
                with line(f"{number}/{len(runs)} {run}", _expected(run)) as done:
                    proofs.append(prove(run))
                    done(proofs[-1].verdict.value)
                self._keep(proofs[-1])
        verify_table(proofs)
        if not all(proof.verdict.holds for proof in proofs):
            sys.exit(1)

    def _checked(self) -> list[Path]:
        """The runs that are named, each once; InterpError for what cannot be asked, before any work."""
        from interp.proof.record import refuse_record

        if self.threads is not None:
            at_least(1, self.threads, "--threads")
        typed = {"--files-only": self.files_only, "--against": self.against, "--record": self.record}
        given = [name for name, value in typed.items() if value]
        if len(given) > 1:
            raise InterpError(f"{' and '.join(given)} do not go together: only what was made again is recorded")
        again = {"--inputs": self.inputs, "--threads": self.threads, "--device": self.device}
        useless = next((name for name, value in again.items() if value), None)
        if useless and (self.files_only or self.against):
            raise InterpError(f"{useless} says how runs are made again, but {given[0]} makes none again: leave one of them out")
        for folder in self.inputs:
            if not folder.is_dir():
                raise BadFile(f"there is no folder '{folder}' to look for inputs in (--inputs)")
        if self.record is not None:
            refuse_record(self.record)
        runs = list(dict.fromkeys(run for named in self.runs for run in _found(named)))
        if self.against is not None:
            if len(runs) != 1:
                raise InterpError(f"--against compares one run with another, but {len(runs)} are named: name one")
            if not self.against.is_dir():
                raise BadFile(f"there is no folder '{self.against}' to compare with (--against)")
        return runs

    def _prove(self) -> Callable[[Path], Proof]:
        from interp.proof import proof, replay
        from interp.proof.inputs import Search

        if self.files_only:
            return proof.check
        if self.against is not None:
            other = self.against
            return lambda run: proof.against(run, other)
        search, settings = Search(Path.cwd(), self.inputs), replay.Settings(self.threads, self.device)
        return lambda run: proof.prove(run, search, settings, replay.replay)

    def _keep(self, proof: Proof) -> None:
        """At once, so that what was found is not lost with what comes after it."""
        from interp.proof.record import recorded, update_record

        if self.record is not None and proof.manifest is not None:
            update_record(self.record, {proof.manifest.identity: recorded(proof)})


def _found(named: Path) -> tuple[Path, ...]:
    from interp.runs import find
    from interp.runs.listing import locate

    if not named.is_dir():
        return (locate(str(named)),)
    runs = find(named)
    if not runs:
        raise BadFile(f"'{named}' holds no run: no manifest.json below it")
    return runs


def _expected(run: Path) -> float | None:
    """How long it took the last time, where its manifest tells."""
    from interp.runs import Manifest

    try:
        return Manifest.read(run).seconds
    except InterpError:
        return None
