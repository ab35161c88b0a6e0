"""Method calls of Engine1."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from coldvoxd.bus.library import Variant
from coldvoxd.core.metrics import EDGES_S, Figures, GpuFigures, Percentiles, Stage
from coldvoxd.core.ports import EngineControl


class EngineCalls:
    """Turns bus calls into calls of the EngineControl. Event loop only."""

    def __init__(self, control: EngineControl) -> None:
        self._control = control

    async def reload(self) -> None:
        await self._control.reload()

    async def set_provider(self, provider: str) -> None:
        await self._control.set_provider(provider)

    def metrics(self) -> dict[str, Variant]:
        return figures_body(self._control.figures())


def figures_body(figures: Figures) -> dict[str, Variant]:
    """Return the body of the reply to GetMetrics."""
    return {
        "uptime": Variant("d", figures.uptime_s),
        "memory": Variant("t", figures.resident_bytes),
        "model-load": Variant("d", figures.model_load_s),
        **{what.value: Variant("t", number) for what, number in figures.counts.items()},
        "gaps": Variant("a{st}", _by_value(figures.gaps)),
        "sessions": Variant("a{st}", _by_value(figures.sessions)),
        "stages": Variant("a{s(tddd)}", _stages(figures.stages)),
        "stages-by-provider": Variant(
            "a{sa{s(tddd)}}", {provider: _stages(stages) for provider, stages in figures.by_provider.items()}
        ),
        "distributions": Variant("a{sat}", {stage.value: [*found] for stage, found in figures.distributions.items()}),
        "distribution-edges": Variant("ad", [*EDGES_S]),
        "faults": Variant("a{st}", _by_value(figures.faults)),
        "fault-reasons": Variant("a{st}", _by_value(figures.fault_reasons)),
        "accelerator-load": Variant("d", figures.accelerator_load_s),
        "gpu": Variant("a{st}", _gpu(figures.gpu)),
    }


def _stages(stages: Mapping[Stage, Percentiles]) -> dict[str, list[float]]:
    return {
        stage.value: [found.count, float(found.p50), float(found.p95), float(found.p99)]
        for stage, found in stages.items()
    }


def _gpu(gpu: GpuFigures) -> dict[str, int]:
    figures = {
        "memory-total": gpu.total_bytes,
        "memory-free": gpu.free_bytes,
        "memory-process": gpu.own_bytes,
        "temperature": gpu.temperature_c,
    }
    return {name: value for name, value in figures.items() if value is not None}


def _by_value(counts: Mapping[Any, int]) -> dict[str, int]:
    found: dict[StrEnum, int] = dict(counts)
    return {reason.value: number for reason, number in found.items()}
