"""Tasks in this process and in others: results by name, errors as they are, killed workers, no process left behind."""

from __future__ import annotations

import importlib.util
import operator
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from interp import parallel
from interp.errors import InterpError, Unsupported
from interp.parallel import Here, Processes, Ray, Task


def die_once(mark: str, value: int) -> int:
    path = Path(mark)
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return value


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(word: str) -> None:
    raise Unsupported(f"no {word}")


@pytest.fixture(scope="module")
def pool() -> Any:
    with Processes(2) as runner:
        yield runner


def test_here_does_tasks_in_order_and_tells_of_each() -> None:
    seen: list[tuple[str, int]] = []
    tasks = [Task(f"t{k}", operator.mul, (k, 2)) for k in range(4)]
    found = parallel.run(tasks, Here(), lambda task, result: seen.append((task.name, result)))
    assert found == {"t0": 0, "t1": 2, "t2": 4, "t3": 6}
    assert seen == [("t0", 0), ("t1", 2), ("t2", 4), ("t3", 6)]


def test_processes_give_what_this_process_gives(pool: Processes) -> None:
    tasks = [Task(f"t{k}", operator.pow, (k, 3)) for k in range(9)]
    assert parallel.run(tasks, pool) == parallel.run(tasks, Here())
    assert parallel.run([Task("who", os.getpid)], pool)["who"] != os.getpid()


def test_an_error_of_a_task_is_raised_as_it_is(pool: Processes) -> None:
    for runner in (Here(), pool):
        with pytest.raises(Unsupported, match=r"^no thing$"):
            parallel.run([Task("a", operator.add, (1, 1)), Task("b", refuse, ("thing",))], runner)


def test_a_task_whose_process_is_killed_is_done_again(tmp_path: Path) -> None:
    counts: dict[str, int] = {}

    def count(task: Task, result: object) -> None:
        counts[task.name] = counts.get(task.name, 0) + 1

    with Processes(2) as runner:
        found = parallel.run([Task(f"t{k}", die_once, (str(tmp_path / "mark"), k)) for k in range(7)], runner, count)
    assert found == {f"t{k}": k for k in range(7)}
    assert set(counts.values()) == {1}


def test_a_task_that_kills_every_process_ends_the_work() -> None:
    with (
        Processes(1) as runner,
        pytest.raises(InterpError, match=r"^workers were killed 4 times at 'bad': fewer workers take less memory$"),
    ):
        parallel.run([Task("bad", die)], runner)


def test_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, time\n"
        "from interp import parallel\n"
        "if __name__ == '__main__':\n"
        "    with parallel.Processes(2) as runner:\n"
        "        found = parallel.run([parallel.Task(str(k), os.getpid) for k in range(4)], runner)\n"
        "        print(*set(found.values()), flush=True)\n"
        "        parallel.run([parallel.Task('long', time.sleep, (600,))], runner)\n"
    )
    child = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    pids = [int(word) for word in child.stdout.readline().split()]
    assert pids
    child.kill()
    child.wait()
    child.stdout.close()
    end = time.monotonic() + 60
    while any(alive(pid) for pid in pids) and time.monotonic() < end:
        time.sleep(0.1)
    assert not [pid for pid in pids if alive(pid)]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process that ended, and nobody asked after, has no memory.
    status = Path(f"/proc/{pid}/status")
    return not status.exists() or "VmRSS" in status.read_text()


def test_two_tasks_of_one_name_are_refused() -> None:
    with pytest.raises(InterpError, match=r"^two tasks have the name 'a': give each its own$"):
        parallel.run([Task("a", int), Task("b", int), Task("a", int)], Here())


@pytest.mark.parametrize("make", [lambda: Processes(0), lambda: Ray(count=0)])
def test_no_worker_at_all_is_refused(make: Any) -> None:
    with pytest.raises(InterpError, match=r"^0 workers were asked for: give at least 1$"):
        make()


def test_ray_that_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InterpError, match=r"needs the package ray, which is not installed: `pip install 'interp\[distributed\]'`$"):
        Ray()


@pytest.mark.parametrize("address", ["nonsense", "host:", ":80", "host:99999", "host:x", "ray://"])
def test_what_is_no_address_is_refused(address: str) -> None:
    pytest.importorskip("ray")
    with pytest.raises(
        InterpError, match=r"is no address of a Ray cluster: write host:port, such as 10\.0\.0\.1:6379, or ray://host:10001$"
    ):
        Ray(address)


def test_a_cluster_that_is_not_there_is_one_line() -> None:
    pytest.importorskip("ray")
    with socket.socket() as taken:  # a port that nobody listens at
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(
            InterpError, match=rf"^no Ray cluster answers at '{address}' \(connection refused\): start one with `ray start --head`$"
        ):
            Ray(address)
