"""Killed with SIGKILL in each stage, or stopped by a full disk, the same build goes on, and the site is that of a build without."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_site import contents, write_inputs

STEPS, CHUNKS, PICTURES, BATCH = 2, 5, 13, 4
JOBS = (
    "whole:none",
    *("killed:pass", "killed:none"),
    *("many:pass", "many:optimization", "many:pages", "many:none"),
    *("cost:optimization", "cost:none"),
    *("full:disk", "full:none"),
)

Told = dict[str, dict[str, Any]]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("resume")
    write_inputs(made)
    return made


@pytest.fixture(scope="module")
def told(folder: Path) -> Told:
    """How each job ended, in their order."""
    script = Path(__file__).with_name("small_site.py")
    done = subprocess.run([sys.executable, str(script), str(folder), *JOBS], capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return dict(zip(JOBS, json.loads(done.stdout), strict=True))


def test_a_build_that_nothing_stops_works_on_everything_once(folder: Path, told: Told) -> None:
    assert told["whole:none"]["steps"] == STEPS * CHUNKS
    assert (folder / "whole" / "site" / "one" / "5" / "index.html").is_file()


def test_killed_in_every_stage_the_site_is_the_same(folder: Path, told: Told) -> None:
    site = folder / "many" / "site"
    assert [told[job]["code"] for job in JOBS if job.startswith("many")] == [-9, -9, -9, 0]
    # What was finished when the pages were written is found, all of it.
    assert told["many:none"]["steps"] == 0
    assert contents(site) == contents(folder / "whole" / "site")
    assert not list(site.rglob("*.partial"))


def test_a_kill_in_the_pass_costs_one_batch(folder: Path, told: Told) -> None:
    assert told["killed:pass"]["code"] == -9
    # 13 pictures in batches of 4, killed in the third: the checkpoint behind the second holds 8, and they are not read for the pass again.
    again = told["killed:none"]["photos"] - (told["whole:none"]["photos"] - PICTURES)
    assert again <= PICTURES - 4
    assert contents(folder / "killed" / "site") == contents(folder / "whole" / "site")


def test_a_kill_in_the_optimization_costs_one_chunk(told: Told) -> None:
    assert told["cost:optimization"]["code"] == -9
    # Killed in the last step of the second of five chunks: the first is not made again.
    assert told["cost:none"]["steps"] == STEPS * (CHUNKS - 1)


def test_a_full_disk_is_one_line_and_the_same_build_goes_on(folder: Path, told: Told) -> None:
    error = told["full:disk"]["error"]
    assert "No space left on device" in error
    assert "make room, and the same command goes on from there" in error
    assert "\n" not in error
    assert contents(folder / "full" / "site") == contents(folder / "whole" / "site")
