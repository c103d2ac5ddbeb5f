"""The nearest valid choice is named."""

from __future__ import annotations

import pytest

from interp.errors import BadFile, InterpError, UnknownName, Unsupported, nearest


@pytest.mark.parametrize("kind", [UnknownName, BadFile, Unsupported])
def test_every_error_is_an_interp_error(kind: type[InterpError]) -> None:
    assert issubclass(kind, InterpError)


def test_nearest_by_edit_distance_ignores_case() -> None:
    assert nearest("Resnet5O", ["resnet50", "vgg11"]) == "did you mean 'resnet50'?"


def test_nearest_finds_a_part_of_a_long_name() -> None:
    assert nearest("conv2", ["layer4.1.downsample.conv2", "fc"]) == "did you mean 'layer4.1.downsample.conv2'?"


def test_nothing_near_gives_nothing() -> None:
    assert nearest("zzzz", ["conv1"]) == ""
    assert nearest("", ["conv1"]) == ""


def test_choices_are_named_as_they_are_written_and_once() -> None:
    assert nearest("default", ["DEFAULT", "DEFAULT"]) == "did you mean 'DEFAULT'?"
