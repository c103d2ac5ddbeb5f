"""Map tasks over workers: in this process, in processes of this machine, or on a Ray cluster. Knows nothing of interp.

A task is a module-level function with plain arguments, so that any process can find it by its name. What a killed worker had not
finished is done again by another; results are handed over one by one, in the order in which they are done.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from interp.errors import InterpError

# How often a task is begun again after its worker was killed, before the work ends: a task that kills each worker it gets is not tried
# for ever.
RETRIES = 3
# Seconds that a cluster may take to answer at its address.
PATIENCE = 10.0


@dataclass(frozen=True)
class Task:
    """One piece of work under a ``name`` that stays the same from run to run; ``function`` is found by name in any process."""

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()


OnDone = Callable[[Task, Any], None]
"""Called with each task and its result, in this process, as soon as it is done."""


class Runner(ABC):
    """Where tasks are done."""

    @abstractmethod
    def run(self, tasks: Sequence[Task], on_done: OnDone) -> None:
        """Do all tasks. An error of one ends the work and is raised here."""

    @property
    @abstractmethod
    def workers(self) -> int:
        """How many tasks are under way at once."""

    def close(self) -> None:  # noqa: B027 - most have nothing to let go of
        """Let go of what was started for it."""

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


@dataclass(frozen=True)
class Here(Runner):
    """In this process, one after the other."""

    @property
    def workers(self) -> int:
        return 1

    def run(self, tasks: Sequence[Task], on_done: OnDone) -> None:
        for task in tasks:
            on_done(task, task.function(*task.arguments))


class Processes(Runner):
    """In ``count`` new processes of this machine; they end with this one, however it ends."""

    def __init__(self, count: int) -> None:
        if count < 1:
            raise InterpError(f"{count} workers were asked for: give at least 1")
        self._count = count
        self._pool: ProcessPoolExecutor | None = None

    @property
    def workers(self) -> int:
        return self._count

    def run(self, tasks: Sequence[Task], on_done: OnDone) -> None:
        left = list(tasks)
        for _ in range(RETRIES + 1):
            left = self._round(left, on_done)
            if not left:
                return
        raise InterpError(f"workers were killed {RETRIES + 1} times at '{left[0].name}': fewer workers take less memory")

    def _round(self, tasks: Sequence[Task], on_done: OnDone) -> list[Task]:
        """Do the tasks; gives those that are left where a worker was killed, on which the whole pool breaks."""
        pool = self._pool = self._pool or ProcessPoolExecutor(self._count, multiprocessing.get_context("spawn"), _settle)
        waiting: dict[Future[Any], Task] = {}
        order = iter(tasks)
        broken: list[Task] = []
        try:
            for task in order:
                waiting[pool.submit(task.function, *task.arguments)] = task
                if len(waiting) >= 2 * self._count:
                    broken += _collect(waiting, on_done)
                if broken:
                    break
            while waiting and not broken:
                broken += _collect(waiting, on_done)
        except BrokenProcessPool:  # as a task was handed over, which is left too
            broken.append(task)
        except BaseException:
            self.close()
            raise
        if not broken:
            return []
        # Nothing waits for a pool that broke: what it had is done by the next.
        self._pool = None
        pool.shutdown(wait=False, cancel_futures=True)
        left = {one.name: one for one in (*broken, *waiting.values(), *order)}
        return [task for task in tasks if task.name in left]

    def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is None:
            return
        children = list((getattr(pool, "_processes", None) or {}).values())
        for child in children:
            child.terminate()
        pool.shutdown(wait=True, cancel_futures=True)
        for child in children:
            child.join()


def _collect(waiting: dict[Future[Any], Task], on_done: OnDone) -> list[Task]:
    """Hand over what is done; gives the tasks whose worker was killed."""
    done, _ = wait(waiting, return_when=FIRST_COMPLETED)
    broken = []
    for future in sorted(done, key=lambda one: waiting[one].name):
        task = waiting.pop(future)
        try:
            result = future.result()
        except BrokenProcessPool:
            broken.append(task)
            continue
        on_done(task, result)
    return broken


def _settle() -> None:
    """What a new process sets up: Ctrl-C is for the one that started it, and it ends with that one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


