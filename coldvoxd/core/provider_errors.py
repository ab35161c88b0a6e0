"""Classifies the error messages of execution providers."""

import re

from coldvoxd.core.failover_state import FaultClass, Reason

# Keys are values of cudaError_t, from the CUDA Runtime API reference; ONNX Runtime writes "CUDA failure 700: ...".
_BY_CUDA_ERROR: dict[int, tuple[FaultClass, Reason]] = {
    2: (FaultClass.TRANSIENT, Reason.GPU_OUT_OF_MEMORY),
    4: (FaultClass.STICKY, Reason.GPU_LOST),
    35: (FaultClass.ABSENT, Reason.DRIVER_MISMATCH),
    46: (FaultClass.TRANSIENT, Reason.GPU_LOST),
    100: (FaultClass.ABSENT, Reason.NO_GPU),
    101: (FaultClass.ABSENT, Reason.NO_GPU),
    214: (FaultClass.STICKY, Reason.GPU_FAULT),
    226: (FaultClass.STICKY, Reason.GPU_FAULT),
    700: (FaultClass.STICKY, Reason.GPU_FAULT),
    702: (FaultClass.STICKY, Reason.GPU_TIMEOUT),
    709: (FaultClass.STICKY, Reason.GPU_FAULT),
    710: (FaultClass.STICKY, Reason.GPU_FAULT),
    714: (FaultClass.STICKY, Reason.GPU_FAULT),
    715: (FaultClass.STICKY, Reason.GPU_FAULT),
    716: (FaultClass.STICKY, Reason.GPU_FAULT),
    717: (FaultClass.STICKY, Reason.GPU_FAULT),
    718: (FaultClass.STICKY, Reason.GPU_FAULT),
    719: (FaultClass.STICKY, Reason.GPU_FAULT),
    803: (FaultClass.ABSENT, Reason.DRIVER_MISMATCH),
    804: (FaultClass.ABSENT, Reason.DRIVER_MISMATCH),
    999: (FaultClass.STICKY, Reason.GPU_LOST),
}
_CUDA_FAILURE = re.compile(r"CUDA (?:failure|error)[ :]+(\d+)", re.IGNORECASE)
_DEVICE_LOST = re.compile(r"\[Device[^]]*\] is lost|device (?:was |is )?lost|ERROR_DEVICE_LOST", re.IGNORECASE)
"""Of WebGPU and Vulkan. The next session gets another device, once all sessions on the lost one are closed."""
_OUT_OF_MEMORY = re.compile(
    r"out of memory|failed to allocate|ALLOC_FAILED|bad allocation|OUT_OF_DEVICE_MEMORY", re.IGNORECASE
)


def classify(message: str) -> tuple[FaultClass, Reason]:
    """Return the fault that an execution provider's message reports. An unknown one is transient: time may help."""
    if (number := _CUDA_FAILURE.search(message)) and (known := _BY_CUDA_ERROR.get(int(number[1]))):
        return known
    if _DEVICE_LOST.search(message):
        return FaultClass.TRANSIENT, Reason.GPU_LOST
    if _OUT_OF_MEMORY.search(message):
        return FaultClass.TRANSIENT, Reason.GPU_OUT_OF_MEMORY
    return FaultClass.TRANSIENT, Reason.GPU_FAULT
