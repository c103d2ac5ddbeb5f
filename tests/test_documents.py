"""The page on own networks: its files are written and its commands run, as a reader would, in one folder."""

from __future__ import annotations

import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest

from interp.cli import run
from interp.figures import Rendered

PAGE = Path(__file__).parent.parent / "docs" / "own-networks.md"


def blocks() -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = re.findall(r"```(python|console)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return found


def test_every_file_and_command_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("interp.report.product.figures.render", lambda *_: Rendered({"png": b"png", "pdf": b"pdf"}, 8, 8))
    before = set(sys.modules)
    commands = 0
    try:
        for kind, text in blocks():
            if kind == "python":
                name = re.match(r"# (\w+\.py)\n", text)
                assert name is not None, text
                (tmp_path / name[1]).write_text(text)
                continue
            for line in text.splitlines():
                words = shlex.split(line)
                if words[0] == "python":
                    runpy.run_path(words[1], run_name="__main__")
                    continue
                assert words[:3] == ["uv", "run", "interp"], line
                assert run(words[3:]) == 0, line
                commands += 1
    finally:
        for name in set(sys.modules) - before:
            if getattr(sys.modules[name], "__file__", None) and Path(str(sys.modules[name].__file__)).is_relative_to(tmp_path):
                del sys.modules[name]
    assert commands >= 10


def test_the_page_names_every_option_of_the_model() -> None:
    from dataclasses import fields

    from interp.cli.options import ModelOptions

    text = PAGE.read_text(encoding="utf-8")
    of_inputs = {field.name for field in fields(ModelOptions)} - {"random_weights", "seed", "device", "memory"}
    assert {name for name in of_inputs if f"--{name.replace('_', '-')}" not in text} == set()
