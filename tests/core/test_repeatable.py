"""What is told to a device so that its work repeats, what it cannot do, and that every setting is as before afterwards."""

from __future__ import annotations

import os
import warnings
from typing import Any

import pytest
import torch

from interp.core.machine import machine
from interp.core.repeatable import Repeatable

CUDA = torch.device("cuda:0")
SCATTER = (
    "scatter_add_cuda_kernel does not have a deterministic implementation, but you set "
    "'torch.use_deterministic_algorithms(True, warn_only=True)'. You can file an issue."
)
ATTENTION = "Memory Efficient attention defaults to a non-deterministic algorithm. To explicitly enable determinism call another."


@pytest.fixture(autouse=True)
def without_a_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU that nothing was computed on yet, as torch would say."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)


def settings() -> dict[str, Any]:
    return {
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "only warns": torch.is_deterministic_algorithms_warn_only_enabled(),
        "filling": torch.utils.deterministic.fill_uninitialized_memory,
        "benchmark": torch.backends.cudnn.benchmark,
        "TF32": torch.backends.cudnn.allow_tf32,
        "matmul": torch.get_float32_matmul_precision(),
        "attention": torch.backends.cuda.mem_efficient_sdp_enabled(),
        "workspace": os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
        "filters": list(warnings.filters),
        "shown by": warnings.showwarning,
    }


def test_on_the_cpu_sums_have_one_order_and_nothing_else_is_changed():
    before = settings()
    with Repeatable() as repeatable:
        repeatable.on(torch.device("cpu"))
        inside = settings()
    changed = {key for key in inside if inside[key] != before[key]}
    assert changed == {"deterministic", "only warns", "filling", "filters", "shown by"}
    assert (inside["deterministic"], inside["only warns"], inside["filling"]) == (True, True, False)
    assert settings() == before
    assert repeatable.reasons == ()


def test_the_gradient_of_indexing_repeats_with_two_threads():
    """Outside of `Repeatable` it does not, on a machine with two cores: 9 to 14 results in 30 were different ones."""
    source = torch.Generator().manual_seed(0)
    index, values = torch.randint(0, 100, (200_000,), generator=source), torch.randn(200_000, generator=source)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with Repeatable():
            found = {torch.zeros(100).index_put((index,), values, accumulate=True).numpy().tobytes() for _ in range(30)}
    finally:
        torch.set_num_threads(before)
    assert len(found) == 1


def test_on_a_gpu_sums_have_one_order_and_afterwards_all_is_as_before(gpu):
    torch.backends.cudnn.benchmark = True
    try:
        before = settings()
        with Repeatable() as repeatable:
            assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"  # before anything is computed there
            repeatable.on(CUDA)
            inside = settings()
        assert settings() == before
    finally:
        torch.backends.cudnn.benchmark = False
    told = {key: inside[key] for key in ("deterministic", "only warns", "benchmark", "TF32", "matmul", "attention")}
    assert told == {"deterministic": True, "only warns": True, "benchmark": False, "TF32": False, "matmul": "highest", "attention": False}


def test_on_errors_too_all_is_as_before(gpu):
    before = settings()

    def work() -> None:
        with Repeatable() as repeatable:
            repeatable.on(CUDA)
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert settings() == before


def test_what_the_user_has_set_for_cublas_stays(gpu, monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    with Repeatable():
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


def test_a_gpu_that_works_already_is_told_no_workspace(gpu, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    with Repeatable():
        assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ


def test_operations_that_do_not_repeat_are_noted_once_and_other_warnings_pass(gpu):
    def work() -> None:
        repeatable.on(CUDA)
        for text in (SCATTER, ATTENTION, "of another kind", SCATTER):
            warnings.warn(text, UserWarning, stacklevel=1)

    with warnings.catch_warnings(record=True) as passed, Repeatable() as repeatable:
        warnings.simplefilter("always")
        work()
    assert [str(warning.message) for warning in passed] == ["of another kind"]
    assert repeatable.reasons == (
        "Memory Efficient attention defaults to a non-deterministic algorithm",
        "scatter_add_cuda_kernel has no deterministic form",
    )


def test_an_operation_is_noted_in_each_run_of_a_process(gpu):
    found = []
    for _ in range(2):
        with Repeatable() as repeatable:
            repeatable.on(CUDA)
            warnings.warn(SCATTER, UserWarning, stacklevel=1)
        found.append(repeatable.reasons)
    assert found[0] == found[1] != ()


def test_a_gpu_that_is_told_so_counts_as_repeatable(gpu, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a GPU")
    assert machine(CUDA).unrepeatable == ("CUDA sums in any order unless told otherwise",)
    with Repeatable() as repeatable:
        repeatable.on(CUDA)
        inside = machine(CUDA)
    assert (inside.unrepeatable, inside.precision) == ((), "float32")
