"""Work that repeats bit for bit, as far as the device can; and what it cannot, in words.

Threads add in whatever order they come, unless they are told otherwise: on CUDA in many operations; on the CPU, measured with two
threads, in the gradient of indexing with repeated indices (`index_put` that accumulates) and in no other that is used here. A few
know no other way, and say so in a warning. MPS has no such mode.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TextIO

import torch

# cuBLAS reads it once, when CUDA starts.
_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
_COMPLAINTS = re.compile(r"does not have a deterministic implementation|non-deterministic algorithm|operation is not deterministic")


class Repeatable:
    """``with Repeatable() as repeatable:`` around all the work; ``repeatable.on(device)`` once it is known where that is done.

    Every setting of torch is as before outside. `reasons` says what did not repeat.
    """

    def __init__(self) -> None:
        self._settings = ExitStack()
        self._found: dict[str, None] = {}

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why results may differ from one time to the next, in the words of a manifest; () where nothing was seen that makes them."""
        return tuple(sorted(self._found))

    def __enter__(self) -> Repeatable:
        if torch.cuda.is_available() and not torch.cuda.is_initialized():
            self._settings.enter_context(_environment(_WORKSPACE, ":4096:8"))
        self._settings.enter_context(_deterministic())
        self._settings.enter_context(_complaints(self._note))
        return self

    def __exit__(self, *error: object) -> None:
        self._settings.close()

    def on(self, device: torch.device) -> None:
        """Settle what only the kind of ``device`` asks for."""
        if device.type == "cuda":
            for setting in _settings():
                self._settings.enter_context(setting)

    def _note(self, message: str) -> None:
        operation, found, _ = message.strip().partition(" does not have a deterministic implementation")
        self._found[f"{operation} has no deterministic form" if found else operation.splitlines()[0].partition(". ")[0]] = None


@contextmanager
def on_threads(count: int) -> Iterator[None]:
    """So many of torch's threads inside: sums are split by their number, so the last bits depend on it."""
    with _set(torch.get_num_threads, torch.set_num_threads, count):
        yield


def _settings() -> Iterator[Any]:
    """Of CUDA: no choice of algorithms by their speed, no TF32, attention by plain products."""
    yield _set(lambda: torch.backends.cudnn.benchmark, lambda value: setattr(torch.backends.cudnn, "benchmark", value), False)
    yield _set(lambda: torch.backends.cudnn.allow_tf32, lambda value: setattr(torch.backends.cudnn, "allow_tf32", value), False)
    yield _set(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "highest")
    # Its backward pass repeats only in a mode that raises instead of warning.
    yield _set(torch.backends.cuda.mem_efficient_sdp_enabled, torch.backends.cuda.enable_mem_efficient_sdp, False)


@contextmanager
def _deterministic() -> Iterator[None]:
    """Sums in one order. That new memory is filled as well, against programs that read what they never wrote, would cost time."""
    filled: Any = torch.utils.deterministic
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    with _set(lambda: filled.fill_uninitialized_memory, lambda value: setattr(filled, "fill_uninitialized_memory", value), False):
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before[0], warn_only=before[1])


@contextmanager
def _set(get: Callable[[], Any], put: Callable[[Any], object], value: object) -> Iterator[None]:
    before = get()
    put(value)
    try:
        yield
    finally:
        put(before)


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """The variable, where the user has not set it."""
    if name in os.environ:
        yield
        return
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]


@contextmanager
def _complaints(note: Callable[[str], None]) -> Iterator[None]:
    """Warnings that an operation does not repeat go to ``note``; all others go their way."""
    with warnings.catch_warnings():
        warnings.filterwarnings("always", f".*(?:{_COMPLAINTS.pattern})")
        show = warnings.showwarning

        def caught(
            message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None, line: str | None = None
        ) -> None:
            if _COMPLAINTS.search(str(message)):
                note(str(message))
            else:
                show(message, category, filename, lineno, file, line)

        warnings.showwarning = caught
        yield
