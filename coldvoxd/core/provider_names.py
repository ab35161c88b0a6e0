"""Names of execution providers: ONNX Runtime's, and the short ones of the settings and the bus."""

SUFFIX = "ExecutionProvider"


def short_name(provider: str) -> str:
    """Return the short name of a provider: `cuda` for `CUDAExecutionProvider`. A short name is returned unchanged."""
    return provider.removesuffix(SUFFIX).lower()
