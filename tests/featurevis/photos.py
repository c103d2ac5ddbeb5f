"""Pictures that are not square, and what it means that two are equal."""

from __future__ import annotations

import torch


def photos(n: int = 2, rows: int = 9, cols: int = 14, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.rand(n, 3, rows, cols, dtype=dtype, generator=torch.Generator().manual_seed(5))


def close(actual: torch.Tensor, expected: torch.Tensor, tolerance: float = 1e-12) -> bool:
    torch.testing.assert_close(actual, expected, rtol=0, atol=tolerance)
    return True


def vector(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)
