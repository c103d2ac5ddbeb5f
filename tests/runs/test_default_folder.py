"""The folder a run gets when nobody names one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from interp.runs import default_folder


@dataclass(frozen=True)
class Options:
    steps: int = 8


def test_the_default_folder_says_when_which_and_how(tmp_path: Path) -> None:
    now = datetime(2026, 11, 21, 4, 5, 6)
    digest = hashlib.sha256(b'{\n  "steps": 8\n}\n').hexdigest()[:8]
    folder = default_folder(tmp_path, "tour", "timm/vit base", Options(), now)
    assert folder == tmp_path / "tour" / f"20261121-040506-timm-vit-base-{digest}"
    assert default_folder(tmp_path, "tour", "timm/vit base", Options(9), now) != folder
    folder.mkdir(parents=True)
    second = default_folder(tmp_path, "tour", "timm/vit base", Options(), now)
    assert second == folder.with_name(f"{folder.name}-2")
    second.symlink_to("nowhere")
    assert default_folder(tmp_path, "tour", "timm/vit base", Options(), now).name == f"{folder.name}-3"


def test_a_default_folder_stays_below_its_root(tmp_path: Path) -> None:
    folder = default_folder(tmp_path, "../..", "/home/me/net.pt", Options(), datetime(2026, 1, 1))
    assert folder.parent == tmp_path / "unnamed"
    assert "-net.pt-" in folder.name
