"""The text output of the command metrics."""

from collections.abc import Iterator, Mapping
from typing import Any

from coldvoxd.cli.sparkline import bars, extent
from coldvoxd.core.provider_names import short_name


def metrics_for_people(found: Mapping[str, Any], *, ascii_only: bool = False) -> Iterator[str]:
    """The lines that present the result of GetMetrics."""
    minutes = int(found["uptime"] // 60)
    yield _row("uptime", f"{minutes // 60} h {minutes % 60:02} min")
    yield _row("memory", f"{found['memory'] / 2**20:.0f} MiB")
    yield _row("model-load", f"{found['model-load']:.1f} s")
    if found.get("accelerator-load"):
        yield _row("accelerator-load", f"{found['accelerator-load']:.1f} s")
    for name, value in found.get("gpu", {}).items():
        yield _row(f"gpu-{name}", f"{value} °C" if name == "temperature" else f"{value / 2**20:.0f} MiB")
    for name, value in found.items():
        if isinstance(value, int) and name != "memory":
            yield _row(name, str(value))
    for name in ("sessions", "gaps", "faults", "fault-reasons"):
        happened = [f"{reason} {number}" for reason, number in found.get(name, {}).items() if number]
        yield _row(name, ", ".join(happened) or "none")
    if found["stages"]:
        yield from _stages(found, ascii_only=ascii_only)
    for provider, stages in found.get("stages-by-provider", {}).items():
        yield ""
        yield _head(f"on {short_name(provider)}")
        for stage, figures in stages.items():
            yield _figures(stage, figures)


def _stages(found: Mapping[str, Any], *, ascii_only: bool) -> Iterator[str]:
    """The stages with a histogram each, on one time scale that doubles every two characters."""
    distributions, edges = found.get("distributions", {}), found.get("distribution-edges", [])
    first, end = extent(list(distributions.values()))
    scale = f"  {_time(edges[max(first - 1, 0)])} to {_time(edges[min(end, len(edges)) - 1])}" if end else ""
    yield ""
    yield _head("stage") + scale
    for stage, figures in found["stages"].items():
        plot = bars(distributions.get(stage, [])[first:end], ascii_only=ascii_only)
        yield f"{_figures(stage, figures)}  {plot}".rstrip()


def _head(title: str) -> str:
    return f"{title:<26} {'runs':>7} {'p50':>10} {'p95':>10} {'p99':>10}"


def _figures(stage: str, figures: Mapping[str, Any]) -> str:
    shown = (f"{figures[share] * 1000:.1f} ms" for share in ("p50", "p95", "p99"))
    return f"{stage:<26} {figures['count']:>7} {' '.join(f'{text:>10}' for text in shown)}"


def _row(name: str, text: str) -> str:
    return f"{name:<26} {text}"


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.0f} s"