class Ray(Runner):
    """On a Ray cluster that is there already: at ``address`` (host:port, or ray://host:port), or None for the one on this machine.

    ``gpus`` of each task; ``count``: at most so many tasks at once, None for as many as the cluster has room for. Raises InterpError in
    one line, within seconds, where Ray is not installed or no such cluster answers.
    """

    def __init__(self, address: str | None = None, count: int | None = None, gpus: float = 0.0) -> None:
        if count is not None and count < 1:
            raise InterpError(f"{count} workers were asked for: give at least 1")
        if importlib.util.find_spec("ray") is None:
            raise InterpError("work on a cluster needs the package ray, which is not installed: `pip install 'interp[distributed]'`")
        self._count, self._gpus = count, float(gpus)
        with _quiet_ray():
            self._ray: Any = importlib.import_module("ray")
            self._joined = not self._ray.is_initialized()
            if self._joined:
                _join(self._ray, address)
            resources = self._ray.cluster_resources()
        room = resources.get("GPU", 0.0) / gpus if gpus else resources.get("CPU", 0.0)
        if room < 1:
            self.close()
            raise InterpError(f"the Ray cluster has no {'GPU' if gpus else 'CPU'} to work on: choose another --device, or add workers")
        self._room = int(room)

    @property
    def workers(self) -> int:
        return self._room if self._count is None else min(self._count, self._room)

    def run(self, tasks: Sequence[Task], on_done: OnDone) -> None:
        ray = self._ray
        with _quiet_ray():
            remote = ray.remote(_call)
            waiting: dict[Any, Task] = {}
            try:
                for task in tasks:
                    options = remote.options(name=task.name, num_cpus=1, num_gpus=self._gpus, max_retries=RETRIES, retry_exceptions=False)
                    waiting[options.remote(task.function, task.arguments)] = task
                    # Enough to keep every worker busy, and no more in the memory of the cluster.
                    if len(waiting) >= (self._count or 2 * self._room):
                        self._collect(waiting, on_done)
                while waiting:
                    self._collect(waiting, on_done)
            except BaseException:
                for reference in waiting:
                    ray.cancel(reference, force=True)
                raise

    def _collect(self, waiting: dict[Any, Task], on_done: OnDone) -> None:
        done, _ = self._ray.wait(list(waiting), num_returns=1)
        for reference in done:
            task = waiting.pop(reference)
            on_done(task, self._result(reference, task))

    def _result(self, reference: Any, task: Task) -> Any:
        errors = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except errors.RayTaskError as error:
            cause = getattr(error, "cause", None)
            raise cause if isinstance(cause, InterpError) else InterpError(_told(task, cause or error)) from None
        except errors.RayError as error:
            raise InterpError(f"the task '{task.name}' was lost by the cluster: {_line(error)}") from None

    def close(self) -> None:
        if self._joined:
            with _quiet_ray():
                self._ray.shutdown()
            self._joined = False


def _call(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    return function(*arguments)


def _told(task: Task, error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"a worker of the cluster has no module '{error.name}': install interp on every machine of it"
    return f"the task '{task.name}' failed on the cluster: {type(error).__name__}: {_line(error)}"


def _line(error: BaseException) -> str:
    """The first line of a message of Ray's, which run over many."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__


def _join(ray: Any, address: str | None) -> None:
    """Connect, or raise InterpError; nobody waits for minutes for a cluster that is not there."""
    if address is not None and address != "auto":
        _refuse_silent(address)
    try:
        ray.init(address=address or "auto", log_to_driver=False, logging_level=logging.CRITICAL, configure_logging=False)
    except (ConnectionError, RuntimeError, ValueError, OSError, TimeoutError, AssertionError) as error:
        where = f"at '{address}'" if address else "on this machine"
        raise InterpError(f"no Ray cluster answers {where}: start one with `ray start --head`, or name one with --address") from error


def _refuse_silent(address: str) -> None:
    """Raise InterpError where nothing listens at the address."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise InterpError(f"'{address}' is no address of a Ray cluster: write host:port, such as 10.0.0.1:6379, or ray://host:10001")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InterpError(f"no Ray cluster answers at '{address}' ({reason}): start one with `ray start --head`") from None


@contextmanager
def _quiet_ray() -> Iterator[None]:
    """Ray warns of what it itself will do otherwise some day, and leaves pipes of its own to the garbage collector."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=ResourceWarning)
        yield


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def run(tasks: Sequence[Task], runner: Runner, on_done: OnDone = lambda task, result: None) -> dict[str, Any]:
    """Do all ``tasks``; gives their results by name. ``on_done(task, result)`` is called in this process as each is done.

    Raises InterpError for two tasks of one name, and what a task raises; where a worker is killed, another does the task again, up to
    ``RETRIES`` times.
    """
    names = [task.name for task in tasks]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InterpError(f"two tasks have the name '{twice}': give each its own")
    results: dict[str, Any] = {}

    def done(task: Task, result: Any) -> None:
        results[task.name] = result
        on_done(task, result)

    runner.run(tasks, done)
    return results
