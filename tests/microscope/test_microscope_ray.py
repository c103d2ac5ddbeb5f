"""On a real Ray cluster of two nodes' workers, one of which is killed in the middle, the results are those of one process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_site import write_inputs

pytest.importorskip("ray", reason="Ray is an extra")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the script saw: it has the one cluster of this module, and the warnings of Ray."""
    folder = tmp_path_factory.mktemp("ray")
    write_inputs(folder)
    script = Path(__file__).with_name("on_ray.py")
    done = subprocess.run([sys.executable, str(script), str(folder)], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_tasks_are_done_by_both_nodes_and_given_back_by_name(told: dict[str, Any]) -> None:
    assert told["workers"] == 2
    assert told["sums"] == {f"sum {k}": k + 1 for k in range(8)}


def test_a_task_whose_worker_is_killed_is_done_again(told: dict[str, Any]) -> None:
    assert told["died"] is True
    assert told["retried"] == {f"t{k}": k for k in range(4)}


def test_errors_of_tasks_come_back_in_one_line(told: dict[str, Any]) -> None:
    assert told["refused"] == "Unsupported: no such thing"
    assert told["failed"] == "InterpError: the task 'f' failed on the cluster: ZeroDivisionError: division by zero"


def test_a_microscope_made_there_is_that_of_one_process_though_a_worker_was_killed(told: dict[str, Any]) -> None:
    assert told["killed"] == 1
    assert told["arrays"] > 10
    assert told["same arrays"] is True
    assert told["differing"] == []
