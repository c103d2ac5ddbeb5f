"""Shards of WebDataset, data sets of Hugging Face and torchvision: read where they lie, nothing unpacked, nothing unpickled."""

from __future__ import annotations

import builtins
import gzip
import inspect
import io
import pickle
import struct
import sys
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from interp import datasets
from interp.datasets.torchvision_sets import NAMES
from interp.errors import BadFile, InterpError, UnknownName


class TestShards:
    def test_pictures_with_their_labels(self, tmp_path: Path, png, tar) -> None:  # type: ignore[no-untyped-def]
        members = {
            "a/01.cls": b"3",
            "a/01.png": png(1),
            "a/02.json": b'{"label": "dog"}',
            "a/02.png": png(2),
            "a/03.txt": b"x",
            "b.v.png": png(3),
        }
        data = datasets.open(tar(tmp_path / "x.tar", members))
        assert [data.name(k) for k in range(len(data))] == ["a/01.png", "a/02.png", "b.v.png"]
        assert [data.label(k) for k in range(len(data))] == ["3", "dog", None]
        np.testing.assert_array_equal(data.photo(1).pixels, np.array(Image.open(io.BytesIO(png(2)))))
        assert [p.name for p in tmp_path.iterdir()] == ["x.tar"]

    def test_a_folder_of_shards(self, tmp_path: Path, png, tar) -> None:  # type: ignore[no-untyped-def]
        tar(tmp_path / "b.tar", {"1.png": png(1)})
        tar(tmp_path / "a.tar", {"1.png": png(2)})
        data = datasets.open(tmp_path)
        assert [data.name(k) for k in range(2)] == ["a/1.png", "b/1.png"]
        assert data.photo(0).sha256 != data.photo(1).sha256
        assert [below for _, below in data.files()] == ["a.tar", "b.tar"]

    def test_hostile_members(self, tmp_path: Path, png) -> None:  # type: ignore[no-untyped-def]
        secret = tmp_path / "secret.png"
        secret.write_bytes(png(9))
        path = tmp_path / "x.tar"
        with tarfile.open(path, "w") as file:
            for name, kind, link in (
                ("s.png", tarfile.SYMTYPE, str(secret)),
                ("h.png", tarfile.LNKTYPE, "s.png"),
                ("d.png", tarfile.CHRTYPE, ""),
            ):
                member = tarfile.TarInfo(name)
                member.type, member.linkname = kind, link
                file.addfile(member)
            for name in ("../up.png", "/etc/root.png", "ok.png"):
                member = tarfile.TarInfo(name)
                member.size = len(png(1))
                file.addfile(member, io.BytesIO(png(1)))
            bomb = tarfile.TarInfo("deep.json")
            bomb.size = 200_000
            file.addfile(bomb, io.BytesIO(b"[" * 200_000))
        data = datasets.open(path)
        assert [data.name(k) for k in range(len(data))] == ["../up.png", "etc/root.png", "ok.png"]
        assert data.photo(0).pixels.shape == (9, 11, 3)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["secret.png", "x.tar"]

    def test_cut_off_and_damaged(self, tmp_path: Path, png, tar) -> None:  # type: ignore[no-untyped-def]
        path = tar(tmp_path / "x.tar", {"1.png": png(1), "2.png": b"no picture"})
        data = datasets.open(path)
        with pytest.raises(BadFile, match=r"the picture '2\.png' is in none of the formats"):
            data.photo(1)
        path.write_bytes(path.read_bytes()[:600])
        with pytest.raises(BadFile, match=r"'1\.png' in 'x\.tar' is cut off after 88 of \d+ bytes"):
            data.photo(0)
        (tmp_path / "y.tar").write_bytes(b"no tar at all" * 100)
        with pytest.raises(BadFile, match=r"y\.tar' is no tar file that can be read"):
            datasets.open(tmp_path / "y.tar")
        with pytest.raises(BadFile, match=r"holds no picture"):
            datasets.open(tar(tmp_path / "z.tar", {"1.txt": b"x"}))

    def test_compressed(self, tmp_path: Path, png, tar) -> None:  # type: ignore[no-untyped-def]
        data = gzip.compress(tar(tmp_path / "x.tar", {"1.png": png(1)}).read_bytes())
        for name in ("x.tar.gz", "y.tar"):
            (tmp_path / name).write_bytes(data)
            with pytest.raises(BadFile, match="is compressed, and would have to be unpacked"):
                datasets.open(tmp_path / name)


