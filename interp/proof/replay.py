"""A run made again, by a process of its own: other threads, another folder, and nothing of it is left in this one."""

from __future__ import annotations

import contextlib
import copy
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from interp.proof.inputs import Staged, Unrepeatable
from interp.runs.configfile import to_yaml
from interp.runs.manifest import Manifest
from interp.runs.program import checkout, with_saving, words

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# The end of what a process says, in which its one line stands.
_SAID = 1 << 16


@dataclass(frozen=True)
class Settings:
    """What is to be other than recorded: the number of threads, the device."""

    threads: int | None = None
    device: str | None = None


AS_RECORDED = Settings()

Replay = Callable[[Manifest, Staged, Path, Settings], None]
"""Makes the run of a manifest from what is staged into a new folder; raises Unrepeatable where it cannot."""


def replay(manifest: Manifest, staged: Staged, out: Path, settings: Settings) -> None:
    """Make the run again into ``out``, by a process started in ``staged.folder``; ``out``'s parent takes its options and messages.

    Unrepeatable with what the process said in its one line where it fails. Whatever interrupts the waiting ends the process and all
    that it started.
    """
    options = out.parent / "options.yaml"
    options.write_bytes(to_yaml(manifest.experiment, with_parent(with_device(manifest.config, settings.device), manifest.parent)))
    said = out.parent / "said"
    command = words(manifest.program, options, out, staged.script)
    code = run_child(command, staged.folder, environment(manifest, staged, settings), said)
    if code:
        raise Unrepeatable(_told(code, said, out.parent))
    if not out.is_dir():
        raise Unrepeatable(f"`{manifest.program.name}` ended well, but left no run")


def environment(manifest: Manifest, staged: Staged, settings: Settings) -> dict[str, str]:
    """The variables of the process: threads as recorded, this interp, nothing imported from the folder it starts in."""
    threads = str(settings.threads or manifest.machine.threads)
    imports = [checkout(), *([] if staged.imports is None else [staged.imports])]
    return (
        dict(os.environ)
        | dict.fromkeys(THREADS, threads)
        | {"PYTHONPATH": os.pathsep.join(map(str, imports)), "PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    )


def with_device(config: dict[str, object], device: str | None) -> dict[str, object]:
    """The options with another device, where they have one."""
    changed = copy.deepcopy(config)
    for holder in (changed, changed.get("loading")):
        if device is not None and isinstance(holder, dict) and "device" in holder:
            holder["device"] = device
    return changed


def with_parent(config: dict[str, object], parent: str | None) -> dict[str, object]:
    """The options with the identity of the run that this one was derived from, which its page names."""
    derived = None if parent is None else with_saving(config, parent=parent)
    return config if derived is None else derived


def run_child(command: Sequence[str], folder: Path, variables: dict[str, str], said: Path) -> int:
    """The exit code of a process, whose messages go to the file ``said``; interrupted, it is killed with all of its group."""
    process = None
    try:
        with said.open("wb") as messages:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=messages,
                start_new_session=True,
            )
        return process.wait()
    except OSError as error:
        raise Unrepeatable(f"no process can be started: {error.strerror}") from None
    finally:
        if process is not None and process.returncode is None:
            _kill(process)
            process.wait()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the process with all of its group; on Windows, which has no groups of this kind, the process."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _told(code: int, said: Path, work: Path) -> str:
    """Why a process failed, in one line: what it told itself, else the last that it said."""
    if code < 0:
        name = signal.Signals(-code).name if -code in {known.value for known in signal.Signals} else str(-code)
        return f"it was ended by {name} before it was done"
    text = said.read_bytes()[-_SAID:].decode("utf-8", "replace").replace(f"{work.resolve()}{os.sep}", "").replace(f"{work}{os.sep}", "")
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    told = [line.removeprefix("interp: ") for line in lines if line.startswith("interp: ")]
    if told:
        return told[-1]
    return f"it failed: {lines[-1]}" if lines else f"it failed without a word, with exit code {code}"
