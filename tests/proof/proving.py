"""A small run that is made of files in the current folder, and a process that makes it again without being one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from interp.proof.inputs import Staged
from interp.proof.replay import Settings
from interp.runs import About, FigureEntry, InputEntry, Machine, Manifest, ModelEntry, Program, Role, Run, Tolerance

FILES = {
    "pics/cat.png": (b"a picture of a cat", Role.PICTURE),
    "net.py": (b"def make():\n    return 1\n", Role.CODE),
    "weights/net.safetensors": (b"weights of the net", Role.WEIGHTS),
}
SAMPLE = InputEntry.of_bytes("coffee.png", b"a sample")
TOUR = Program("command", "tour")
MACHINE = Machine("Linux x86_64", "a processor (6/85/4)", "AVX2")


@dataclass(frozen=True)
class Loading:
    device: str = "cpu"
    weights: str = "weights/net.safetensors"


@dataclass(frozen=True)
class Config:
    steps: int = 128
    images: tuple[str, ...] = ("pics/cat.png", "coffee")
    loading: Loading = Loading()


def lay_files(here: Path) -> None:
    """The inputs, as they lie in the folder that the work starts in."""
    for path, (data, _) in FILES.items():
        (here / path).parent.mkdir(parents=True, exist_ok=True)
        (here / path).write_bytes(data)


def entries(here: Path) -> list[InputEntry]:
    return [InputEntry(Path(path).name, *hashed(here / path), path, role) for path, (_, role) in FILES.items()]


def hashed(path: Path) -> tuple[str, int]:
    data = path.read_bytes()
    return hashlib.sha256(data).hexdigest(), len(data)


def make(
    folder: Path,
    here: Path,
    config: Config = Config(),
    *,
    program: Program = TOUR,
    machine: Machine = MACHINE,
    inputs: list[InputEntry] | None = None,
    weights: str = "a" * 64,
    noise: float = 0.0,
    experiment: str = "tour",
) -> Path:
    """A run whose array is computed from the bytes of its inputs, in ``here``, and the number of steps."""
    read = [*entries(here), SAMPLE] if inputs is None else inputs
    run = Run.create(
        folder,
        experiment=experiment,
        program=program,
        config=config,
        seed=0,
        machine=machine,
        model=ModelEntry("net.py:make", "a file", weights, 1),
        inputs=read,
        command=["interp", "tour"],
    )
    with run:
        total = sum(sum((here / item.path).read_bytes()) for item in read if item.path)
        maps = np.linspace(1, 2, 12, dtype=np.float32).reshape(3, 4) * config.steps + np.float32(total)
        maps = (maps * (1 + noise)).astype(np.float32)
        run.tolerances({"count": Tolerance.EXACT})
        run.arrays({"maps": maps, "count": np.array(total, dtype=np.int64)})
        run.figure("grid", FigureEntry("b" * 64, "a grid", "What a grid shows."))
        picture = BytesIO()
        Image.fromarray(np.uint8(maps % 256)).save(picture, "PNG")
        run.write("figures/grid.png", picture.getvalue())
        run.text("index.html", "<p>a page</p>\n")
        run.metrics({"score": float(maps.mean())})
        run.about(About("A tour"))
    return folder


def again(manifest: Manifest, staged: Staged, out: Path, settings: Settings, **other: object) -> None:
    """As `interp.proof.replay.replay`, in this process."""
    from dataclasses import replace

    values = manifest.config
    assert isinstance(values["loading"], dict)
    steps, images = values["steps"], values["images"]
    assert isinstance(steps, int)
    assert isinstance(images, list)
    config = Config(steps, tuple(images), Loading(settings.device or values["loading"]["device"]))
    machine = replace(MACHINE, threads=settings.threads or manifest.machine.threads)
    make(out, staged.folder, config, program=manifest.program, **({"machine": machine} | other))  # type: ignore[arg-type]
