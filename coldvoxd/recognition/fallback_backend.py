"""The fallback engine that the settings select, found by its entry point, and the memory that a model may take."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from coldvoxd.core.errors import ColdvoxError, ResourcesExhausted
from coldvoxd.core.fallback import Fallback
from coldvoxd.core.ports import Recognizer
from coldvoxd.core.settings import ModelSettings
from coldvoxd.core.sizes import size_text
from coldvoxd.core.values import ModelFiles, Precision
from coldvoxd.engines.fallback_engines import find_engine, model_path
from coldvoxd.models import find_model
from coldvoxd.models.directories import shortened
from coldvoxd.native.memory import available_bytes
from coldvoxd.onnx_graph.external_data import external_files
from coldvoxd.recognition.backends import Backends, FallbackBackend


def with_fallback(
    backends: Backends, settings: ModelSettings, free_bytes: Callable[[], int | None] = available_bytes
) -> Backends:
    """Return the backends with the fallback engine of the settings.

    The model is then not loaded while it is larger than the free memory, which `free_bytes` returns, None if unknown:
    without a fallback engine it is better to try.
    """
    name = settings.fallback
    if name == Fallback.OFF:
        return backends

    def cpu() -> Recognizer:
        _check_room(settings, free_bytes())
        return backends.cpu()

    fallback = FallbackBackend(
        name,
        shortened(Path(settings.fallback_model).name),
        partial(find_engine, name),
        lambda engine: engine.open(model_path(settings.fallback_model), settings.threads),
    )
    return replace(backends, cpu=cpu, fallback=fallback)


def _check_room(settings: ModelSettings, free_bytes: int | None) -> None:
    """Raise ResourcesExhausted if the weights are larger than the free memory. Other faults are left to opening."""
    if free_bytes is None:
        return
    try:
        needed = weight_bytes(find_model(settings.name, Precision.on_cpu(settings.precision)))
    except (ColdvoxError, OSError, ValueError):  # opening reports it
        return
    if needed > free_bytes:
        raise ResourcesExhausted(
            f"The model {shortened(settings.name)} needs {size_text(needed)} of memory, and {size_text(free_bytes)} are free: free "
            "some, or set `precision` under [model] to `int8`, which takes a quarter of it"
        )


def weight_bytes(files: ModelFiles) -> int:
    """Return the bytes of a model's graphs and of the weights beside them. Raises OSError or ValueError."""
    graphs = (files.encoder, *files.decoder)
    return sum(graph.stat().st_size + sum(external_files(graph).values()) for graph in graphs)
