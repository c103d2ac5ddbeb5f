"""The machine as torch sees it: what a manifest records of it."""

from __future__ import annotations

import torch

from interp.runs.machine import Machine, processor_name, system_name


def machine(device: torch.device) -> Machine:
    """The machine on which ``device`` is computed, with the threads and the precision that torch uses now."""
    return Machine(
        system=system_name(),
        processor=processor_name(),
        capability=torch.backends.cpu.get_cpu_capability(),
        device=str(device),
        accelerator=torch.cuda.get_device_name(device) if device.type == "cuda" else "",
        threads=torch.get_num_threads(),
        precision=_precision(device),
        unrepeatable=_unrepeatable(device),
    )


def _precision(device: torch.device) -> str:
    """What products of float32 are computed in."""
    matmul = torch.get_float32_matmul_precision()
    if device.type == "cuda" and torch.backends.cudnn.allow_tf32:
        return f"float32, matmul {matmul}, convolutions TF32"
    return "float32" if matmul == "highest" else f"float32, matmul {matmul}"


def _unrepeatable(device: torch.device) -> tuple[str, ...]:
    """Why results on ``device`` may not repeat bit for bit; () where they do."""
    if device.type == "mps":
        return ("MPS has no deterministic mode",)
    if device.type == "cuda" and not torch.are_deterministic_algorithms_enabled():
        return ("CUDA sums in any order unless told otherwise",)
    return ()
