"""A script: a Ray cluster of two nodes on this machine, tasks on it of which one kills its worker, and a microscope made there.

Prints as JSON what came out. Ray's own warnings stay in this process.
"""

from __future__ import annotations

import json
import operator
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any


def die_once(mark: str, value: int) -> int:
    """``value``; the first process that is asked is killed."""
    path = Path(mark)
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return value


def refuse() -> None:
    from interp.errors import Unsupported

    raise Unsupported("no such thing")


def workers() -> list[int]:
    """The processes below this one that do a task of Ray's at this moment."""
    parents: dict[int, int] = {}
    names: dict[int, str] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                stat, line = (path / "stat").read_text(), (path / "cmdline").read_text()
            except OSError:
                continue
            parents[int(path.name)] = int(stat.rpartition(")")[2].split()[1])
            names[int(path.name)] = line

    def below(pid: int) -> bool:
        while pid in parents:
            if pid == os.getpid():
                return True
            pid = parents[pid]
        return False

    # By the names of the tasks: Ray's own helpers are called so too, and a node ends with them.
    return [pid for pid, name in names.items() if re.match(r"ray::(one|two|fc):", name) and below(pid)]


def started(kind: Any) -> Any:
    """A cluster of two nodes; begun again where one is given up: on a busy machine parts of it take longer than Ray waits."""
    for last in (False, False, True):
        cluster = kind(initialize_head=False)
        try:
            cluster.add_node(num_cpus=1, include_dashboard=False)
            cluster.add_node(num_cpus=1, wait=False)
            cluster.wait_for_nodes(120)
        except Exception:
            cluster.shutdown()
            if last:
                raise
        else:
            return cluster
    return None


def main(folder: Path) -> None:
    # Of a busy machine, which starts a node in minutes; read as Ray is loaded.
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "60")
    from ray.cluster_utils import Cluster
    from small_site import building, contents

    from interp import parallel
    from interp.errors import InterpError
    from interp.microscope import build

    told: dict[str, Any] = {}
    build(building(folder, folder / "here" / "site"), parallel.Here())
    cluster = started(Cluster)
    try:
        with parallel.Ray(cluster.address) as runner:
            told["workers"] = runner.workers
            tasks = [parallel.Task(f"sum {k}", operator.add, (k, 1)) for k in range(8)]
            told["sums"] = parallel.run(tasks, runner)
            mark = str(folder / "died")
            told["retried"] = parallel.run([parallel.Task(f"t{k}", die_once, (mark, k)) for k in range(4)], runner)
            told["died"] = Path(mark).exists()
            for name, task in (("refused", parallel.Task("r", refuse)), ("failed", parallel.Task("f", operator.truediv, (1, 0)))):
                try:
                    parallel.run([task], runner)
                except InterpError as error:
                    told[name] = f"{type(error).__name__}: {error}"
            killed: list[int] = []

            def tick(stage: str, done: int, total: int) -> None:
                if stage == "optimizing units" and done and not killed and (found := workers()):
                    killed.append(found[0])
                    os.kill(found[0], signal.SIGKILL)

            build(building(folder, folder / "ray" / "site"), runner, tick)
            told["killed"] = len(killed)
    finally:
        cluster.shutdown()
    here, there = contents(folder / "here" / "site"), contents(folder / "ray" / "site")
    told["differing"] = [name for name in here.keys() | there.keys() if here.get(name) != there.get(name)]
    stores = [folder / name / ".site.work" / "arrays" for name in ("here", "ray")]
    files = [{p.relative_to(store).as_posix(): p.read_bytes() for p in store.rglob("*.safetensors")} for store in stores]
    told["arrays"], told["same arrays"] = len(files[0]), files[0] == files[1]
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
