"""Where models come from: torchvision and timm by name, the user's own code, weights files, the embedded network.

``load("resnet18")`` is the one door. Importing this package is cheap; torch comes in with the first use of ``load``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interp.zoo.loading import load

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    if name != "load":
        raise AttributeError(f"module 'interp.zoo' has no attribute '{name}'")
    from interp.zoo.loading import load

    return load
