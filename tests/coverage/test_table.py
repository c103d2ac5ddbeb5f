"""The page of the matrix: cells, numbered sentences, totals; and records that survive a stop in the middle of a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import coverage_table
import pytest
from coverage_models import references
from torchvision import models
from torchvision.models import list_models

GOOD: dict[str, Any] = {"worked": 3, "asked": 3, "refused": [], "defects": [], "marks": [], "seconds": 1.0}
NONE: dict[str, Any] = {**GOOD, "worked": 0, "asked": 0}
VERSIONS = {"python": "3.11.1", "torch": "2.6", "torchvision": "0.21", "timm": "1.0"}


def missions(reference: str, **cells: dict[str, Any]) -> dict[str, Any]:
    every = {"layers": {**GOOD, "worked": 1, "asked": 1}, **dict.fromkeys(coverage_table.COLUMNS, GOOD), "attention": NONE, **cells}
    return {
        "reference": reference,
        "part": "missions",
        "cells": every,
        "counts": {"layers": 10, "mapped": 8},
        "problems": {"its output is torch.int64": 2},
        "seconds": 12.4,
        "megabytes": 600,
        "versions": VERSIONS,
    }


def places(reference: str, **found: Any) -> dict[str, Any]:
    return {"reference": reference, "part": "alignment", "aligned": 7, "silent": {}, "astray": [], "seconds": 1, "megabytes": 700, **found}


def page(tmp_path: Path, *records: dict[str, Any]) -> str:
    target = tmp_path / "coverage.md"
    coverage_table.write(records, target)
    return target.read_text(encoding="utf-8")


def test_a_row_says_what_works_and_what_refuses(tmp_path: Path) -> None:
    refused = {**GOOD, "worked": 1, "asked": 3, "refused": ["layer 'a.1' gives 49 tokens", "layer 'b.2' gives 16 tokens"]}
    text = page(tmp_path, missions("net", gradcam=refused), places("net"), missions("timm/other", visualize=refused))
    assert "| net | 10, 8 seen | 3 | 3 | 3 | 1 [1] | - | 7 | 12 | 700 |" in text
    assert "| timm/other | 10, 8 seen | 3 | 3 | 1 [1] | 3 | - | not asked | 12 | 600 |" in text
    assert "1. layer '...' gives N tokens\n" in text
    assert "its output is torch.intN: 4 layers of 2 networks" in text
    assert f"2 of the {len(references())} networks of the matrix" in text
    assert "gradcam 4 of 6" in text


def test_defects_and_layers_astray_cannot_be_overlooked(tmp_path: Path) -> None:
    defect = {**GOOD, "worked": 2, "defects": ["KeyError: a|b"]}
    astray = [{"layer": "x", "layout": "maps", "grid": [7, 7], "score": 0.1, "margin": 0.0}]
    text = page(tmp_path, missions("net", kernels=defect), places("net", astray=astray, silent={"no answer": 2}))
    assert "2 **defect** KeyError: a\\|b" in text
    assert "7, 2 silent, **1 astray**" in text
    assert "1 defects" in text
    assert "7 layers aligned, 2 silent, 1 astray" in text


@pytest.mark.parametrize("part", ["missions", "alignment"])
def test_a_network_that_did_not_finish_says_why(tmp_path: Path, part: str) -> None:
    failed = {"reference": "net", "part": part, "failed": "not finished within 60 s", "seconds": 60.0, "megabytes": 0}
    text = page(tmp_path, *([missions("net")] if part == "alignment" else [places("net")]), failed)
    assert "not finished within" in text


def test_the_latest_record_counts(tmp_path: Path) -> None:
    text = page(tmp_path, missions("net"), places("net", aligned=1), places("net", aligned=9))
    assert "| 9 | 12 | 700 |" in text


def test_every_torchvision_classifier_is_in_the_matrix() -> None:
    names = references()
    assert set(list_models(module=models)) <= set(names)
    assert sum(name.startswith("timm/") for name in names) >= 25
    assert len(names) == len(set(names))
    assert references(["resnet18", "resnet*"])[:2] == ["resnet18", "resnet101"]
    assert json.dumps(names)
