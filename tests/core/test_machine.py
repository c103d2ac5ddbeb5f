"""The fingerprint of a machine: what systems say of their processor, and what makes two of them differ."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from interp.core.machine import machine as found_by_torch
from interp.core.precision import has_fast_bf16
from interp.runs import machine
from interp.runs.machine import NUMERIC, Machine, differences, processor_name

XEON = """processor	: 0
vendor_id	: GenuineIntel
cpu family	: 6
model		: 85
model name	: Intel(R) Xeon(R) Gold 6132 CPU @ 2.60GHz
stepping	: 4
microcode	: 0x2006e05
cpu MHz		: 1000.{0}
power management:

"""
GRAVITON = """processor	: 0
BogoMIPS	: 243.75
Features	: fp asimd evtstrm aes
CPU implementer	: 0x41
CPU architecture: 8
CPU variant	: 0x3
CPU part	: 0xd0c
CPU revision	: 1

"""
BIG, LITTLE = GRAVITON, GRAVITON.replace("0xd0c", "0xd05")
OLD_ARM = (
    "processor\t: 0\nmodel name\t: ARMv7 Processor rev 4 (v7l)\nCPU implementer\t: 0x41\nCPU part\t: 0xd03\n\n"
    "Hardware\t: BCM2835\nSerial\t\t: 00000000deadbeef\nModel\t\t: Board of somebody\n"
)


def named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None, told: str = "", system: str = "Linux") -> str:
    """The name of a processor of which the system says ``text``, and Python's own ``platform`` says ``told``."""
    path = tmp_path / "cpuinfo"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(machine, "Path", lambda asked: path if asked == "/proc/cpuinfo" else Path(asked))
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "processor", lambda: told)
    return processor_name()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (XEON.format(0) + XEON.format(1), "Intel(R) Xeon(R) Gold 6132 CPU @ 2.60GHz (6/85/4)"),
        (XEON.replace("stepping	: 4\n", ""), "Intel(R) Xeon(R) Gold 6132 CPU @ 2.60GHz (6/85)"),
        (GRAVITON * 2, "ARM (implementer 0x41, part 0xd0c, variant 0x3, revision 1)"),
        (
            BIG + LITTLE + BIG,
            "ARM (implementer 0x41, part 0xd05, variant 0x3, revision 1) + ARM (implementer 0x41, part 0xd0c, variant 0x3, revision 1)",
        ),
        (OLD_ARM, "ARMv7 Processor rev 4 (v7l) (implementer 0x41, part 0xd03)"),
        ("processor\t: 0\ncpu\t\t: POWER9, altivec supported\n", "POWER9, altivec supported"),
        ("processor\t: 0\nhart\t\t: 2\nisa\t\t: rv64imafdc\n", "what platform says"),
        ("", "what platform says"),
        (None, "what platform says"),
    ],
)
def test_a_processor_by_what_linux_says(monkeypatch, tmp_path, text, name):
    assert named(monkeypatch, tmp_path, text, "what platform says") == name


def test_a_processor_of_which_nothing_is_said(monkeypatch, tmp_path):
    assert named(monkeypatch, tmp_path, None) == "unknown"


def test_a_processor_on_windows_goes_by_what_platform_says(monkeypatch, tmp_path):
    name = "Intel64 Family 6 Model 158 Stepping 10, GenuineIntel"
    assert named(monkeypatch, tmp_path, GRAVITON, name, "Windows") == name


def test_a_processor_on_macos_goes_by_what_sysctl_says(monkeypatch, tmp_path):
    said = [b"Apple M1 Pro\n"]

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[bytes]:
        assert command == ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        if not said:
            raise FileNotFoundError(command[0])
        return subprocess.CompletedProcess(command, 0, said.pop())

    monkeypatch.setattr(subprocess, "run", run)
    assert named(monkeypatch, tmp_path, None, "arm", "Darwin") == "Apple M1 Pro"
    assert named(monkeypatch, tmp_path, None, "arm", "Darwin") == "arm"


HERE = Machine("Linux x86_64", "Xeon (6/85/4)", "AVX512", "cpu", "", 1, "float32")


