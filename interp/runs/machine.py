"""On what a run was made, as far as it decides the last bits of a result."""

from __future__ import annotations

import platform
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# Versions of these decide the arithmetic; of the others only how a result is shown.
NUMERIC = ("torch", "torchvision", "captum", "torch-lucent", "timm", "numpy", "scipy", "scikit-learn", "scikit-image", "pillow")
# A line of /proc/cpuinfo, and what in there tells one kind of core from another.
_LINE = re.compile(r"^([^:\n]*?)[ \t]*:[ \t]*(.*?)[ \t]*$", re.MULTILINE)
_X86, _ARM = ("cpu family", "model", "stepping"), ("implementer", "part", "variant", "revision")


@dataclass(frozen=True)
class Machine:
    """``processor`` and ``capability`` (the instructions torch uses on it), device and its name, threads, precision.

    ``device`` is as torch writes it, ``accelerator`` its name or "". ``precision`` is what float32 products are computed in.
    ``unrepeatable`` says in words why results may differ from one run to the next even here; () where they repeat.
    """

    system: str
    processor: str
    capability: str = ""
    device: str = "cpu"
    accelerator: str = ""
    threads: int = 1
    precision: str = "float32"
    unrepeatable: tuple[str, ...] = ()


def differences(
    first: Machine, second: Machine, versions: Mapping[str, str] | None = None, others: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Why bits may differ between two machines, each in words such as ``threads 1, not 2``; () where they must not.

    ``versions`` and ``others`` are those of the packages at the first and second; only `NUMERIC` ones count.
    """
    found = [
        f"{name} {_said(getattr(first, name))}, not {_said(getattr(second, name))}"
        for name in ("system", "processor", "capability", "device", "accelerator", "threads", "precision")
        if getattr(first, name) != getattr(second, name)
    ]
    versions, others = versions or {}, others or {}
    found += [
        f"{name} {versions.get(name, 'absent')}, not {others.get(name, 'absent')}"
        for name in NUMERIC
        if versions.get(name) != others.get(name)
    ]
    return (*found, *dict.fromkeys((*first.unrepeatable, *second.unrepeatable)))


def system_name() -> str:
    """Operating system and processor family, such as ``Linux x86_64``: no release, no name of the host."""
    return f"{platform.system()} {platform.machine()}".strip()


def processor_name() -> str:
    """The processor's model as the system tells it, with family and stepping where it does; "unknown" where it does not."""
    told = platform.processor()
    if platform.system() == "Linux":
        told = _of_linux(_text_of(Path("/proc/cpuinfo"))) or told
    elif platform.system() == "Darwin":
        told = _of_macos() or told
    return told.strip() or "unknown"


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _of_linux(text: str) -> str:
    """From what stands in ``/proc/cpuinfo``: of x86 ``NAME (family/model/stepping)``, of ARM who made which part; "" where neither stands.

    A processor may have cores of several kinds: each is named, in the order of its name.
    """
    cores = [dict(_LINE.findall(block)) for block in re.split(r"\n\s*\n", text)]
    return " + ".join(sorted({name for core in cores if (name := _core(core))}))


def _core(told: Mapping[str, str]) -> str:
    numbers = "/".join(told[key] for key in _X86 if told.get(key))
    arm = ", ".join(f"{key} {told[f'CPU {key}']}" for key in _ARM if told.get(f"CPU {key}"))
    name = told.get("model name") or told.get("cpu") or ("ARM" if arm else "")
    # Some ARM systems give all cores one vague name ("ARMv8 Processor rev 1"), so the numbers are told there too.
    return f"{name} ({numbers or arm})" if name and (numbers or arm) else name


def _of_macos() -> str:
    try:
        done = subprocess.run(["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "replace").strip()


def _said(value: object) -> str:
    return str(value) or "none"
