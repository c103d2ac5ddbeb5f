"""What fuzzing found once, each as the smallest input that showed it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from fuzzing import seeds
from fuzzing.targets import resigned

from interp.attribution.registry import method
from interp.cli.commands import COMMANDS
from interp.cli.configured import Given, read
from interp.cli.settings import changed, settings
from interp.core.model import Model
from interp.errors import BadFile, InterpError, UnknownName
from interp.runs.configfile import from_yaml, read_config, to_yaml
from interp.runs.manifest import Manifest
from interp.runs.plain import config_entry

KIND = COMMANDS["visualize"]


@pytest.mark.parametrize("text", ["--1", "---", "-", "9" * 5000, "-" + "9" * 5000, "\u0663"])
def test_what_only_looks_like_the_number_of_a_class(trap_model: Model, text: str) -> None:
    with pytest.raises(UnknownName, match=r"^no class"):
        trap_model.class_unit(text)


@pytest.mark.parametrize("tag", ["!!bool maybe", "!!timestamp never", "!!float ''", "!!int x"])
def test_a_tag_that_does_not_fit_its_value(tag: str) -> None:
    with pytest.raises(BadFile, match=r"^x is not YAML: "):
        from_yaml(tag, "x")
    options = config_entry(KIND())
    asked = settings([f"steps={tag}"], options, "visualize")
    with pytest.raises(InterpError, match=r"^--set steps=.*`config.steps` is "):
        changed(options, asked, KIND)


@pytest.mark.parametrize("digits", [19, 309, 400, 4299, 5000])
def test_numbers_without_end(digits: int, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(f"rate: {'9' * digits}")
    with pytest.raises(InterpError):
        read(KIND, tmp_path / "config.yaml", Given("interp visualize", "command", "visualize"))
    if digits > 308:
        with pytest.raises(InterpError, match=r"^the n_steps of the method 'integrated-gradients' is '9+': give a whole number$"):
            method(f"integrated-gradients:n_steps={'9' * digits}")


def test_a_size_that_no_file_has() -> None:
    value = json.loads(seeds.MANIFEST.to_json())
    value["files"]["index.html"]["bytes"] = 10**400
    with pytest.raises(BadFile, match=r"^m: `files\.index\.html\.bytes` is more than anything has: \d+ at most$"):
        Manifest.from_json(resigned(value).decode("ascii"), "m")


@pytest.mark.parametrize("name", ["exp\u00e9rience", "a\nsteps: 3", "\x1b[2J", "\ud800", "`"])
def test_options_of_a_program_of_any_name_are_read_back(name: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes(to_yaml(name, {"steps": 128, "words": ["a"]}))
    assert read_config(tmp_path / "config.yaml").options == {"steps": 128, "words": ["a"]}


def test_lime_draws_from_no_global_generator(trap_model: Model) -> None:
    images = trap_model.preprocess(seeds_photo())
    before = np.random.get_state(legacy=True)  # noqa: NPY002
    method("lime:n_samples=5,n_segments=3").make()(trap_model, images, [trap_model.class_unit(0)])
    after = np.random.get_state(legacy=True)  # noqa: NPY002
    assert before[2:] == after[2:]
    np.testing.assert_array_equal(before[1], after[1])


def seeds_photo() -> object:
    from interp.images import Photo

    return Photo("p", np.random.default_rng(0).integers(0, 255, (12, 12, 3), dtype=np.uint8), "")
