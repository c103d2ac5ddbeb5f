"""Valid inputs of every kind that interp reads, small ones, made here: nothing is downloaded, and nothing binary is committed."""

from __future__ import annotations

import io
import json
import pickle
import random
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import tifffile
import torch
from PIL import Image, features
from safetensors.torch import save
from torch import nn

from interp.figures import Grid, ImagePanel, render
from interp.runs.entries import About, ArrayEntry, CommitEntry, FigureEntry, FileEntry, InputEntry, ModelEntry, Program, Role
from interp.runs.machine import Machine
from interp.runs.manifest import Manifest
from interp.runs.plain import canonical
from interp.runs.stamp import Stamp
from interp.runs.tolerance import Tolerance

HASH = "ab" * 32
MANIFEST = Manifest(
    experiment="tour",
    program=Program("command", "visualize"),
    command=("interp", "visualize", "conv1:0-3"),
    config={"words": ["conv1:0-3"], "steps": 3, "loading": {"class": "OneModel", "seed": 0}, "rate": 0.5, "out": None, "best": True},
    seed=0,
    model=ModelEntry("resnet18", "torchvision IMAGENET1K_V1", HASH, 11_689_512),
    inputs=(InputEntry("cat.png", HASH, 3, "docs/cat.png"), InputEntry("last.pt", HASH, 9, "", Role.WEIGHTS)),
    versions={"python": "3.11.7", "interp": "0.1.0"},
    machine=Machine("Linux x86_64", "a processor", threads=2),
    commit=CommitEntry("c" * 40, dirty=True),
    parent=HASH,
    created="2026-11-21T00:00:00+00:00",
    seconds=1.5,
    tolerances={"maps*": Tolerance("exact")},
    arrays={"maps": ArrayEntry(HASH, "float32", (3, 4))},
    figures={"grid": FigureEntry(HASH, "A grid.", "What is seen in it.", 0)},
    files={"figures/grid.png": FileEntry(HASH, 12), "arrays.safetensors": FileEntry(HASH, 88), "index.html": FileEntry(HASH, 5)},
    about=About("Tour", "What is there?", "One paragraph.\n\nAnother, in km/h."),
)


def network() -> nn.Module:
    """What the weights files are of."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))


def manifests() -> list[bytes]:
    script = replace(MANIFEST, program=Program("script", "experiments/tour.py", HASH), model=None, commit=None, parent=None, inputs=())
    return [made.to_json().encode("ascii") for made in (MANIFEST, script)]


def records() -> list[bytes]:
    entry = {"reason": "", "difference": 0.5, "largest": "maps", "machine": "a processor", "torch": "2.9", "seconds": 1.0}
    runs = {"ab" * 32: entry | {"verdict": "identical"}, "cd" * 32: entry | {"verdict": "different", "difference": None}}
    return [canonical({"format": 1, "runs": runs}).encode("ascii")]


def pictures() -> list[bytes]:
    """Files of all the formats that are read, 9 x 7 px: colour, palette, grey, 16 bit, transparent, turned, moving."""
    pixels = np.random.default_rng(0).integers(0, 255, (7, 9, 4), dtype=np.uint8)
    colour, alpha = Image.fromarray(pixels[..., :3]), Image.fromarray(pixels)
    turned = Image.Exif()
    turned[0x0112] = 6
    wide = Image.fromarray(pixels[..., 0].astype(np.uint16) * 200)
    wanted = [
        (colour, "PNG", {}),
        (alpha, "PNG", {}),
        (colour.quantize(7), "PNG", {"transparency": 2}),
        (wide, "PNG", {}),
        (colour.convert("1"), "PNG", {}),
        (colour, "JPEG", {"exif": turned, "progressive": True}),
        (colour.convert("CMYK"), "JPEG", {}),
        (alpha, "WEBP", {"lossless": True}),
        (colour, "WEBP", {"exif": turned}),
        (colour, "BMP", {}),
        (colour.quantize(5), "BMP", {}),
        (colour.quantize(5), "GIF", {"save_all": True, "append_images": [colour.quantize(3)]}),
        (colour, "TIFF", {}),
        (alpha, "TIFF", {"compression": "tiff_lzw"}),
        (wide, "TIFF", {"compression": "tiff_adobe_deflate"}),
        (colour, "PPM", {}),
        (colour.convert("L"), "PPM", {}),
    ]
    if features.check("avif"):
        wanted.append((colour, "AVIF", {}))
    return [_saved(image, kind, options) for image, kind, options in wanted]


def _saved(image: Image.Image, kind: str, options: dict[str, object]) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def arrays() -> dict[str, list[bytes]]:
    """Arrays of NumPy and TIFF files of several bands, by their suffix."""
    rng = np.random.default_rng(0)
    bands = [
        rng.integers(0, 255, (7, 9, 5), dtype=np.uint8),
        rng.random((2, 7, 9), dtype=np.float32),
        rng.integers(0, 9, (7, 9)).astype(">u2"),
    ]
    npy, npz, tif = [], [], []
    for values in bands:
        plain, packed, tiled = io.BytesIO(), io.BytesIO(), io.BytesIO()
        np.save(plain, values)
        np.savez_compressed(packed, values)
        tifffile.imwrite(tiled, values, photometric="minisblack", compression="zlib" if values.ndim == 3 else None)
        npy.append(plain.getvalue())
        npz.append(packed.getvalue())
        tif.append(tiled.getvalue())
    objects = io.BytesIO()
    np.save(objects, np.array([Call()], dtype=object), allow_pickle=True)
    return {"npy": [*npy, objects.getvalue()], "npz": npz, "tif": tif}


class Call:
    """Unpickled, it would start a program."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, ("touch canary",)


