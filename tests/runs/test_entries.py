"""The entries of a manifest: hashes that see dtype, shape and bytes; inputs by name, hash and where they lay."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

from interp.errors import InterpError
from interp.runs.entries import InputEntry, Role, array_hash, file_hash


def test_the_hash_is_of_dtype_shape_and_bytes() -> None:
    array = np.arange(6, dtype=np.int32).reshape(2, 3)
    expected = hashlib.sha256(b'["int32",[2,3]]\n' + array.tobytes()).hexdigest()
    assert array_hash(array) == expected
    assert array_hash(array.reshape(3, 2)) != expected
    assert array_hash(array.view(np.uint32)) != expected
    assert array_hash(array.view(np.float32)) != expected
    changed = array.copy()
    changed.view(np.uint8)[1, 4] ^= 1
    assert array_hash(changed) != expected


def test_the_hash_ignores_how_the_elements_lie_in_memory() -> None:
    array = np.arange(6, dtype=np.int32).reshape(2, 3)
    for same in (np.asfortranarray(array), array.astype(">i4"), np.repeat(array, 2, axis=1)[:, ::2]):
        assert array_hash(same) == array_hash(array)


def test_the_hash_tells_empty_shapes_and_signs_of_zero_apart() -> None:
    shapes: list[tuple[int, ...]] = [(0,), (0, 3), (3, 0)]
    assert len({array_hash(np.zeros(shape)) for shape in shapes}) == 3
    assert array_hash(np.array(1.0)) != array_hash(np.array([1.0]))
    assert array_hash(np.array(0.0)) != array_hash(np.array(-0.0))


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([None]), np.array([1j]), np.array(0, dtype="M8[s]")])
def test_arrays_that_cannot_be_stored_are_refused(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> None:
    with pytest.raises(InterpError, match=re.escape(f"arrays of dtype {array.dtype} are not stored; use")):
        array_hash(array)


def test_inputs_are_hashed_and_go_by_base_name(tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(b"cat")
    digest = hashlib.sha256(b"cat").hexdigest()
    assert InputEntry.of(path) == InputEntry("cat.png", digest, 3, "cat.png", Role.PICTURE)
    assert InputEntry.of_bytes("cat.png", b"cat") == InputEntry("cat.png", digest, 3, "", Role.PICTURE)
    assert InputEntry.of(path, Role.WEIGHTS).role is Role.WEIGHTS
    assert file_hash(path) == (digest, 3)
    with pytest.raises(InterpError, match=r"cannot read the input `.*dog\.png`: No such file"):
        InputEntry.of(tmp_path / "dog.png")


def test_inputs_below_the_current_folder_keep_their_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_bytes(b"cat")
    (tmp_path / "dog.png").write_bytes(b"dog")
    monkeypatch.chdir(tmp_path)
    assert InputEntry.of(Path("photos/cat.png")).path == "photos/cat.png"
    assert InputEntry.of(Path("./photos/cat.png")).path == "photos/cat.png"
    monkeypatch.chdir(tmp_path / "photos")
    assert InputEntry.of(Path("../dog.png")).path == "dog.png"
    assert InputEntry.of(Path("../photos/cat.png")).path == "cat.png"
