"""A virtual GPU for this process."""

from pathlib import Path

import pytest

from tests.support.gpu.virtual_nvml import VirtualGpu


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VirtualGpu:
    """A GPU that is healthy until a test changes its state."""
    gpu = VirtualGpu(tmp_path)
    monkeypatch.setenv("VIRTUAL_NVML", str(gpu.state))
    gpu.enter()
    return gpu