def weights() -> dict[str, list[bytes]]:
    """Weights files by their suffix; two of the .pt hold code."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = network().state_dict()
    odd = {"half": torch.ones(3, dtype=torch.bfloat16), "whole": torch.arange(4), "no": torch.zeros(0), "one": torch.tensor(True)}
    return {
        "safetensors": [save(state), save(odd)],
        "pt": [
            _torch({"state_dict": {f"module.{name}": value for name, value in state.items()}, "epoch": 3}),
            _torch({"model": state}),
            _torch(state, _use_new_zipfile_serialization=False),
            _torch(odd),
            _torch({"weights": state, "call": Call()}),
            pickle.dumps({"call": Call()}, protocol=2),
        ],
    }


def _torch(content: object, **options: bool) -> bytes:
    out = io.BytesIO()
    torch.save(content, out, **options)
    return out.getvalue()


def coco() -> list[bytes]:
    regions: list[dict[str, object]] = [
        {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[0, 0, 8, 0, 8, 6, 0, 6]], "bbox": [0, 0, 8, 6]},
        {"id": 2, "image_id": 1, "category_id": 2, "segmentation": {"size": [7, 9], "counts": [3, 10, 50]}, "iscrowd": 1},
        {"id": 3, "image_id": 1, "category_id": 1, "segmentation": {"size": [7, 9], "counts": "0o1"}},
        {"id": 4, "image_id": 1, "category_id": 1, "bbox": [1.5, 2.0, 3.0, 4.25]},
    ]
    head = {"images": [{"id": 1, "file_name": "a/p.jpg", "height": 7, "width": 9}], "categories": [{"id": 1, "name": "cat"}]}
    return [json.dumps(head | {"annotations": [region]}).encode() for region in regions]


VOC = b"""<annotation><folder>x</folder><filename>p.jpg</filename><size><width>9</width><height>7</height><depth>3</depth></size>
<object><name>cat</name><difficult>0</difficult><bndbox><xmin>2</xmin><ymin>1</ymin><xmax>5.5</xmax><ymax>7</ymax></bndbox></object>
<object><name>dog</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></object></annotation>"""


def stamped() -> list[bytes]:
    """The same figure as PNG, WebP, SVG and PDF with the stamp of a run, and pictures without one."""
    shown = Grid(((ImagePanel(np.linspace(0, 1, 27).reshape(3, 3, 3), "a"),),), panel_size=0.5)
    files = render(shown, ("png", "webp", "svg", "pdf"), 40, Stamp.of(MANIFEST, "grid")).files
    return [*files.values(), pictures()[0]]


def folder_of(name: str) -> Path:
    """An empty folder to read and write in."""
    return Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))


def generator(seed: int, name: str, number: int) -> random.Random:
    """The draws of one input depend on nothing but these three."""
    return random.Random(f"{seed}:{name}:{number}")
