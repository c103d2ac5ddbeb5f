"""Finished work is found by what it depends on, whole or not at all, by any process that sees the folder."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from interp.core.model import Model
from interp.errors import BadFile, InterpError
from interp.featurevis import AscentConfig
from interp.microscope import recipe as loaded
from interp.microscope.looking import Seen
from interp.microscope.optimizing import Kind, Optimize
from interp.microscope.recipe import Recipe
from interp.microscope.store import Store, array_text, key_of, text_array
from interp.microscope.work import Order, Stage, carry_out

ARRAYS = {"one": np.arange(6, dtype=np.float32).reshape(2, 3), "two": np.array([True, False])}


def test_arrays_come_back_and_other_keys_are_not_there(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.open()
    key = key_of("a", 1)
    assert key not in store
    store.put(key, ARRAYS)
    found = store.get(key)
    assert found is not None
    assert found.keys() == ARRAYS.keys()
    assert all(np.array_equal(found[name], ARRAYS[name]) and found[name].dtype == ARRAYS[name].dtype for name in ARRAYS)
    assert store.get(key_of("a", 2)) is None
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]


@pytest.mark.parametrize("harm", ["flip", "cut", "empty", "moved"])
def test_what_is_not_as_it_was_written_is_not_there(tmp_path: Path, harm: str) -> None:
    store = Store(tmp_path)
    store.open()
    key, other = key_of(1), key_of(2)
    store.put(key, ARRAYS)
    path = store.path(key)
    data = bytearray(path.read_bytes())
    if harm == "moved":
        store.path(other).parent.mkdir(exist_ok=True)
        path.rename(store.path(other))
        assert store.get(other) is None
        return
    if harm == "flip":
        data[data.find(ARRAYS["one"].tobytes()) + 5] ^= 1
    path.write_bytes(b"" if harm == "empty" else data[: len(data) // 2] if harm == "cut" else data)
    assert store.get(key) is None


def test_keys_depend_on_every_value_and_on_the_kind_of_value() -> None:
    config = AscentConfig(steps=4)
    stage = Optimize("one", 0, 4, Kind.CHANNEL, 1, config, 0, measured=True)
    others = [
        replace(stage, layer="two"),
        replace(stage, first=1),
        replace(stage, kind=Kind.NEURON),
        replace(stage, config=replace(config, steps=5)),
        replace(stage, seed=1),
        replace(stage, measured=False),
        replace(stage, sizes=(1.0,)),
    ]
    keys = {key_of(one.depends()) for one in (stage, *others)}
    assert len(keys) == len(others) + 1
    assert key_of(stage.depends()) == key_of(replace(stage).depends())


def test_an_example_goes_by_its_picture_not_by_its_number() -> None:
    one = Seen(0, 3, "ab" * 32, 1, 2, (0, 0, 4, 4))
    assert key_of(one) == key_of(replace(one, image=7)) == key_of(replace(one, rank=2))
    assert key_of(one) != key_of(replace(one, sha256="cd" * 32))


def test_texts_are_arrays_and_back() -> None:
    assert array_text(text_array("größe\n")) == "größe\n"
    with pytest.raises(InterpError, match=r"^an array of float32 holds no text$"):
        array_text(np.zeros(1, np.float32))


@dataclass(frozen=True)
class Counted(Stage):
    """The number of torch's threads, and how often it was asked."""

    value: int
    asked: list[int] = field(default_factory=list, metadata={"manifest": False})

    def arrays(self, model: Model) -> dict[str, Any]:
        self.asked.append(torch.get_num_threads())
        return {"value": np.array([self.value])}


@pytest.fixture
def order(tmp_path: Path, trap_model: Model) -> Order:
    store = Store(tmp_path / "store")
    recipe = Recipe("trap")
    loaded.provide(recipe, trap_model)
    return Order(key_of("order"), store.folder, store.open(), recipe, 1, Counted(5))


def test_an_order_is_done_once_on_its_threads_and_leaves_torch_as_it_was(order: Order) -> None:
    before = torch.get_num_threads()
    assert carry_out(order) is None
    assert carry_out(order) is None
    assert isinstance(order.stage, Counted)
    assert order.stage.asked == [1]
    assert torch.get_num_threads() == before
    assert not torch.are_deterministic_algorithms_enabled()
    found = Store(order.folder).get(order.key)
    assert found is not None
    assert found["value"].tolist() == [5]


def test_a_worker_that_sees_another_folder_hands_the_arrays_back(order: Order) -> None:
    """As on a machine where the same path is another folder: it has no mark, or another."""
    for elsewhere in (replace(order, mark="another"), replace(order, folder=order.folder / "none")):
        arrays = carry_out(elsewhere)
        assert arrays is not None
        assert arrays["value"].tolist() == [5]
    assert order.key not in Store(order.folder)


def test_a_worker_with_other_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InterpError, match=r"^a worker loads other weights for 'embedded' \([0-9a-f]{8}, the microscope is of 00000000\)"):
        Recipe("embedded", random_weights=True, sha256="0" * 64).load()


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadFile, match=r"cannot be kept in .*: (Not a directory|File exists); make room"):
        Store(tmp_path / "file" / "store").open()
    assert os.listdir(tmp_path) == ["file"]
