"""Execution providers: their names, which are available, and what to do where one does not work."""

import contextlib
import io
import logging
from collections.abc import Sequence
from pathlib import Path

from coldvoxd.core.errors import ProviderUnavailable
from coldvoxd.core.provider_names import SUFFIX, short_name
from coldvoxd.native.ort import VERSION, onnxruntime

log = logging.getLogger(__name__)

CPU = "cpu"
CUDA = "cuda"
AUTO = "auto"
"""In settings: the accelerator that this machine is likely to have, otherwise the CPU."""
NVIDIA_NODES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg")
"""Device nodes of NVIDIA's driver, and the one through which a GPU is reached in WSL."""
CPU_PROVIDER = f"CPU{SUFFIX}"
CUDA_PROVIDER = f"CUDA{SUFFIX}"


def available_providers() -> tuple[str, ...]:
    """Short names of the providers that the installed ONNX Runtime was built with, best first: `cuda`, `cpu`, ...

    Only `open_session` finds out whether one works on this machine.
    """
    return tuple(short_name(name) for name in onnxruntime.get_available_providers())


def full_name(provider: str) -> str:
    """`cuda` -> `CUDAExecutionProvider`; a full name is returned as it is.

    Raises ProviderUnavailable where ONNX Runtime was built without it.
    """
    for name in onnxruntime.get_available_providers():
        if short_name(provider) == short_name(name):
            return str(name)
    raise ProviderUnavailable(
        f"ONNX Runtime {VERSION} has no execution provider {provider!r}; it offers "
        f"{', '.join(available_providers())}: set `provider` under [model] to one of these"
    )


def likely_accelerator(driver_nodes: Sequence[str] = NVIDIA_NODES) -> str | None:
    """The accelerator worth trying on this machine, `cuda` or None; only `open_session` finds out whether it works.

    ONNX Runtime lists CUDA wherever it was built with it, so the driver's device nodes decide.
    """
    if CUDA in available_providers() and any(Path(node).exists() for node in driver_nodes):
        return CUDA
    return None


def preload_cuda() -> None:
    """Load the libraries of the extra `cuda` where they are installed; otherwise the system's are found later."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        onnxruntime.preload_dlls()
    for line in printed.getvalue().splitlines():
        log.debug("CUDA libraries: %s", line)


def remedy(provider: str) -> str:
    """What a user can do where this provider, by either name, does not work: the end of a sentence."""
    if short_name(provider) in {CUDA, "tensorrt"}:
        return (
            "check that `nvidia-smi` sees the GPU and that the CUDA and cuDNN libraries which this ONNX Runtime needs "
            'are installed, or set `provider = "cpu"` under [model]'
        )
    return 'check the provider\'s driver and libraries, or set `provider = "cpu"` under [model]'
