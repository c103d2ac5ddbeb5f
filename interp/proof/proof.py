"""Proof of a run: its files are as they were written, and made again from its manifest it comes out the same.

A run whose files or manifest were changed is `Verdict.DIFFERENT`, and what was changed is named. One that cannot be made again from
the same things (an input, the code or the weights are missing or are others now) is `Verdict.UNCHECKED`: nothing is known of it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from interp.errors import InterpError
from interp.proof.inputs import Search, Unrepeatable, stage
from interp.proof.pair import Pair
from interp.proof.replay import AS_RECORDED, Replay, Settings, replay
from interp.proof.verdict import Compared, Item, Verdict
from interp.runs.changed import explain
from interp.runs.differing import NOTHING, differing, short
from interp.runs.machine import differences
from interp.runs.manifest import ChangedManifest, Manifest
from interp.runs.verify import Problem, verify
from interp.runs.words import commit_name

_MOST_EXCUSES = 3

Completed = Callable[[Manifest], Mapping[str, object] | None]


@dataclass(frozen=True)
class Proof:
    """What was found of the run in ``run``. ``reason`` is one line, "" where there is nothing to add to the verdict.

    ``manifest`` is None where there is no sound one, ``repeated`` that of the run it was compared with, if it came to that.
    """

    run: Path
    manifest: Manifest | None
    verdict: Verdict
    compared: Compared | None
    reason: str
    seconds: float
    repeated: Manifest | None = None


def check(run: Path) -> Proof:
    """Whether files and arrays of the run are as its manifest says: `Verdict.IDENTICAL` where they are."""
    started = time.monotonic()
    try:
        report = verify(run)
    except ChangedManifest as changed:
        compared = _problems(explain(run, changed))
        return Proof(run, None, Verdict.DIFFERENT, compared, _count(compared, "the manifest was changed"), _since(started))
    except InterpError as error:
        return Proof(run, None, Verdict.UNCHECKED, None, str(error), _since(started))
    if report.ok:
        return Proof(run, report.manifest, Verdict.IDENTICAL, None, "files and arrays are as they were written", _since(started))
    compared = _problems(report.problems)
    return Proof(run, report.manifest, Verdict.DIFFERENT, compared, _count(compared, "not as it was written"), _since(started))


def prove(run: Path, search: Search, settings: Settings = AS_RECORDED, again: Replay = replay) -> Proof:
    """Check the run, make it again in a temporary folder, and compare the two."""
    started = time.monotonic()
    checked = check(run)
    manifest = checked.manifest
    if manifest is None or not checked.verdict.holds:
        return checked
    try:
        with tempfile.TemporaryDirectory(prefix="interp-verify-", ignore_cleanup_errors=True) as temporary:
            folder, out = Path(temporary) / "work", Path(temporary) / "run"
            folder.mkdir()
            staged = stage(manifest, run, folder, search)
            again(manifest, staged, out, settings)
            repeated = _made(out)
            notes = (*staged.notes, *_other_options(manifest, repeated), *_other_program(manifest, repeated))
            others = tuple(_other_inputs(manifest, repeated))
            if others:
                why = differences(manifest.machine, repeated.machine, manifest.versions, repeated.versions)
                raise Unrepeatable("; ".join((*others, *why)))
            # It was made from the recorded options: whatever it has beside them is as it is by default.
            return _judged(run, out, (manifest, repeated), notes, started, repeated.config)
    except Unrepeatable as problem:
        return Proof(run, manifest, Verdict.UNCHECKED, None, str(problem), _since(started))


def against(run: Path, other: Path, *, completed: Completed = lambda manifest: None) -> Proof:
    """Check two finished runs, and compare the second with the first as if it were made from it.

    ``completed`` gives a run's options with the defaults of those that its program has got since, or None where it does not know them.
    """
    started = time.monotonic()
    first, second = check(run), check(other)
    for found in (first, second):
        if found.manifest is None or not found.verdict.holds:
            reason = found.reason if found is first else f"`{other}`: {found.reason}"
            return Proof(run, first.manifest, found.verdict, found.compared, reason, _since(started))
    assert first.manifest is not None
    assert second.manifest is not None
    one, two = first.manifest.experiment, second.manifest.experiment
    if one != two:
        reason = f"it is a run of `{one}`, `{other}` one of `{two}`: only runs of one program are compared"
        return Proof(run, first.manifest, Verdict.UNCHECKED, None, reason, _since(started))
    both = first.manifest, second.manifest
    notes = (*_other_options(*both), *_other_inputs(*both), *_other_program(*both))
    try:
        return _judged(run, other, both, notes, started, completed(first.manifest))
    except Unrepeatable as problem:
        return Proof(run, first.manifest, Verdict.UNCHECKED, None, str(problem), _since(started))


def _judged(
    run: Path,
    other: Path,
    manifests: tuple[Manifest, Manifest],
    notes: Sequence[str],
    started: float,
    completed: Mapping[str, object] | None,
) -> Proof:
    from interp.proof.compare import compare
    from interp.proof.unjudged import unjudged

    try:
        compared = compare(run, other, tuple(_other_options(*manifests)), completed)
    except InterpError as error:
        raise Unrepeatable(f"the two cannot be compared: {error}") from None
    reasons = [*compared.why, *notes]
    if compared.verdict is Verdict.DIFFERENT:
        reasons = [_count(compared, "not the same"), *reasons, *_other_source(*manifests)]
    elif compared.verdict is Verdict.WITHIN:
        reasons += [*(() if compared.why else _excuses(run, other, manifests)), *unjudged(compared)]
    reasons += [item.detail for item in compared.of(Verdict.IDENTICAL) if item.detail]
    if compared.verdict is not Verdict.IDENTICAL and manifests[0].tolerances != manifests[1].tolerances:
        reasons.append("the two declare other tolerances: the stricter hold")
    return Proof(run, manifests[0], compared.verdict, compared, "; ".join(dict.fromkeys(reasons)), _since(started), manifests[1])


def _excuses(run: Path, other: Path, manifests: tuple[Manifest, Manifest]) -> Sequence[str]:
    """Why something may differ though neither machine nor options do: the first reasons, and how many more there are."""
    told = Pair(run, other, *manifests).telling
    return (*told[:_MOST_EXCUSES], *([f"{len(told) - _MOST_EXCUSES} more versions"] if len(told) > _MOST_EXCUSES else []))


def _made(out: Path) -> Manifest:
    try:
        return Manifest.read(out)
    except InterpError as error:
        raise Unrepeatable(f"what was made again is no run: {error}") from None


def _other_options(first: Manifest, second: Manifest) -> Iterator[str]:
    """Each option that was another."""
    for name, one, other in differing(first.config, second.config, "config"):
        if one != NOTHING:
            yield f"`{name}` {one}, not {other}"


def _other_inputs(first: Manifest, second: Manifest) -> Iterator[str]:
    """The weights and inputs that were others: neither run says anything about the other then."""
    if first.model is not None and second.model is not None and first.model.weights_sha256 != second.model.weights_sha256:
        hashes = f"SHA-256 {short(second.model.weights_sha256)}, {short(first.model.weights_sha256)} was used"
        yield f"the weights of {first.model.reference} have changed: {hashes}"
    now = {(item.role, item.path or item.name): item.sha256 for item in second.inputs}
    for item in first.inputs:
        name, kind = item.path or item.name, "input" if item.path else "sample"
        found = now.get((item.role, name))
        if found is None:
            yield f"the {kind} `{name}` was not read"
        elif found != item.sha256:
            yield f"the {kind} `{name}` has changed: SHA-256 {short(found)}, {short(item.sha256)} was used"


def _other_program(first: Manifest, second: Manifest) -> Iterator[str]:
    """That a script was changed: no other result by itself, as another commit is none."""
    if first.program.name == second.program.name and first.program.sha256 != second.program.sha256:
        yield f"`{first.program.name}` has changed since"


def _other_source(first: Manifest, second: Manifest) -> Iterator[str]:
    """How the source of interp differs, which may be why the results do."""
    if first.commit != second.commit:
        yield f"commit {commit_name(first.commit)}, not {commit_name(second.commit)}"


def _problems(problems: Sequence[Problem]) -> Compared:
    return Compared(tuple(Item(problem.name, Verdict.DIFFERENT, None, problem.detail) for problem in problems))


def _count(compared: Compared, words: str) -> str:
    bad = [item for item in compared.items if not item.verdict.holds]
    named = ", ".join(f"`{item.name}`" for item in bad[:2])
    return f"{words}: {named}{f' and {len(bad) - 2} more' if len(bad) > 2 else ''}"


def _since(started: float) -> float:
    return time.monotonic() - started
