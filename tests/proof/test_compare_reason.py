"""The reason of a proof: whoever reads that a run holds reads of what it was not judged by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from two_runs import HERE, SPEC, THERE, Config, Made, nothing, write

from interp.cli.commands import COMMANDS
from interp.cli.verify import completed
from interp.proof.inputs import Search, Staged
from interp.proof.proof import Proof, against, prove
from interp.proof.replay import Settings
from interp.proof.verdict import Verdict
from interp.runs import CommitEntry, Machine, Manifest, Program, Run, Tolerance


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


@dataclass(frozen=True)
class Newer:
    steps: int = 8
    pace: str = "slow"
    loading: tuple[str, ...] = ()


def test_options_that_were_added_since_are_one_note_of_an_identical_run(tmp_path: Path) -> None:
    def again(manifest: Manifest, staged: Staged, out: Path, settings: Settings) -> None:
        write(out, nothing(config=Newer()))

    proof = prove(write(tmp_path / "a", nothing(config=Config())), Search(tmp_path), again=again)
    assert proof.verdict is Verdict.IDENTICAL
    assert proof.reason == 'options added since, at their defaults: `config.pace` "slow" and 1 more'
    assert proof.compared is not None
    assert proof.compared.largest is None


def test_of_two_finished_runs_the_program_says_what_its_defaults_are(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a", nothing()), write(tmp_path / "b", nothing(config=Newer(pace="quick")))
    assert against(first, second).verdict is Verdict.WITHIN
    for pace, verdict in (("quick", Verdict.IDENTICAL), ("slow", Verdict.DIFFERENT)):
        now = {"class": "Newer", "steps": 8, "pace": pace, "loading": []}
        assert against(first, second, completed=lambda _, now=now: now).verdict is verdict


def test_the_options_of_a_command_are_read_as_it_reads_them_now(tmp_path: Path) -> None:
    manifest = Manifest.read(write(tmp_path / "a", nothing()))
    assert completed(manifest) is None
    of_kernels = replace(manifest, program=Program("command", "kernels"), config={"class": "Kernels", "count": 4})
    found = completed(of_kernels)
    assert found is not None
    assert (found["count"], found["layers"]) == (4, list(COMMANDS["kernels"]().layers))
    assert completed(replace(of_kernels, config={"class": "Kernels", "count": "four"})) is None
    assert completed(replace(of_kernels, program=Program("script", "kernels", "a" * 64))) is None


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
