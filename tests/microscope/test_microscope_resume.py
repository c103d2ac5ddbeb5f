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
# One site is stopped in every stage in turn, another by nothing.
STOPS = ("stopped:pass", "stopped:optimization", "stopped:disk", "stopped:pages", "stopped:none")
JOBS = ("whole:none", *STOPS)

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


def test_stopped_in_every_stage_the_site_is_the_same(folder: Path, told: Told) -> None:
    site = folder / "stopped" / "site"
    # The full disk is refused in one line, the others are killed.
    assert [told[job]["code"] for job in STOPS] == [-9, -9, 0, -9, 0]
    assert contents(site) == contents(folder / "whole" / "site")
    assert not list(site.rglob("*.partial"))


def test_a_kill_in_the_pass_costs_one_batch(told: Told) -> None:
    # 13 pictures in batches of 4, killed as the third was read, ahead of the second: the checkpoint behind the first holds 4.
    beside = told["whole:none"]["photos"] - PICTURES  # read for natural maxima
    assert told["stopped:pass"]["photos"] == 2 * BATCH + 3
    assert told["stopped:optimization"]["photos"] <= PICTURES - BATCH + beside


def test_a_kill_in_the_optimization_costs_one_chunk(told: Told) -> None:
    # Killed in the last step of the second of five chunks: the first is not made again. The next build makes the second, and the third,
    # which the disk does not take; the one after that has three left.
    assert told["stopped:optimization"]["steps"] == 2 * STEPS
    assert told["stopped:disk"]["steps"] == 2 * STEPS
    assert told["stopped:pages"]["steps"] == (CHUNKS - 2) * STEPS


def test_a_kill_in_the_pages_costs_no_picture_and_no_step(told: Told) -> None:
    assert told["stopped:none"]["steps"] == 0
    # By those that stand for all its work is known again.
    assert told["stopped:none"]["photos"] == told["whole:none"]["photos"] - PICTURES


def test_a_full_disk_is_one_line_and_the_same_build_goes_on(told: Told) -> None:
    error = told["stopped:disk"]["error"]
    assert "No space left on device" in error
    assert "make room, and the same command goes on from there" in error
    assert "\n" not in error
