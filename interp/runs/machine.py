"""On what a run was made, as far as it decides the last bits of a result."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# Versions of these decide the arithmetic; of the others only how a result is shown.
NUMERIC = ("torch", "torchvision", "captum", "torch-lucent", "timm", "numpy", "scipy", "scikit-learn", "scikit-image", "pillow")


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
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or "unknown"
    found = dict(re.findall(r"^(model name|cpu family|model|stepping)\s*:\s*(.+)$", text, re.MULTILINE)[:4])
    name = found.get("model name", platform.processor() or "unknown").strip()
    numbers = [found[key].strip() for key in ("cpu family", "model", "stepping") if key in found]
    return f"{name} ({'/'.join(numbers)})" if numbers else name


def _said(value: object) -> str:
    return str(value) or "none"
