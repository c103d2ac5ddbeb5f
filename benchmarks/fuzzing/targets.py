"""The parsers by name: what each is given, and what is asked of it."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from fuzzing import mutation, seeds
from interp import images
from interp.attribution.registry import METHODS
from interp.cli.commands import COMMANDS
from interp.cli.configured import Given, read
from interp.cli.settings import changed, settings
from interp.cli.words import schedule_of, size_of
from interp.core.choices import choice, titled
from interp.core.model import Model
from interp.core.unit import Unit, UnitPattern
from interp.errors import InterpError
from interp.masks import from_coco, from_folder, from_voc
from interp.metrics.registry import METRICS
from interp.proof.record import read_record
from interp.proof.stamped import stamp_in
from interp.runs.configfile import to_yaml
from interp.runs.listing import Condition, Listed
from interp.runs.manifest import _OUTCOME, _PASSING, Manifest
from interp.runs.plain import canonical, canonical_digest, config_entry
from interp.runs.verify import verify
from interp.site.cards import card, status_of
from interp.site.gallery import render_gallery, render_run
from interp.site.readme import render_readme
from interp.zoo import weights
from interp.zoo.loading import load
from interp.zoo.reference import Reference

Made = Callable[[random.Random], bytes]


@dataclass(frozen=True)
class Target:
    """One parser. ``make`` draws an input; ``parse`` reads it, in a folder that is its own, and raises InterpError where it is none."""

    make: Made
    parse: Callable[[bytes, Path], object]


def _mixed(valid: Sequence[bytes], words: Sequence[bytes], *deeper: Callable[[bytes, random.Random], bytes]) -> Made:
    """Valid inputs with some bytes changed, or changed by one of ``deeper``, or nothing but chance."""

    def make(rng: random.Random) -> bytes:
        seed, kind = rng.choice(valid), rng.random()
        if kind < 0.05:
            return mutation.drawn(rng, words)
        if deeper and kind < 0.55:
            with contextlib.suppress(ValueError, LookupError, TypeError, AttributeError, RecursionError):
                return rng.choice(deeper)(seed, rng)
        return mutation.spoiled(seed, rng, words, valid)

    return make


def _words(text: str) -> list[bytes]:
    return [word.encode() for word in text.split()]


def _text(data: bytes) -> str:
    # As a command line gives it: what is no UTF-8 comes as lone surrogates.
    return data.decode("utf-8", "surrogateescape")


@cache
def _model() -> Model:
    return load(seeds.network(), preprocess=images.Preprocess(size=(12, 12), resize=12), classes=["ant", "bee", "cat", "bee", "tabby cat"])


def _tried(*steps: Callable[[], object]) -> int:
    """Each by itself; InterpError if all were refused."""
    refused: InterpError | None = None
    count = 0
    for step in steps:
        try:
            step()
            count += 1
        except InterpError as error:
            refused = error
    if refused is not None and not count:
        raise refused
    return count


def _units(data: bytes, folder: Path) -> None:
    text, model = _text(data), _model()
    UnitPattern.looks_like(text)
    strengths = {layer.name: list(np.linspace(1, 0, layer.channels)) for layer in model.layers if layer.layout is not None}

    def one() -> None:
        unit = Unit.parse(text)
        assert Unit.parse(str(unit)) == unit
        model.unit(unit)

    def several() -> None:
        pattern = UnitPattern.parse(text)
        assert len(pattern.channels_of(64)) <= 64 + len(pattern.channels)
        model.unmapped(text)
        model.units(text, lambda names: {name: strengths[name] for name in names})

    _tried(one, several, lambda: model.class_unit(text), lambda: model.select(text))


def _reference(data: bytes, folder: Path) -> None:
    reference = Reference.parse(_text(data))
    assert Reference.parse(str(reference)) == reference


def _choice(data: bytes, folder: Path) -> None:
    text = _text(data)

    def made(kinds: Mapping[str, type], what: str) -> None:
        titled(choice(text, kinds, what).make(layer="0", seed=0))

    _tried(
        lambda: made(METHODS, "method"),
        lambda: made(METRICS, "metric"),
        lambda: size_of(text),
        lambda: schedule_of(text, "--rate", "step width"),
        lambda: Condition.parse(text),
    )


def _resigned(data: bytes, rng: random.Random) -> bytes:
    return resigned(json.loads(mutation.reshaped_json(data, rng)))


def resigned(value: dict[str, Any]) -> bytes:
    """A manifest's other content, with digests that fit it: a forgery."""
    for name in ("digests", "identity"):
        value.pop(name, None)
    digests = {key: canonical_digest(item) for key, item in value.items() if key not in _PASSING}
    identity = canonical_digest({key: item for key, item in value.items() if key not in {*_PASSING, *_OUTCOME}})
    return canonical(value | {"digests": digests, "identity": identity}).encode("ascii")


