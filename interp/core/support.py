"""What a device offers: its name, its memory, and in which numbers it computes fast and the same each time."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import torch

from interp.core.precision import has_fast_bf16
from interp.runs.machine import processor_name

_MIB = 1 << 20
# From this generation on (Ampere) CUDA devices round float32 products to TF32, where they are let.
_TF32 = 8


@dataclass(frozen=True)
class Support:
    """One device. ``memory`` and ``free`` in bytes, None where the system does not tell; the rest in words.

    ``bfloat16``: fast or not; ``float32``: how its products are computed here and now; ``repeats``: whether results do bit for bit.
    """

    device: str
    name: str
    memory: int | None
    free: int | None
    bfloat16: str
    float32: str
    repeats: str

    def __str__(self) -> str:
        known = None if self.memory is None else f"{in_words(self.memory)}{'' if self.free is None else f', {in_words(self.free)} free'}"
        return "; ".join(filter(None, (self.name, known, self.bfloat16, self.float32, self.repeats)))


def support(device: torch.device) -> Support:
    """What ``device`` offers; of CUDA this starts it. Raises RuntimeError where the device is there but cannot be used."""
    fast = "bfloat16 fast" if has_fast_bf16(device) else "bfloat16 slow"
    if device.type == "cuda":
        free, memory = torch.cuda.mem_get_info(device)
        return Support(str(device), _cuda_name(device), memory, free, fast, _tf32(device), "repeats where deterministic algorithms exist")
    if device.type == "mps":
        return Support(str(device), processor_name(), None, None, fast, "float32 exact", "no deterministic mode")
    capability = f"{processor_name()}, {torch.backends.cpu.get_cpu_capability()}"
    cores = f"{os.cpu_count() or '?'} cores, {torch.get_num_threads()} threads"
    return Support("cpu", f"{capability}; {cores}", _memory(), _free(), fast, _exact(), "repeats")


def in_words(count: int) -> str:
    """Bytes as ``1.5 GiB`` or ``300 MiB``."""
    return f"{count / (1 << 30):.1f} GiB" if count >= 1 << 30 else f"{count / _MIB:.0f} MiB"


def _cuda_name(device: torch.device) -> str:
    major, minor = torch.cuda.get_device_capability(device)
    return f"{torch.cuda.get_device_name(device)}, compute {major}.{minor}, CUDA {torch.version.cuda or torch.version.hip or 'unknown'}"


def _tf32(device: torch.device) -> str:
    if torch.cuda.get_device_capability(device)[0] < _TF32:
        return "float32 exact, no TF32"
    return "TF32 there, off while runs are made"


def _exact() -> str:
    precision = torch.get_float32_matmul_precision()
    return "float32 exact" if precision == "highest" else f"float32 products {precision}"


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return None


def _free() -> int | None:
    try:
        told = re.search(r"^MemAvailable:\s+(\d+) kB$", Path("/proc/meminfo").read_text(encoding="ascii", errors="replace"), re.MULTILINE)
    except OSError:
        return None
    return None if told is None else int(told[1]) * 1024
