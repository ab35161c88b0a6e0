"""Rows of the fault matrix for a real GPU provider: WebGPU on a software Vulkan driver that a layer makes fail."""

from collections.abc import Iterator

from tests.support.faults.matrix_rows import Row

IN_CI = ("device lost in a run", "out of device memory in a run", "hang in a run", "wrong values at load", "rest")
"""Rows that the CI lane plays; the trial plays all."""
SERVED = "say 0; hear"
BACK = "WELL; on gpu; say 16; hear"


def vulkan_rows() -> tuple[Row, ...]:
    """Return all rows. Their capital letters are faults of the layer, see vulkan_layer.c; WELL ends them."""
    return tuple(_rows())


def _rows() -> Iterator[Row]:
    for code, name in (("LOST", "device lost"), ("MEMORY", "out of device memory"), ("HANG", "hang")):
        acts = f"{SERVED}; {code}; say 16; hear; degraded *; on cpu; {BACK}"
        yield Row(f"{name} in a run", "in a run", acts, on_cpu=False)
    for code, name in (("LOST", "device lost"), ("MEMORY", "out of device memory"), ("WRONG", "wrong values")):
        acts = f"degraded *; on cpu; {SERVED}; {BACK}"
        yield Row(f"{name} at load", "at load", acts, before=(code,), on_cpu=False)
    acts = f"{SERVED}; LOST; say 16; stop"
    yield Row("device lost during Stop", "during Stop", acts, on_cpu=False)
    acts = f"say 0 16 8; LOST; say 13 20 4 21; hear; degraded *; {BACK}"
    yield Row("device lost in a burst", "during a burst of utterances", acts, on_cpu=False)
    acts = f"LOST; say 0; hear; degraded *; {BACK}; LOST; say 8; hear; degraded *; {BACK}"
    yield Row("device lost twice", "twice in a row", acts, on_cpu=False)
    yield Row(
        "rest",
        "while nothing is said",
        f"on gpu; {SERVED}; rest; say 8; hear; on gpu; say 16; hear",
        before=("WELL",),
        on_cpu=False,
        settings={"COLDVOXD_GPU_IDLE_RELEASE_S": "1", "COLDVOXD_GPU_IDLE_RENEW": "false"},
    )