def _manifest(data: bytes, folder: Path) -> None:
    """What is read as a manifest is also looked for in its folder, and shown."""
    (folder / "run" / "figures").mkdir(parents=True, exist_ok=True)
    (folder / "run" / "figures" / "grid.png").write_bytes(b"no picture at all")
    (folder / "run" / "manifest.json").write_bytes(data)
    manifest = Manifest.read(folder / "run")
    problems = [problem.name for problem in verify(folder / "run").problems]
    shown = card(Listed(folder / "run", manifest), folder, status_of(manifest.seal, {}, problems), problems)
    render_readme([shown], "results", problems).encode("utf-8")
    for page in (render_gallery([shown], problems), render_run(shown, "../index.html")):
        page.encode("utf-8")
        assert "<script" not in page.lower()
        assert "<svg" not in page.lower()


def _config(data: bytes, folder: Path) -> None:
    path = folder / "config.yaml"
    path.write_bytes(data)
    _tried(*(lambda name=name: read(COMMANDS[name], path, Given(f"interp {name}", "command", name)) for name in ("visualize", "compare")))


def _settings(data: bytes, folder: Path) -> None:
    words = _text(data).split("\n")
    kind = COMMANDS["visualize"]
    options = config_entry(kind())
    changed(options, settings(words, options, "visualize"), kind)
    changed(options, settings(words, options, "tour.py"), None)


def _picture(data: bytes, folder: Path) -> None:
    path = folder / "p.png"
    path.write_bytes(data)
    images.Preprocess(size=(12, 12), resize=12)(images.read(path))


def _array(data: bytes, folder: Path) -> None:
    path = folder / {b"N": "a.npy", b"Z": "a.npz"}.get(data[:1], "a.tif")
    path.write_bytes(data[1:])
    images.load([path], (1,))


def _weights(data: bytes, folder: Path) -> None:
    path = folder / ("w.safetensors" if data[:1] == b"S" else "w.pt")
    path.write_bytes(data[1:])
    module = seeds.network()
    state = weights.read(path)
    weights.other_classes(module, state)
    weights.apply(module, state, path)


def _masks(data: bytes, folder: Path) -> None:
    photo = images.Photo("p", np.zeros((7, 9, 3), np.uint8), "")
    kind, data = data[:1], data[1:]
    name = {b"C": "coco.json", b"V": "voc.xml"}.get(kind, "masks/p.png")
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    if kind == b"C":
        from_coco([photo], path)
        from_coco([photo], path, "cat")
    elif kind == b"V":
        for file in (path, path.rename(folder / "p.xml")):
            from_voc([photo], file, None)
    else:
        from_folder([photo], folder / "masks")


def _record(data: bytes, folder: Path) -> None:
    path = folder / "verified.json"
    path.write_bytes(data)
    read_record(path)


def _stamp(data: bytes, folder: Path) -> None:
    stamp_in(data, "figure")


def _marked(*kinds: tuple[bytes, Made]) -> Made:
    """One of several kinds of file, each with the letter before it that tells which."""

    def make(rng: random.Random) -> bytes:
        letter, made = rng.choice(kinds)
        return letter + made(rng)

    return make


def _of_pngs(valid: Sequence[bytes], words: Sequence[bytes]) -> Callable[[bytes, random.Random], bytes]:
    pngs = [data for data in valid if data.startswith(b"\x89PNG")]
    return lambda data, rng: mutation.rechecked_png(rng.choice(pngs), rng, words, valid)


def _units_made() -> Made:
    valid = _words("0:3 0:3@1,2 0:0-15 *:* 5:top2 1:0-1,3 [0-5]*:1 tabby 5:4 -1 2 0:0-999999999 layer4.1.conv2:37@3,5 *")
    return _mixed(valid, _words(": @ , - * ? [ ] top 0 00 1 9999999999 ! . 0-1 \u0663 \u00a0 --"))


def _references_made() -> Made:
    valid = _words(
        "embedded resnet50 resnet50@IMAGENET1K_V2 timm/convnext_tiny timm/convnext_tiny.fb_in22k net.py:factory "
        "path/to/net.py:Net squeezenet1_0@DEFAULT fcn_resnet50 last.pt"
    )
    return _mixed(valid, _words("@ : / .py timm/ .pt .. embedded \\ C:\\ resnet 50 V1 . _"))


def _choices_made() -> Made:
    valid = _words(
        "occlusion:window=32,stride=8 integrated-gradients:n_steps=64,baseline=blur smoothgrad:around=saliency,samples=4 lime gradcam "
        "deletion:baseline=blur,n_steps=16 road:shares=0.1+0.5 96x128 0.5:0.1 steps=128 rise:masks=none sensitivity deep-lift"
    )
    names = [name.encode() for name in (*METHODS, *METRICS)]
    return _mixed([*valid, *names], [*_words(": = , + none true false 1e9 -1 0 x inf nan 1_000 seed= batch_size= layer="), *names])


