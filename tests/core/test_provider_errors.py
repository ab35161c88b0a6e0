"""Error messages of execution providers, and the faults that they are classified as."""

import pytest

from coldvoxd.core.failover_state import FaultClass, Reason
from coldvoxd.core.provider_errors import classify


@pytest.mark.parametrize(
    ("message", "fault_class", "reason"),
    [
        ("CUDA failure 2: out of memory ; GPU=0", FaultClass.TRANSIENT, Reason.GPU_OUT_OF_MEMORY),
        ("CUDA failure 700: an illegal memory access", FaultClass.STICKY, Reason.GPU_FAULT),
        ("CUDA failure 719: unspecified launch failure", FaultClass.STICKY, Reason.GPU_FAULT),
        ("CUDA failure 999: unknown error", FaultClass.STICKY, Reason.GPU_LOST),
        ("CUDA failure 100: no CUDA-capable device is detected", FaultClass.ABSENT, Reason.NO_GPU),
        ("CUDA failure 35: driver version is insufficient", FaultClass.ABSENT, Reason.DRIVER_MISMATCH),
        ("CUBLAS_STATUS_ALLOC_FAILED", FaultClass.TRANSIENT, Reason.GPU_OUT_OF_MEMORY),
        (
            "Failed to allocate memory for requested buffer of size 68157440",
            FaultClass.TRANSIENT,
            Reason.GPU_OUT_OF_MEMORY,
        ),
        # WebGPU's messages, as seen when a layer made the driver fail.
        ("wgpu::MapAsyncStatus value: 4, message: [Device] is lost.", FaultClass.TRANSIENT, Reason.GPU_LOST),
        ('[Device "ort"] is lost.', FaultClass.TRANSIENT, Reason.GPU_LOST),
        ("vkQueueSubmit failed with VK_ERROR_DEVICE_LOST", FaultClass.TRANSIENT, Reason.GPU_LOST),
        ("vkAllocateMemory: VK_ERROR_OUT_OF_DEVICE_MEMORY", FaultClass.TRANSIENT, Reason.GPU_OUT_OF_MEMORY),
        ("[Invalid Buffer (unlabeled)] is invalid due to a previous error.", FaultClass.TRANSIENT, Reason.GPU_FAULT),
        ("something new", FaultClass.TRANSIENT, Reason.GPU_FAULT),
        ("CUDA failure 12345: unheard of", FaultClass.TRANSIENT, Reason.GPU_FAULT),
    ],
)
def test_what_a_provider_says_is_classified(message: str, fault_class: FaultClass, reason: Reason) -> None:
    assert classify(message) == (fault_class, reason)
