"""What Engine1 answers when it is called."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from dbus_next import Variant

from coldvoxd.core.metrics import Figures
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
    """The answer of GetMetrics."""
    stages = {
        stage.value: [found.count, float(found.p50), float(found.p95), float(found.p99)]
        for stage, found in figures.stages.items()
    }
    return {
        "uptime": Variant("d", figures.uptime_s),
        "memory": Variant("t", figures.resident_bytes),
        "model-load": Variant("d", figures.model_load_s),
        **{what.value: Variant("t", number) for what, number in figures.counts.items()},
        "gaps": Variant("a{st}", _by_value(figures.gaps)),
        "sessions": Variant("a{st}", _by_value(figures.sessions)),
        "stages": Variant("a{s(tddd)}", stages),
    }


def _by_value(counts: Mapping[Any, int]) -> dict[str, int]:
    found: dict[StrEnum, int] = dict(counts)
    return {reason.value: number for reason, number in found.items()}
