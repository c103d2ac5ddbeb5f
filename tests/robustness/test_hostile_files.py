"""Files made to harm: bombs, code, ways out of the folder. Each is made here, refused in one line, and nothing comes of it."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fuzzing import seeds
from PIL import Image
from safetensors.torch import save_file

from interp import images
from interp.cli.commands import COMMANDS
from interp.cli.configured import Given
from interp.cli.configured import read as read_options
from interp.errors import BadFile, InterpError
from interp.masks import from_coco, from_folder, from_voc
from interp.proof.record import read_record
from interp.proof.stamped import stamp_in
from interp.runs.manifest import Manifest
from interp.runs.verify import verify
from interp.zoo import weights

PHOTO = images.Photo("p", np.zeros((7, 9, 3), np.uint8), "")


@pytest.fixture(autouse=True)
def nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test works in a folder inside of another, which nothing may touch; and no canary sings."""
    inside = tmp_path / "outer" / "inner"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    yield
    assert [path.name for path in tmp_path.iterdir()] == ["outer"]
    assert [path.name for path in (tmp_path / "outer").iterdir()] == ["inner"]
    assert not Path("canary").exists()


def png(width: int, height: int, packed: bytes = b"") -> bytes:
    """A PNG that says it has so many pixels, with ``packed`` for them."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", packed), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


def webp(side: int) -> bytes:
    """A lossless WebP whose header says ``side`` x ``side``."""
    out = io.BytesIO()
    Image.new("RGB", (4, 4)).save(out, "WEBP", lossless=True)
    data = bytearray(out.getvalue())
    at = data.index(b"VP8L") + 9
    (bits,) = struct.unpack_from("<I", data, at)
    struct.pack_into("<I", data, at, bits & ~0x0FFFFFFF | (side - 1) | (side - 1) << 14)
    return bytes(data)


HUGE_PICTURES = {
    "bomb.png": png(30_000, 30_000, zlib.compress(bytes(10_000_000), 9)),
    "sides.png": png(2**31 - 1, 2**31 - 1),
    "long.png": png(2**31 - 1, 1),
    "bomb.webp": webp(16_383),
}


@pytest.mark.parametrize("name", HUGE_PICTURES)
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(name).write_bytes(HUGE_PICTURES[name])
    Path("masks").mkdir()
    (Path("masks") / f"p{Path(name).suffix}").write_bytes(HUGE_PICTURES[name])
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("it was decoded"))
    with pytest.raises(BadFile, match=r"the picture '.*' (has \d+ x \d+ px, more than 200 million|cannot be decoded: .*bomb)"):
        images.read(Path(name))
    with pytest.raises(BadFile, match=r"the mask '.*' (has \d+ x \d+ px, more than 200 million|cannot be decoded: .*bomb)"):
        from_folder([PHOTO], "masks")


@pytest.mark.parametrize("size", [(9, 7), (3000, 3000)])
def test_a_picture_whose_pixels_are_not_all_there_is_refused(size: tuple[int, int]) -> None:
    Path("p.png").write_bytes(png(*size, zlib.compress(b"\0" * 20)))
    with pytest.raises(BadFile, match=r"the picture 'p\.png' cannot be decoded"):
        images.read(Path("p.png"))


def test_a_text_that_unpacks_to_very_much_is_not_read_whole() -> None:
    text = b"interp\0\0" + zlib.compress(bytes(80_000_000), 9)
    chunk = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    small = seeds.pictures()[0]
    with pytest.raises(BadFile, match=r"^`x` is a PNG that is damaged: .*") as told:
        stamp_in(small[:33] + chunk + small[33:], "x")
    assert len(str(told.value)) < 300


def bomb(name: str = "archive/data/0") -> bytes:
    """A .pt whose one tensor of zeros is packed a thousandfold."""
    whole = io.BytesIO()
    torch.save({"weight": torch.zeros(5_000_000)}, whole)
    packed = io.BytesIO()
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for item in old.namelist():
            new.writestr(item, old.read(item))
    return packed.getvalue()


def test_weights_that_unpack_to_very_much_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = bomb()
    assert len(data) < 100_000
    Path("w.pt").write_bytes(data)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was unpacked"))
    with pytest.raises(BadFile, match=r"^the weights file 'w\.pt' has \d+ bytes, and unpacks to 20\d{6}: torch saves weights unpacked"):
        weights.read(Path("w.pt"))


def code_by_opcodes() -> bytes:
    """What no ``__reduce__`` writes: the call by its letters, in the oldest protocol."""
    return b"cos\nsystem\n(S'touch canary'\ntR."


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_code_in_a_pickle_does_not_run(protocol: int) -> None:
    for name in ("w.pt", "w.pth", "w.bin", "w.ckpt"):
        Path(name).write_bytes(pickle.dumps({"weight": torch.zeros(2), "call": seeds.Call()}, protocol=protocol))
        with pytest.raises(BadFile):
            weights.read(Path(name))


@pytest.mark.parametrize("data", [*(data for data in seeds.weights()["pt"] if b"canary" in data), code_by_opcodes()])
def test_code_in_a_weights_file_does_not_run(data: bytes) -> None:
    assert b"canary" in data
    Path("w.pt").write_bytes(data)
    with contextlib.suppress(BadFile):  # weights may be read beside it, if the code is left where it is
        weights.read(Path("w.pt"))


def test_an_array_of_objects_is_not_unpickled() -> None:
    np.save("a.npy", np.array([seeds.Call()], dtype=object), allow_pickle=True)
    with pytest.raises(BadFile, match=r"a\.npy"):
        images.read(Path("a.npy"))


NAMES = ("../../outside", "/outside", "a/../../b", "c:\\x", "x" * 5000, "\x1b[2J", "<script>alert(1)</script>")


def test_the_names_of_tensors_lead_nowhere() -> None:
    save_file({name: torch.zeros(1) for name in NAMES}, "w.safetensors")
    state = weights.read(Path("w.safetensors"))
    assert set(state) == set(NAMES)
    with pytest.raises(BadFile, match=r"is not of this network \(Sequential\): .*7 unexpected"):
        weights.apply(seeds.network(), state, Path("w.safetensors"))


def forged(change: Callable[[dict[str, object]], object]) -> str:
    """A manifest with another content, and digests that fit."""
    from fuzzing.targets import resigned

    value = json.loads(seeds.MANIFEST.to_json())
    change(value)
    return resigned(value).decode("ascii")


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "C:\\x", "\\\\host\\share", "a//b", "./a", "a\0b", "\ud800", ""])
def test_a_manifest_names_no_file_outside_of_its_folder(path: str) -> None:
    def change(value: dict[str, object]) -> None:
        value["files"][path] = {"sha256": "ab" * 32, "bytes": 1}  # type: ignore[index]

    with pytest.raises(BadFile, match=r"^m: (`files`: the path .* is refused|`files.*` holds an absolute path)"):
        Manifest.from_json(forged(change), "m")


def test_links_in_a_run_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "outer" / "inner" / "secret"
    secret.write_bytes(b"secret")
    run = Path("run")
    (run / "figures").mkdir(parents=True)
    (run / "manifest.json").write_text(seeds.MANIFEST.to_json())
    (run / "figures" / "grid.png").symlink_to(secret)
    (run / "index.html").symlink_to(tmp_path)
    (run / "arrays.safetensors").symlink_to("/dev/zero")
    (run / "more").symlink_to(tmp_path, target_is_directory=True)
    problems = {problem.name: problem for problem in verify(run).problems}
    assert "a link or a special file" in problems["figures/grid.png"].detail
    assert {"index.html", "more"} <= problems.keys()
    assert secret.read_bytes() == b"secret"


YAML = {
    "aliases": "a: &a [x, x]\n" + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20)),
    "itself": "&a [*a]",
    "merge": "a: &a {b: 1}\nc:\n  <<: *a",
    "depth": "steps: " + "[" * 5000 + "]" * 5000,
    "blocks": "".join(" " * i + "a:\n" for i in range(900)),
    "code": "steps: !!python/object/apply:os.system ['touch canary']",
    "code by name": "steps: !!python/name:os.system",
    "boolean": "steps: !!bool maybe",
    "time": "steps: !!timestamp never",
    "float": "steps: !!float ''",
    "binary": "steps: !!binary '=='",
    "set": "? steps\n? seed",
    "digits": f"steps: {'9' * 5000}",
    "twice": "".join(f"k{i}: 1\n" for i in range(4000)) + "k3999: 2\n",
    "control": "steps: \x1b[2J",
    "large": f"steps: {'x' * (1 << 20)}",
}


@pytest.mark.parametrize("name", YAML)
def test_options_that_grow_or_run_are_refused(name: str) -> None:
    Path("config.yaml").write_text(YAML[name], encoding="utf-8")
    with pytest.raises(InterpError, match=r"^`config(\.yaml|\.\w+)`|^`config\.yaml`: ") as told:
        read_options(COMMANDS["visualize"], Path("config.yaml"), Given("interp visualize", "command", "visualize"))
    assert len(str(told.value)) < 2000


@pytest.mark.parametrize("depth", [60, 5000, 100_000])
def test_deep_nesting_is_refused_everywhere(depth: int) -> None:
    deep = "[" * depth + "]" * depth
    Path("c.json").write_text(f'{{"images": {deep}, "annotations": []}}')
    Path("verified.json").write_text(f'{{"format": 1, "runs": {deep}}}')
    Path("p.xml").write_text("<annotation>" + "<object>" * depth + "</object>" * depth + "</annotation>")
    for read in (lambda: from_coco([PHOTO], "c.json"), lambda: read_record(Path("verified.json")), lambda: from_voc([PHOTO], "p.xml")):
        with pytest.raises(BadFile):
            read()


def test_entities_of_xml_are_not_expanded() -> None:
    laughs = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12))
    text = f'<!DOCTYPE annotation [<!ENTITY l0 "ha">{laughs}<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&l11;&x;</annotation>'
    Path("p.xml").write_text(text)
    with pytest.raises(BadFile, match=r"declares a document type \(DOCTYPE\), which is not read"):
        from_voc([PHOTO], "p.xml")
    svg = text.replace("annotation", "svg").encode()
    with pytest.raises(BadFile, match=r"declares entities, which no figure needs"):
        stamp_in(svg, "x")


@pytest.mark.parametrize(
    "region",
    [
        {"segmentation": [[0, 0, 10**400, 0, 1, 1]]},
        {"segmentation": [[1e308, 1e308, -1e308, 1e308, 0, -1e308]]},
        {"segmentation": {"size": [7, 9], "counts": [10**4000, 10**4000]}},
        {"segmentation": {"size": [7, 9], "counts": "o" * 100_000}},
        {"segmentation": {"size": [10**9, 10**9], "counts": [10**18]}},
        {"bbox": [0, 0, 10**400, 1]},
        {"bbox": [-1e308, 0, -1e308, 1]},
    ],
)
def test_numbers_beyond_all_pictures_are_refused(region: dict[str, object]) -> None:
    head = {"images": [{"id": 1, "file_name": "p.jpg"}], "annotations": [{"image_id": 1, "id": 1, **region}]}
    Path("c.json").write_text(json.dumps(head))
    with pytest.raises(BadFile, match=r"annotation 1 of 'c\.json'|nothing in the 1 pictures") as told:
        from_coco([PHOTO], "c.json")
    assert len(str(told.value)) < 500


def test_a_number_that_no_float_holds_is_refused_as_an_option() -> None:
    Path("config.yaml").write_text(f"rate: {'9' * 400}\nsteps: 3")
    with pytest.raises(InterpError):
        read_options(COMMANDS["visualize"], Path("config.yaml"), Given("interp visualize", "command", "visualize"))


def test_a_hostile_manifest_is_read_as_text() -> None:
    """Texts that may stand in a manifest are kept as they are: what shows them makes them harmless (see the tests of pages)."""
    odd = replace(seeds.MANIFEST, about=replace(seeds.MANIFEST.about, title='"><svg onload=alert(1)>\x1b[2J\ud800'))
    assert Manifest.from_json(odd.to_json()) == odd