def test_machines_that_are_alike_differ_in_nothing():
    assert differences(HERE, replace(HERE), {"torch": "2.5"}, {"torch": "2.5"}) == ()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"system": "Linux aarch64"}, "system Linux x86_64, not Linux aarch64"),
        ({"processor": "EPYC"}, "processor Xeon (6/85/4), not EPYC"),
        ({"capability": "AVX2"}, "capability AVX512, not AVX2"),
        ({"device": "cuda:0"}, "device cpu, not cuda:0"),
        ({"accelerator": "H200"}, "accelerator none, not H200"),
        ({"threads": 2}, "threads 1, not 2"),
        ({"precision": "float32, matmul high"}, "precision float32, not float32, matmul high"),
        ({"unrepeatable": ("a sum", "a sum")}, "a sum"),
    ],
)
def test_each_field_is_told_and_both_ways_round(changed, said):
    other = replace(HERE, **changed)
    assert differences(HERE, other) == (said,)
    assert len(differences(other, HERE)) == 1
    assert set(changed) <= {*Machine.__dataclass_fields__}


def test_every_field_of_a_machine_is_looked_at():
    other = Machine("a", "b", "c", "d", "e", 3, "f", ("g",))
    assert len(differences(HERE, other)) == len(Machine.__dataclass_fields__)


def test_what_either_machine_cannot_repeat_is_said_once():
    first, second = replace(HERE, unrepeatable=("x", "y")), replace(HERE, unrepeatable=("y", "z"))
    assert differences(first, second) == ("x", "y", "z")


def test_versions_count_where_they_decide_arithmetic():
    assert differences(HERE, HERE, {"torch": "2.5", "matplotlib": "3.9"}, {"torch": "2.6", "matplotlib": "3.10"}) == ("torch 2.5, not 2.6",)
    assert differences(HERE, HERE, {"timm": "1.0"}, {}) == ("timm 1.0, not absent",)
    assert differences(HERE, HERE, {}, {"scipy": "1.0"}) == ("scipy absent, not 1.0",)
    assert {"torch", "numpy", "captum", "pillow"} <= set(NUMERIC)


def test_the_machine_here_is_recorded_as_torch_uses_it():
    here = found_by_torch(torch.device("cpu"))
    assert (here.device, here.accelerator, here.precision, here.unrepeatable) == ("cpu", "", "float32", ())
    assert (here.threads, here.capability) == (torch.get_num_threads(), torch.backends.cpu.get_cpu_capability())
    assert platform.node() not in f"{here.system} {here.processor}"


def test_a_precision_other_than_full_is_recorded():
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        assert found_by_torch(torch.device("cpu")).precision == "float32, matmul medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_more_threads_than_cores_are_recorded_as_they_are():
    before, asked = torch.get_num_threads(), (os.cpu_count() or 1) + 3
    torch.set_num_threads(asked)
    try:
        assert found_by_torch(torch.device("cpu")).threads == asked
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("deterministic", "tf32", "reasons", "precision"),
    [
        (True, False, (), "float32"),
        (False, False, ("CUDA sums in any order unless told otherwise",), "float32"),
        (True, True, (), "float32, matmul highest, convolutions TF32"),
    ],
)
def test_a_gpu_is_recorded_by_its_name_and_what_it_is_told(monkeypatch, deterministic, tf32, reasons, precision):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU of {device}")
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: deterministic)
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = tf32
    try:
        found = found_by_torch(torch.device("cuda:1"))
    finally:
        torch.backends.cudnn.allow_tf32 = before
    assert (found.device, found.accelerator) == ("cuda:1", "GPU of cuda:1")
    assert (found.unrepeatable, found.precision) == (reasons, precision)


def test_mps_has_no_way_to_repeat():
    assert found_by_torch(torch.device("mps")).unrepeatable == ("MPS has no deterministic mode",)


@pytest.mark.parametrize("hardware", [True, False])
def test_bfloat16_that_a_gpu_only_emulates_is_not_fast(monkeypatch, hardware):
    asked: list[torch.device] = []

    class Chosen:
        def __init__(self, device: torch.device) -> None:
            asked.append(device)

        def __enter__(self) -> None: ...

        def __exit__(self, *error: object) -> None: ...

    monkeypatch.setattr(torch.cuda, "device", Chosen)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or hardware)
    assert has_fast_bf16(torch.device("cuda:1")) is hardware
    assert asked == [torch.device("cuda:1")]
    assert not has_fast_bf16(torch.device("mps"))