class TestHuggingFace:
    def saved(self, folder: Path, png, labels: bool = True):  # type: ignore[no-untyped-def]
        import datasets as hub

        columns = {"picture": [{"bytes": png(k), "path": None} for k in range(4)], "text": list("abcd")}
        features = {"picture": hub.Image(), "text": hub.Value("string")}
        if labels:
            columns["label"], features["label"] = [1, 0, 1, 1], hub.ClassLabel(names=["cat", "dog"])
        made = hub.Dataset.from_dict(columns, features=hub.Features(features))
        made.save_to_disk(folder)
        return made

    def test_rows_with_their_labels(self, tmp_path: Path, png) -> None:  # type: ignore[no-untyped-def]
        self.saved(tmp_path / "set", png)
        data = datasets.open(tmp_path / "set")
        assert (len(data), data.title, data.labels) == (4, "set", ("cat", "dog"))
        assert [data.label(k) for k in range(4)] == ["dog", "cat", "dog", "dog"]
        np.testing.assert_array_equal(data.photo(2).pixels, np.array(Image.open(io.BytesIO(png(2)))))
        assert {below for _, below in data.files()} >= {"state.json", "dataset_info.json"}

    def test_several_parts(self, tmp_path: Path, png) -> None:  # type: ignore[no-untyped-def]
        import datasets as hub

        one = self.saved(tmp_path / "x", png, labels=False)
        hub.DatasetDict({"train": one, "test": one}).save_to_disk(tmp_path / "both")
        with pytest.raises(BadFile, match=r"has the parts train, test: give one of them, such as .*/both/train"):
            datasets.open(tmp_path / "both")
        assert len(datasets.open(tmp_path / "both" / "test")) == 4
        hub.DatasetDict({"train": one}).save_to_disk(tmp_path / "single")
        assert datasets.open(tmp_path / "single").labels == ()

    def test_damaged_and_without_pictures(self, tmp_path: Path, png) -> None:  # type: ignore[no-untyped-def]
        import datasets as hub

        hub.Dataset.from_dict({"a": [1]}).save_to_disk(tmp_path / "none")
        with pytest.raises(BadFile, match="has no column of pictures: there are a"):
            datasets.open(tmp_path / "none")
        self.saved(tmp_path / "set", png)
        (tmp_path / "set" / "state.json").write_text("{")
        with pytest.raises(BadFile, match="cannot be read as a Hugging Face data set"):
            datasets.open(tmp_path / "set")

    def test_a_path_is_not_followed(self, tmp_path: Path, png) -> None:  # type: ignore[no-untyped-def]
        self.saved(tmp_path / "set", png)
        (tmp_path / "out.png").write_bytes(png(1))
        data = datasets.open(tmp_path / "set")
        data._rows = [{"picture": {"bytes": None, "path": str(tmp_path / "out.png")}}, {"picture": None}]  # type: ignore[attr-defined]
        for row, what in enumerate(("a path", "nothing")):
            with pytest.raises(BadFile, match=f"'row {row}' holds no picture, only {what}"):
                data.photo(row)

    def test_without_the_extra(self, tmp_path: Path, png, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
        self.saved(tmp_path / "set", png)
        real = builtins.__import__

        def without(name: str, *rest: object, **more: object) -> object:
            if name == "datasets":
                raise ImportError(name)
            return real(name, *rest, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(builtins, "__import__", without)
        with pytest.raises(InterpError, match=r"is a Hugging Face data set: `pip install 'interp\[datasets\]'` brings"):
            datasets.open(tmp_path / "set")


class TestParquet:
    def table(self, png, rows=range(4), **columns):  # type: ignore[no-untyped-def]
        pictures = pa.array([{"bytes": png(k), "path": f"{k}.png"} for k in rows], pa.struct({"bytes": pa.binary(), "path": pa.string()}))
        return pa.table({"thumbnail": pa.array([b"x"] * len(rows)), "image": pictures, **columns})

    def test_rows_of_several_files_and_groups(self, tmp_path: Path, png) -> None:  # type: ignore[no-untyped-def]
        pq.write_table(self.table(png, label=[1, 0, 1, 1]), tmp_path / "b.parquet", row_group_size=3)
        pq.write_table(self.table(png, range(4, 7), label=[0, 0, 5]), tmp_path / "a.parquet", row_group_size=2)
        data = datasets.open(tmp_path)
        assert (len(data), data.title, data.labels) == (7, tmp_path.name, ("0", "1", "5"))
        assert [data.name(k) for k in (0, 2, 3, 6)] == ["a/row 0", "a/row 2", "b/row 0", "b/row 3"]
        assert [data.label(k) for k in range(7)] == ["0", "0", "5", "1", "0", "1", "1"]
        for index, seed in zip((6, 0, 3, 2, 5), (3, 4, 0, 6, 2), strict=True):
            np.testing.assert_array_equal(data.photo(index).pixels, np.array(Image.open(io.BytesIO(png(seed)))))
        assert [below for _, below in data.files()] == ["a.parquet", "b.parquet"]
        assert [datasets.open(tmp_path / "b.parquet").name(k) for k in (0, 3)] == ["row 0", "row 3"]

    def test_names_of_classes(self, tmp_path: Path, png) -> None:  # type: ignore[no-untyped-def]
        import datasets as hub

        features = hub.Features({"img": hub.Image(), "fine_label": hub.ClassLabel(names=["cat", "dog"])})
        rows = {"img": [{"bytes": png(k), "path": None} for k in range(2)], "fine_label": [1, 0]}
        hub.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "hub.parquet")
        beside = pa.array(["ant", "bee", "ant", "bee"])
        pq.write_table(self.table(png, label=[4, 2, 4, 2], name=beside), tmp_path / "beside.parquet")
        pq.write_table(self.table(png, label=["x", "y", None, "y"], name=pa.array(list("abcd"))), tmp_path / "files.parquet")
        pq.write_table(self.table(png), tmp_path / "none.parquet")
        found = {name: datasets.open(tmp_path / f"{name}.parquet") for name in ("hub", "beside", "files", "none")}
        said = {name: [data.label(k) for k in range(len(data))] for name, data in found.items()}
        assert said["hub"] == ["dog", "cat"]
        assert said["beside"] == ["ant", "bee", "ant", "bee"]
        assert said["files"] == ["x", "y", None, "y"]
        assert said["none"] == [None] * 4

    def test_a_table_beside_pictures_is_none(self, tree: Path) -> None:
        pq.write_table(pa.table({"file": ["cat/a.png"], "label": ["cat"]}), tree / "metadata.parquet")
        assert datasets.open(tree).labels == ("cat", "dog")

    def test_what_cannot_be_read(self, tmp_path: Path, png) -> None:  # type: ignore[no-untyped-def]
        path, (other, empty, text) = tmp_path / "a.parquet", (tmp_path / f"x/{name}.parquet" for name in ("b", "c", "d"))
        other.parent.mkdir()
        rows = pa.array([{"bytes": None, "path": "/etc/passwd"}, None], pa.struct({"bytes": pa.binary(), "path": pa.string()}))
        pq.write_table(pa.table({"image": rows}), path)
        for row, what in enumerate(("a path", "nothing")):
            with pytest.raises(BadFile, match=f"'row {row}' holds no picture, only {what}"):
                datasets.open(path).photo(row)
        pq.write_table(pa.table({"image": ["text"]}), other)
        with pytest.raises(BadFile, match=r"b\.parquet' has no column of pictures, encoded bytes: there are image"):
            datasets.open(other)
        pq.write_table(self.table(png, range(0)), empty)
        with pytest.raises(BadFile, match=r"'c\.parquet' holds no rows"):
            datasets.open(empty)
        text.write_text("PAR1 no table")
        with pytest.raises(BadFile, match=r"d\.parquet' cannot be read as Parquet: "):
            datasets.open(text)

    def test_files_of_one_folder_are_of_one_kind(self, tmp_path: Path, png) -> None:  # type: ignore[no-untyped-def]
        pq.write_table(self.table(png), tmp_path / "a.parquet")
        pq.write_table(self.table(png, label=[0, 0, 0, 0]), tmp_path / "b.parquet")
        with pytest.raises(BadFile, match=r"b\.parquet' has the columns thumbnail, image, label, and the first file thumbnail, image"):
            datasets.open(tmp_path)

    def test_fewer_labels_than_rows(self, tmp_path: Path, png, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
        pq.write_table(self.table(png, label=[1, 0, 1, 1]), tmp_path / "a.parquet")
        real = pq.read_table
        monkeypatch.setattr(pq, "read_table", lambda *given, **more: real(*given, **more).slice(0, 2))
        with pytest.raises(BadFile, match=r"a\.parquet' cannot be read as Parquet: it has 4 rows and 2 labels"):
            datasets.open(tmp_path / "a.parquet")

    def test_cut_off_while_it_is_read(self, tmp_path: Path, png) -> None:  # type: ignore[no-untyped-def]
        path = tmp_path / "a.parquet"
        pq.write_table(self.table(png), path, row_group_size=2)
        data = datasets.open(path)
        data.photo(0)
        path.write_bytes(path.read_bytes()[:200])
        assert data.photo(1).pixels.shape == (9, 11, 3)  # of a group that was read
        with pytest.raises(BadFile, match=r"a\.parquet' cannot be read as Parquet: "):
            data.photo(2)


class TestTorchvision:
    def mnist(self, root: Path) -> np.ndarray:
        raw = root / "MNIST" / "raw"
        raw.mkdir(parents=True)
        images = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
        for part in ("train", "t10k"):
            (raw / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">HBBIII", 0, 8, 3, *images.shape) + images.tobytes())
            (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">HBBI", 0, 8, 1, 5) + bytes([5, 0, 4, 1, 9]))
        return images

    @pytest.mark.parametrize("name", ["MNIST", "MNIST/test"])
    def test_mnist(self, tmp_path: Path, name: str) -> None:
        images = self.mnist(tmp_path)
        data = datasets.open(f"torchvision:{name}:{tmp_path}")
        assert [data.label(k) for k in range(5)] == ["5 - five", "0 - zero", "4 - four", "1 - one", "9 - nine"]
        np.testing.assert_array_equal(data.photo(3).pixels[..., 0], images[3])
        assert len(data.files()) == 4

    def test_pickles_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "cifar-10-batches-py").mkdir()
        (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(pickle.dumps({}))
        with pytest.raises(InterpError, match="CIFAR10 is stored as pickles, which can run code, and is not read"):
            datasets.open(f"torchvision:CIFAR10:{tmp_path}")

    def test_none_that_is_read_unpickles(self) -> None:
        from torchvision import datasets as sets

        for name in NAMES:
            source = inspect.getsource(sys.modules[getattr(sets, name).__module__])
            assert "pickle" not in source, name
            assert source.count("torch.load(") == source.count("weights_only=True"), name

    @pytest.mark.parametrize(
        ("reference", "kind", "message"),
        [
            ("MNISTT", UnknownName, "no torchvision data set 'MNISTT' that is read: did you mean 'MNIST'"),
            ("MNIST", BadFile, "MNIST cannot be read in .*: Dataset not found"),
            ("MNIST/half", InterpError, "MNIST has no part 'half': there are train and test"),
            ("STL10/half", BadFile, "STL10 cannot be read in"),
            ("EuroSAT/test", InterpError, "EuroSAT has no parts"),
        ],
    )
    def test_what_is_not_there(self, tmp_path: Path, reference: str, kind: type[InterpError], message: str) -> None:
        with pytest.raises(kind, match=message):
            datasets.open(f"torchvision:{reference}:{tmp_path}")
