"""What was found of runs, kept in a file: whoever lists them says whether they were proved, when nobody has the time to prove them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from interp.errors import BadFile, InterpError
from interp.proof.proof import Proof
from interp.proof.verdict import Verdict
from interp.runs.entries import SHA256
from interp.runs.lock import LOCK, Lock
from interp.runs.origin import versions
from interp.runs.partial import write_whole
from interp.runs.plain import canonical, portable
from interp.runs.reading import JsonObject, read
from interp.runs.words import machine_name

FORMAT = 1
# Longer than any record is: what claims to be one is not read whole.
_MOST_BYTES = 1 << 24


@dataclass(frozen=True)
class Recorded:
    """What was found of one run: the verdict and why; the largest ``difference``, as a share of what is allowed, and of what.

    ``machine`` and ``torch`` are those it was made again with, "" where it did not come to that; ``seconds`` what that took.
    """

    verdict: Verdict
    reason: str
    difference: float | None
    largest: str
    machine: str
    torch: str
    seconds: float


def recorded(proof: Proof) -> Recorded:
    """A proof as it is kept, without paths of this machine."""
    largest = None if proof.compared is None else proof.compared.largest
    return Recorded(
        verdict=proof.verdict,
        reason=portable(proof.reason),
        difference=None if largest is None else largest.difference,
        largest="" if largest is None else portable(f"{largest.name}: {largest.detail}" if largest.detail else largest.name),
        machine="" if proof.repeated is None else machine_name(proof.repeated.machine),
        torch="" if proof.repeated is None else proof.repeated.versions.get("torch", versions().get("torch", "")),
        seconds=round(proof.seconds, 1),
    )


def read_record(path: Path) -> dict[str, Recorded]:
    """What is kept in ``path``, by the seals of the runs' manifests (`Manifest.seal`); BadFile where it is no such file."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        text = data.decode("ascii")
    except OSError as error:
        raise BadFile(f"cannot read the record `{path}`: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise BadFile(f"{path}: it is not ASCII JSON: byte {error.start} is damaged") from None
    if len(data) > _MOST_BYTES:
        raise BadFile(f"{path}: it is too long for a record of what was verified")
    return read(text, str(path), _runs)


def update_record(path: Path, found: Mapping[str, Recorded]) -> None:
    """Add what was found to the record in ``path``, made if it is not there; replaced as a whole or not at all.

    ``found`` goes by seals. Several processes may add to one record at once: each waits for the others, and nothing is lost.
    """
    try:
        with _alone(path):
            known = read_record(path) if path.exists() else {}
            runs = {seal: asdict(entry) | {"verdict": entry.verdict.value} for seal, entry in (known | dict(found)).items()}
            write_whole(path, canonical({"format": FORMAT, "runs": runs}).encode("ascii"))
    except OSError as error:
        raise BadFile(f"the record `{path}` cannot be written: {error.strerror}") from None


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Nobody else writes ``path`` meanwhile, where there are locks. A hidden folder beside it holds the lock, and goes with it."""
    folder = path.with_name(f".{path.name}.lock")
    while True:
        # Not `exist_ok`: that looks again whether it is there, when whoever held it may have just removed it.
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
        try:
            lock = Lock.take(folder, wait=True)
            break
        except FileNotFoundError:  # whoever held it before has removed it
            continue
    try:
        yield
    finally:
        if lock is not None:
            # Removed while it is held: who waits for it finds it gone, and takes a new one.
            (folder / LOCK).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            folder.rmdir()
        if lock is not None:
            lock.release()


def refuse_record(path: Path) -> None:
    """BadFile where nothing could be added to a record in ``path``: asked before the work, not after it."""
    if path.exists():
        read_record(path)
    elif not path.parent.is_dir():
        raise BadFile(f"the record `{path}` cannot be written: there is no folder `{path.parent}`")


def _runs(top: JsonObject) -> dict[str, Recorded]:
    if "format" not in top.rest:
        raise InterpError("it is not a record of what was verified: it has no `format`")
    version = top.whole("format")
    if version != FORMAT:
        raise InterpError(f"`format` is {version}; this interp reads records of format {FORMAT}: verify again")
    runs = top.table("runs", _recorded)
    wrong = next((name for name in runs if not SHA256.fullmatch(name)), None)
    if wrong is not None:
        raise InterpError(f"`runs` names {wrong!r}, which is no digest of a manifest")
    return runs


def _recorded(item: JsonObject) -> Recorded:
    verdict = item.text("verdict")
    if verdict not in {known.value for known in Verdict}:
        raise InterpError(f"`verdict` is {verdict!r}, which this interp does not know")
    difference = item.take("difference") if item.rest.get("difference", 0.0) is None else item.number("difference")
    return Recorded(
        verdict=Verdict(verdict),
        reason=item.text("reason"),
        difference=difference if isinstance(difference, float) else None,
        largest=item.text("largest"),
        machine=item.text("machine"),
        torch=item.text("torch"),
        seconds=item.number("seconds"),
    )