def _config_made() -> Made:
    valid = [to_yaml(name, config_entry(COMMANDS[name]())) for name in ("visualize", "compare")]
    words = _words(
        ": - [ ] { } & * ! | > % @ ` ? --- ... << !!int !!float !!binary !!timestamp !!set !!omap !!pairs !!bool !!null "
        "!!python/object/apply:os.system &a *a steps: seed: 1e-3 .inf .nan 0x1F 2024-01-01 ~ null true '\"' #"
    )
    keys = [line.split(b":")[0].strip() + b": " for data in valid for line in data.splitlines()[1:]]
    return _mixed([*valid, *seeds.manifests()], [*words, *keys, b"\n", b"\n  ", b": ", b"- "])


def _settings_made() -> Made:
    valid = _words("steps=512 saving.dpi=200 images=cat,coffee layers=[stem,fc] seed=1 size=96x128 loading.seed=3 saving.formats=png,svg")
    keys = [f"{key}=".encode() for key in config_entry(COMMANDS["visualize"]())]
    words = [*_words("= , . [ ] { } none null true 1e3 ' \" : & * ! -- !!timestamp !!bool x"), b"\n", *keys]
    return _mixed([*valid, b"\n".join(valid[:3])], words)


def _weights_made() -> Made:
    files = seeds.weights()
    words = [
        *_words("float32 BF16 F64 data_offsets shape dtype __metadata__ cos\nsystem ctorch\n_utils ../../x state_dict"),
        b"cos\nsystem\n",
    ]
    zips = [data for data in files["pt"] if data.startswith(b"PK")]
    tensors = _mixed(files["safetensors"], words, mutation.resized_safetensors)
    torch = _mixed(files["pt"], words, lambda _, rng: mutation.repacked(rng.choice(zips), rng, words, files["pt"]))
    return _marked((b"S", tensors), (b"T", torch))


def _masks_made() -> Made:
    pictures, words = seeds.pictures(), _words("IHDR IDAT PLTE tRNS")
    tags = _words(
        "<object> </object> <bndbox> <xmin> </xmin> <size> <name> 1e999 nan -1 &amp; &x; "
        "<!DOCTYPE <!ENTITY <![CDATA[ ]]> <?xml encoding='x'?>"
    )
    letters = _words('{ } [ ] , : "segmentation" "counts" "size" "bbox" "id" 1e999 NaN -1 null')
    return _marked(
        (b"P", _mixed(pictures, words, _of_pngs(pictures, words))),
        (b"C", _mixed(seeds.coco(), letters, mutation.reshaped_json)),
        (b"V", _mixed([seeds.VOC], tags)),
    )


def _pictures_made() -> Made:
    valid, words = seeds.pictures(), _words("IHDR IDAT PLTE tRNS iTXt eXIf RIFF WEBP GIF89a BM II*\0 JFIF Exif %!PS-Adobe ftypavif P6")
    return _mixed(valid, words, _of_pngs(valid, words))


def _arrays_made() -> Made:
    files, words = seeds.arrays(), _words("descr fortran_order shape True (1,) |O8 <f4 |u1 >u2 10**9 II*\0 MM\0* axes")
    packed = _mixed(files["npz"], words, lambda data, rng: mutation.repacked(data, rng, words, files["npy"]))
    return _marked((b"N", _mixed(files["npy"], words)), (b"Z", packed), (b"T", _mixed(files["tif"], words)))


def _stamps_made() -> Made:
    valid = seeds.stamped()
    words = _words('/Keywords ( ) < > \\ /ObjStm stream interp identity <dc:description> <!ENTITY &x; ]]> EXIF VP8X tEXt iTXt { } "seed":')
    return _mixed(valid, words, _of_pngs(valid, words))


def _json_made(valid: list[bytes], *deeper: Callable[[bytes, random.Random], bytes]) -> Made:
    return _mixed(valid, _words('{ } [ ] , : " \\u0000 \\ud800 null true 1e999 NaN -0 1.0 "format" "files" ..'), *deeper)


# Each made when it is asked for: seeds and words take a moment.
TARGETS: dict[str, Callable[[], Target]] = {
    "units": lambda: Target(_units_made(), _units),
    "references": lambda: Target(_references_made(), _reference),
    "choices": lambda: Target(_choices_made(), _choice),
    "settings": lambda: Target(_settings_made(), _settings),
    "config": lambda: Target(_config_made(), _config),
    "manifests": lambda: Target(_json_made(seeds.manifests(), _resigned, mutation.reshaped_json), _manifest),
    "records": lambda: Target(_json_made(seeds.records(), mutation.reshaped_json), _record),
    "pictures": lambda: Target(_pictures_made(), _picture),
    "arrays": lambda: Target(_arrays_made(), _array),
    "weights": lambda: Target(_weights_made(), _weights),
    "masks": lambda: Target(_masks_made(), _masks),
    "stamps": lambda: Target(_stamps_made(), _stamp),
}
