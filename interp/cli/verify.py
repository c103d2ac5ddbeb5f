"""``interp verify``: whether runs are as they were written, and come out the same when they are made again."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from interp.cli.options import Flag
from interp.cli.words import at_least
from interp.errors import BadFile, InterpError

if TYPE_CHECKING:
    from interp.proof.proof import Proof
    from interp.runs import Manifest

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
        from interp.cli.verify_table import told, verify_table
        from interp.cli.waiting import waiting

        runs, strays = self._checked()
        prove = self._prove()
        proofs = []
        with waiting() as line:
            for number, run in enumerate(runs, 1):
                with line(f"{number}/{len(runs)} {run}", _expected(run)) as done:
                    proofs.append(_proved(prove, run))
                    done(told(proofs[-1].verdict, self.files_only))
                self._keep(proofs[-1])
        proofs += [_unchecked(folder, reason) for folder, reason in strays.items()]
        verify_table(proofs, self.files_only)
        if not all(proof.verdict.holds for proof in proofs):
            sys.exit(1)

    def _checked(self) -> tuple[list[Path], dict[Path, str]]:
        """The runs that are named, each once, and what among them cannot be checked, and why; InterpError for what cannot be asked."""
        from interp.proof.record import refuse_record

        if self.threads is not None:
            at_least(1, self.threads, "--threads")
        if self.device is not None:
            from interp.zoo.device import device

            device(self.device)
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
        found = [_found(named) for named in self.runs]
        runs = list(dict.fromkeys(run for some, _ in found for run in some))
        if self.against is not None:
            if len(runs) != 1:
                raise InterpError(f"--against compares one run with another, but {len(runs)} are named: name one")
            _other(self.against)
        return runs, {folder: reason for _, others in found for folder, reason in others}

    def _prove(self) -> Callable[[Path], Proof]:
        from interp.proof import proof, replay
        from interp.proof.inputs import Search

        if self.files_only:
            return proof.check
        if self.against is not None:
            other = _other(self.against)
            return lambda run: proof.against(run, other, completed=completed)
        search, settings = Search(Path.cwd(), self.inputs), replay.Settings(self.threads, self.device)
        return lambda run: proof.prove(run, search, settings, replay.replay)

    def _keep(self, proof: Proof) -> None:
        """At once, so that what was found is not lost with what comes after it."""
        from interp.proof.record import recorded, update_record

        if self.record is not None and proof.manifest is not None:
            update_record(self.record, {proof.manifest.seal: recorded(proof)})


def completed(manifest: Manifest) -> Mapping[str, object] | None:
    """The options of a run of a command as the command reads them now, defaults put in; None of a script, or where it reads them not."""
    from interp.cli import makes_run
    from interp.cli.commands import COMMANDS
    from interp.runs.decode import decode
    from interp.runs.plain import config_entry

    kinds = {name: kind for name, kind in COMMANDS.items() if makes_run(kind)}
    if manifest.program.kind != "command" or manifest.program.name not in kinds:
        return None
    try:
        return config_entry(decode(kinds[manifest.program.name], manifest.config))
    except InterpError:
        return None


def _found(named: Path) -> tuple[tuple[Path, ...], tuple[tuple[Path, str], ...]]:
    """The runs that one word names, and with the reason what may be one too; BadFile where there is nothing of either."""
    from interp.runs import find
    from interp.runs.listing import locate
    from interp.runs.verify import strays

    if not named.is_dir():
        return (locate(str(named)),), ()
    runs, others = find(named), strays(named)
    if not runs and not others:
        raise BadFile(f"'{named}' holds no run: no manifest.json below it")
    return runs, others


def _other(named: Path) -> Path:
    """The run that --against names."""
    from interp.runs.listing import locate

    try:
        return locate(str(named))
    except InterpError as error:
        raise InterpError(f"--against: {error}") from None


def _proved(prove: Callable[[Path], Proof], run: Path) -> Proof:
    """What is found of the run. A disk that is full, or a folder that cannot be written to, says nothing of it or of the next."""
    started = time.monotonic()
    try:
        return prove(run)
    except OSError as error:
        return _unchecked(run, f"this machine is in the way: {error.strerror or error}", time.monotonic() - started)


def _unchecked(folder: Path, reason: str, seconds: float = 0.0) -> Proof:
    from interp.proof.proof import Proof
    from interp.proof.verdict import Verdict

    return Proof(folder, None, Verdict.UNCHECKED, None, reason, seconds)


def _expected(run: Path) -> float | None:
    """How long it took the last time, where its manifest tells."""
    from interp.runs import Manifest

    try:
        return Manifest.read(run).seconds
    except InterpError:
        return None
