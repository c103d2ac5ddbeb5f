"""Which number formats a device computes in hardware."""

from __future__ import annotations

import torch


def has_fast_bf16(device: torch.device) -> bool:
    """True where bfloat16 is computed in hardware; elsewhere it is emulated and slower than float32."""
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    if device.type != "cuda":
        return False
    with torch.cuda.device(device):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
