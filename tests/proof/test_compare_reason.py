"""The reason of a proof: whoever reads that a run holds reads of what it was not judged by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from two_runs import HERE, SPEC, THERE, Config, Made, nothing, write

from interp.proof.proof import Proof, against
from interp.proof.verdict import Verdict
from interp.runs import CommitEntry, Machine, Program, Run, Tolerance


def proved(folder: Path, first: Made, second: Made) -> Proof:
    return against(write(folder / "a", first), write(folder / "b", second))


def test_files_and_vectors_that_were_not_judged_are_said(tmp_path: Path) -> None:
    first, second = (
        nothing(files={f"{n}.md": data for n in range(5)}, figures={"grid": (SPEC, {"pdf": data})}, machine=machine)
        for data, machine in ((b"1", HERE), (b"2", THERE))
    )
    proof = proved(tmp_path, first, second)
    assert proof.verdict is Verdict.WITHIN
    assert proof.reason == (
        "processor a processor (6/85/4), not another processor; not judged: pdf of `figures/grid`; "
        "not judged: `0.md`, `1.md`, `2.md` and 2 more"
    )
    assert proof.compared is not None
    assert proof.compared.largest is not None


def test_an_excuse_that_is_no_machine_is_said(tmp_path: Path) -> None:
    commits = CommitEntry("e" * 40, dirty=False), CommitEntry("f" * 40, dirty=False)
    proof = proved(tmp_path, *(nothing(files={"index.html": data}, commit=c) for data, c in zip((b"1", b"2"), commits, strict=True)))
    assert (proof.verdict, proof.reason) == (Verdict.WITHIN, "commit eeeeeee, not fffffff; not judged: `index.html`")
    assert proof.compared is not None
    assert proof.compared.largest is not None


def test_other_declarations_are_said(tmp_path: Path) -> None:
    arrays = {"maps": np.array([1.0])}, {"maps": np.array([1.5])}
    first = nothing(arrays=arrays[0], tolerances={"*": Tolerance.TOLD})
    proof = proved(tmp_path, first, nothing(arrays=arrays[1], machine=THERE, tolerances={}))
    assert proof.verdict is Verdict.DIFFERENT
    assert proof.reason.endswith("; the two declare other tolerances: the stricter hold")


def script(folder: Path, digest: str, value: float, machine: Machine = HERE) -> Path:
    program = Program("script", "experiments/tour.py", digest * 64)
    with Run.create(folder, experiment="tour", program=program, config=Config(), seed=0, machine=machine) as run:
        run.arrays({"maps": np.array([value])})
    return folder


@pytest.mark.parametrize(("value", "verdict"), [(1.0, Verdict.IDENTICAL), (2.0, Verdict.DIFFERENT)])
def test_a_script_that_was_changed_is_a_note(tmp_path: Path, value: float, verdict: Verdict) -> None:
    proof = against(script(tmp_path / "a", "a", 1.0), script(tmp_path / "b", "b", value))
    assert proof.verdict is verdict
    assert "`experiments/tour.py` has changed since" in proof.reason
    assert "manifest.json/program" not in proof.reason
